"""Spark: an application's run, a run of each query below it, and RUNNING for every stage.

A query's job is named after the application, the plan's node and its target. Tables are files
with a symlink to their name in the catalogue. ``columnLineage`` comes when the plan is known,
after START; what was filtered or joined by is said of the whole data set.
"""

from collections.abc import Sequence

from tests.factories.producers.envelope import Json, Producer, ref, run_id

NAMESPACE = "spark-jobs"
STORE = "hdfs://namenode.example:8020"
METASTORE = "hive://metastore.example:9083"
INSERT = "execute_insert_into_hadoop_fs_relation_command"

spark = Producer("https://github.com/OpenLineage/OpenLineage/tree/1.40.0/integration/spark")

Column = tuple[str, str, str]
"""A table, its column, and the subtype of the transformation."""


def path(table: str) -> str:
    """Return where the files of a table are."""
    database, name = table.split(".")
    return f"/warehouse/{database}.db/{name}"


def query_job(app: str, target: str, node: str = INSERT) -> str:
    """Return the job's name of the query that writes a table."""
    return f"{app}.{node}.{path(target).strip('/').replace('/', '_').replace('.', '_')}"


def table(name: str, *, source: str = STORE, **facets: Json) -> Json:
    """Return a table as Spark sees it: its files, and its name in the catalogue as a symlink."""
    other = {"namespace": METASTORE, "name": name, "type": "TABLE"}
    known = {
        "dataSource": spark.facet("1-0-1/DatasourceDatasetFacet", name=source, uri=source),
        "symlinks": spark.facet("1-0-1/SymlinksDatasetFacet", identifiers=[other]),
        "schema": spark.facet("1-1-1/SchemaDatasetFacet", fields=[{"name": "id", "type": "long"}]),
    }
    return ref((source, path(name)), known | facets)


def columns(fields: dict[str, Sequence[Column]], by: Sequence[Column] = ()) -> Json:
    """Return a columnLineage facet; ``by`` is what the rows were filtered, joined or sorted by."""

    def source(column: Column, kind: str) -> Json:
        name, field, subtype = column
        step = {"type": kind, "subtype": subtype, "description": "", "masking": subtype == "MASK"}
        if subtype == "MASK":
            step["subtype"] = "TRANSFORMATION"
        return {
            "namespace": STORE, "name": path(name), "field": field, "transformations": [step],
        }  # fmt: skip

    return spark.facet(
        "1-2-0/ColumnLineageDatasetFacet",
        fields={
            field: {"inputFields": [source(each, "DIRECT") for each in sources]}
            for field, sources in fields.items()
        },
        dataset=[source(each, "INDIRECT") for each in by],
    )


def application(
    kind: str, app: str, minutes: float, *, parent: tuple[str, str, str] | None = None,
    root: tuple[str, str, str] | None = None,
) -> Json:  # fmt: skip
    """Return an event of the application, which itself reads and writes nothing."""
    facets: Json = {"spark_properties": spark.own(properties={"spark.app.name": app})}
    if parent is not None:
        facets["parent"] = spark.parent(parent[:2], parent[2], root)
    return spark.event(
        kind, minutes, job=(NAMESPACE, app), run=run_id("app", app),
        job_facets={"jobType": spark.job_type("NONE", "SPARK", "APPLICATION")},
        run_facets=facets,
    )  # fmt: skip


def query(
    app: str,
    target: Json,
    name: str,
    starts: float,
    ends: float,
    *,
    reads: Sequence[Json],
    said: Json | None = None,
    running: int = 3,
    lifecycle: str = "OVERWRITE",
    kind: str = "COMPLETE",
) -> list[Json]:
    """Return the events of one query: START, RUNNING for each stage, and its end."""
    change = spark.facet("1-0-1/LifecycleStateChangeDatasetFacet", lifecycleStateChange=lifecycle)
    early = {**target, "facets": {**target["facets"], "lifecycleStateChange": change}}
    late = {**early, "facets": {**early["facets"], **({"columnLineage": said} if said else {})}}
    written = spark.facet("1-0-2/OutputStatisticsOutputDatasetFacet", rowCount=100, size=5000)
    whole = {**late, "outputFacets": {"outputStatistics": written}}
    step = (ends - starts) / (running + 1)
    made = [_of_query("START", (app, name), starts, reads, early)]
    made += [
        _of_query("RUNNING", (app, name), starts + step * (n + 1), reads, late)
        for n in range(running)
    ]
    return [*made, _of_query(kind, (app, name), ends, reads, whole)]


def _of_query(
    kind: str, names: tuple[str, str], minutes: float, reads: Sequence[Json], target: Json
) -> Json:
    app, name = names
    own = (NAMESPACE, app, run_id("app", app))
    return spark.event(
        kind, minutes, job=(NAMESPACE, name), run=run_id("query", name),
        job_facets={"jobType": spark.job_type("BATCH", "SPARK", "SQL_JOB")},
        run_facets={
            "parent": spark.parent(own[:2], own[2], own),
            "spark_jobDetails": spark.own(jobId=3),
        },
        reads=[{**each, "inputFacets": {}} for each in reads], writes=[target],
    )  # fmt: skip
