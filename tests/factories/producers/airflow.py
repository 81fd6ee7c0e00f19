"""Airflow: a run of a DAG, a run of each task and try below it, and what a task submits below that.

START already carries inputs and outputs, the end repeats them; a retry is a new run; every task
names its DAG's run as parent and, since 2.4 of the provider, as root.
"""

from typing import Any

from tests.factories.producers.envelope import Json, Producer, ref, run_id

NAMESPACE = "http://airflow.example:8080"
DAG = "nightly"
WAREHOUSE = "postgres://warehouse.example:5432"

airflow = Producer(
    "https://github.com/apache/airflow/tree/providers-openlineage/2.3.0", zone="+00:00"
)


def root(dag: str = DAG, day: int = 1) -> tuple[str, str, str]:
    """Return the DAG's run: namespace, job and run id."""
    return NAMESPACE, dag, run_id("dag", dag, day)


def dag_run(kind: str, minutes: float, *, day: int = 1) -> Json:
    """Return an event of the DAG's own run, which reads and writes nothing."""
    nominal = airflow.facet(
        "1-0-1/NominalTimeRunFacet",
        nominalStartTime=f"2026-06-{day:02}T00:00:00+00:00",
        nominalEndTime=f"2026-06-{day + 1:02}T00:00:00+00:00",
    )
    own = airflow.own(
        dag={"dag_id": DAG, "owner": "data", "schedule_interval": "@daily", "timetable": {}},
        dagRun={"conf": {}, "dag_id": DAG, "run_type": "scheduled", "external_trigger": False},
    )
    return airflow.event(
        kind, minutes, job=(NAMESPACE, DAG), run=root(day=day)[2],
        job_facets={
            "jobType": airflow.job_type("BATCH", "AIRFLOW", "DAG"),
            "ownership": airflow.facet("1-0-1/OwnershipJobFacet", owners=[{"name": "data"}]),
            "airflow": airflow.own(taskTree={}, tasks={"load": {"emits_ol_events": True}}),
        },
        run_facets={"nominalTime": nominal, "airflowDagRun": own},
    )  # fmt: skip


def task(
    kind: str,
    name: str,
    minutes: float,
    *,
    attempt: int = 1,
    day: int = 1,
    sql: str = "",
    reads: tuple[str, ...] = (),
    writes: tuple[str, ...] = (),
    lifecycle: str = "",
    knows_root: bool = True,
) -> Json:
    """Return an event of one try of a task; its end says less of the job than its start."""
    facets: Json = {"jobType": airflow.job_type("BATCH", "AIRFLOW", "TASK")}
    if kind == "START":
        owners = [{"name": "analytics", "type": "TEAM"}]
        facets["ownership"] = airflow.facet("1-0-1/OwnershipJobFacet", owners=owners)
    if sql:
        facets["sql"] = airflow.facet("1-0-1/SQLJobFacet", query=sql)
    dag = root(day=day)
    own: Json = {
        "parent": airflow.parent(dag[:2], dag[2], dag if knows_root else None),
        "airflow": airflow.own(
            task={"task_id": name, "operator_class": "SQLExecuteQueryOperator", "retries": 2},
            taskInstance={"try_number": attempt, "pool": "default_pool"},
        ),
        "processing_engine": airflow.facet(
            "1-1-1/ProcessingEngineRunFacet",
            name="Airflow", version="2.10.5", openlineageAdapterVersion="2.3.0",
        ),
    }  # fmt: skip
    return airflow.event(
        kind, minutes, job=(NAMESPACE, f"{DAG}.{name}"), run=task_run(name, attempt, day),
        job_facets=facets, run_facets=own,
        reads=[table(each) for each in reads],
        writes=[table(each, lifecycle) for each in writes],
    )  # fmt: skip


def task_run(name: str, attempt: int = 1, day: int = 1) -> str:
    """Return the run id of one try."""
    return run_id("task", DAG, name, day, attempt)


def table(name: str, lifecycle: str = "") -> Json:
    """Return a table of the warehouse."""
    source = airflow.facet(
        "1-0-1/DatasourceDatasetFacet", name=WAREHOUSE, uri=f"{WAREHOUSE}/warehouse"
    )
    facets: dict[str, Any] = {"dataSource": source}
    if lifecycle:
        facets["lifecycleStateChange"] = airflow.facet(
            "1-0-1/LifecycleStateChangeDatasetFacet", lifecycleStateChange=lifecycle
        )
    return ref((WAREHOUSE, f"warehouse.public.{name}"), facets)
