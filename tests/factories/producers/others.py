"""Hive, dbt, sqlmesh, and the least that a producer can send."""

from collections.abc import Sequence

from tests.factories.producers.envelope import Json, Producer, ref, run_id

OPENLINEAGE = "https://github.com/OpenLineage/OpenLineage/tree/1.40.0/integration"
METASTORE = "hive://metastore.example:9083"
DATABASE = "postgres://shop.example:5432"
HIVE_JOBS = "default"
DUCK = "duckdb:///srv/shop.duckdb"

hive = Producer(f"{OPENLINEAGE}/hive")
dbt = Producer(f"{OPENLINEAGE}/dbt", zone="+00:00")
sqlmesh = Producer("https://github.com/example/sqlmesh-openlineage")


def hive_table(name: str, **facets: Json) -> Json:
    """Return a table of Hive: its name in the catalogue, with its files as the symlink."""
    place = {"namespace": "file", "type": "LOCATION"}
    place["name"] = f"/opt/hive/warehouse/{name.replace('.', '.db/')}"
    links = hive.facet("1-0-1/SymlinksDatasetFacet", identifiers=[place])
    return ref((METASTORE, name), {"symlinks": links, **facets})


def hive_query(
    operation: str, starts: float, ends: float, *, reads: Sequence[Json], target: Json, said: Json
) -> list[Json]:
    """Return a query's two events; ``said`` are facets of the output that only its end knows."""
    job = (HIVE_JOBS, f"{operation}.{target['name']}")
    facets = {
        "jobType": hive.job_type("BATCH", "HIVE", "QUERY"),
        "sql": hive.facet("1-1-0/SQLJobFacet", query="INSERT INTO ...", dialect="hive"),
    }
    session = hive.own(username="etl", clientIp="192.0.2.7", sessionId=run_id("session"))
    more = {"hive_session": session, "hive_query": hive.own(operationName=operation.upper())}
    late = {**target, "facets": {**target["facets"], **said}}
    ends_with = [("START", starts, target), ("COMPLETE", ends, late)]
    return [
        hive.event(
            kind, minutes, job=job, run=run_id("hive", job[1]), job_facets=facets,
            run_facets=more, reads=reads, writes=[written],
        )
        for kind, minutes, written in ends_with
    ]  # fmt: skip


def dbt_invocation(kind: str, command: str, minutes: float) -> Json:
    """Return an event of the invocation."""
    made = dbt.event(
        kind, minutes, job=("shop", f"dbt-{command}-shop"), run=run_id("dbt", command),
        job_facets={"jobType": dbt.job_type("BATCH", "DBT", "JOB")},
        run_facets={"dbt_run": dbt.own(project_name="shop", dbt_runtime="core")},
    )  # fmt: skip
    # The invocation's times come from another clock's formatter than those of its nodes.
    made["eventTime"] = made["eventTime"].replace("+00:00", "Z")
    return made


def dbt_node(
    kind: str,
    command: str,
    node: str,
    minutes: float,
    *,
    reads: Sequence[str] = (),
    writes: str = "",
    suffix: str = "",
) -> Json:
    """Return an event of a node; ``suffix`` is what the job's name ends with under `build`."""
    own = ("shop", f"dbt-{command}-shop", run_id("dbt", command))
    assertions = dbt.facet(
        "1-0-1/DataQualityAssertionsDatasetFacet",
        assertions=[{"assertion": "not_null", "column": "id", "success": kind != "FAIL"}],
    )
    inputs = [ref((DATABASE, f"shop.public.{each}")) for each in reads]
    if suffix.endswith("test"):
        inputs = [{**each, "inputFacets": {"dataQualityAssertions": assertions}} for each in inputs]
    return dbt.event(
        kind, minutes, job=("shop", f"shop.public.shop.{node}{suffix}"),
        run=run_id("dbt", command, node, suffix),
        job_facets={
            "jobType": dbt.job_type("BATCH", "DBT", "TEST" if "test" in suffix else "MODEL"),
            "sql": dbt.facet("1-1-0/SQLJobFacet", query="select 1", dialect="postgres"),
        },
        run_facets={"parent": dbt.parent(own[:2], own[2], own)},
        reads=inputs,
        writes=[ref((DATABASE, f"shop.public.{writes}"), outputFacets={})] if writes else [],
    )  # fmt: skip


def sqlmesh_model(kind: str, model: str, minutes: float, *, reads: Sequence[str] = ()) -> Json:
    """Return an event of a model: its inputs' names are quoted, its own is not.

    The end of the run has no inputs.
    """
    quoted = [".".join(f'"{part}"' for part in each.split(".")) for each in reads]
    return sqlmesh.event(
        kind, minutes, job=("sqlmesh", model), run=run_id("sqlmesh", model),
        reads=[ref((DUCK, each)) for each in quoted] if kind == "START" else [],
        writes=[ref((DUCK, model))],
    )  # fmt: skip


def least(kind: str, minutes: float) -> Json:
    """Return the smallest event: a run id and a producer that are neither UUID nor address."""
    event = Producer("producer").event(
        kind, minutes, job=("job_namespace", "job_name"), run="run_id",
        reads=[{"namespace": "input_namespace", "name": "input_name"}],
        writes=[{"namespace": "output_namespace", "name": "output_name"}],
    )  # fmt: skip
    event["schemaURL"] = "schema"
    del event["run"]["facets"], event["job"]["facets"]
    return event
