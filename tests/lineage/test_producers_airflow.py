"""Airflow's events give the graph that a person would draw, in whatever order they come."""

import pytest

from lineage.models import Job, Run, RunFacet
from lineage.selectors.facets import of_job
from tests.factories.events import dataset
from tests.factories.producers import spark
from tests.factories.producers.airflow import DAG, WAREHOUSE, dag_run, root, table, task, task_run
from tests.factories.producers.drawing import ORDERS, Drawing, Events, drawn, refused, trained_on
from tests.factories.producers.envelope import ref
from tests.lineage.conftest import made_from

MODEL = ref(("s3://models", "churn"), dataset("churn", model=True)["facets"])
LOAD = "INSERT INTO orders SELECT * FROM landing"
APP = "churn_training"
FIT = f"{APP}.fit"

NIGHT: Events = [
    dag_run("START", 0),
    task("START", "load", 1, sql=LOAD, reads=("landing",), writes=("orders",)),
    task("FAIL", "load", 2, sql=LOAD, reads=("landing",), writes=("orders",)),
    task("START", "load", 3, attempt=2, sql=LOAD, reads=("landing",), writes=("orders",)),
    task("COMPLETE", "load", 4, attempt=2, sql=LOAD, reads=("landing",), writes=("orders",)),
    task("START", "train", 5),
    spark.application(
        "START", APP, 6, parent=("http://airflow.example:8080", f"{DAG}.train", task_run("train")),
        root=root(),
    ),
    *spark.query(APP, MODEL, FIT, 7, 8, reads=[table("orders")], running=1),
    spark.application("COMPLETE", APP, 9),
    task("COMPLETE", "train", 10),
    dag_run("COMPLETE", 11),
]  # fmt: skip

DRAWN = Drawing(
    datasets={"warehouse.public.landing", "warehouse.public.orders", "churn"},
    jobs={DAG, f"{DAG}.load", f"{DAG}.train", APP, FIT},
    runs=sorted([
        (DAG, "COMPLETE"), (f"{DAG}.load", "FAIL"), (f"{DAG}.load", "COMPLETE"),
        (f"{DAG}.train", "COMPLETE"), (APP, "COMPLETE"), (FIT, "COMPLETE"),
    ]),
    edges={
        ("warehouse.public.landing", f"{DAG}.load"), (f"{DAG}.load", "warehouse.public.orders"),
        ("warehouse.public.orders", FIT), (FIT, "churn"),
    },
)  # fmt: skip


@pytest.mark.parametrize("order", ORDERS)
def test_a_night_gives_one_graph(send, order):
    send(ORDERS[order](NIGHT))
    assert refused() == []
    assert drawn() == DRAWN


@pytest.mark.parametrize("order", ORDERS)
def test_each_run_knows_its_parent_and_its_root(send, order):
    send(ORDERS[order](NIGHT))
    above = Run.objects.values_list("job__name", "parent__job__name", "root__job__name")
    assert set(above) == {
        (DAG, None, None),
        (f"{DAG}.load", DAG, DAG),
        (f"{DAG}.train", DAG, DAG),
        (APP, f"{DAG}.train", DAG),
        # Spark tells a query's application as its root: it does not know of the DAG.
        (FIT, APP, APP),
    }


@pytest.mark.parametrize("order", ORDERS)
def test_the_model_descends_from_what_the_night_loaded(send, order):
    send(ORDERS[order](NIGHT))
    assert made_from("churn") == ["warehouse.public.landing", "warehouse.public.orders"]
    assert trained_on(WAREHOUSE, "warehouse.public.landing") == [("churn", "COMPLETE")]


def test_the_second_try_is_a_run_of_its_own_and_the_first_stays_failed(send):
    send(NIGHT)
    tries = Run.objects.filter(job__name=f"{DAG}.load").order_by("started_at")
    assert [(run.run_id, run.get_state_display()) for run in tries] == [
        (task_run("load", 1), "FAIL"),
        (task_run("load", 2), "COMPLETE"),
    ]


def test_two_nights_are_two_runs_of_the_same_jobs(send):
    reads, writes = ("landing",), ("orders",)
    for day, noon in ((1, 0), (2, 1440)):
        send([
            dag_run("START", noon, day=day),
            task("START", "load", noon + 1, day=day, reads=reads, writes=writes),
            task("COMPLETE", "load", noon + 2, day=day, reads=reads, writes=writes),
            dag_run("COMPLETE", noon + 3, day=day),
        ])  # fmt: skip
    assert drawn().jobs == {DAG, f"{DAG}.load"}
    assert drawn().runs == [(DAG, "COMPLETE")] * 2 + [(f"{DAG}.load", "COMPLETE")] * 2


def test_a_task_without_a_root_belongs_to_its_dag(send):
    send([task("START", "load", 0, knows_root=False)])
    run = Run.objects.select_related("parent", "root").get(job__name=f"{DAG}.load")
    assert (run.parent, run.root) == (run.root, run.parent)
    assert run.parent.run_id == root()[2]


def test_a_dag_that_only_its_tasks_tell_of_is_heard_of(send):
    send([task("COMPLETE", "load", 0)])
    assert drawn().runs == [(DAG, "HEARD_OF"), (f"{DAG}.load", "COMPLETE")]


@pytest.mark.parametrize("order", ORDERS)
def test_the_end_of_a_task_takes_no_facet_away(send, order):
    send(ORDERS[order](NIGHT))
    load = Job.objects.get(name=f"{DAG}.load")
    facets = {each.name: each.value for each in of_job(load.namespace, load.name, opened=True)}
    assert set(facets) == {"jobType", "ownership", "sql"}
    assert facets["ownership"]["owners"] == [{"name": "analytics", "type": "TEAM"}]
    assert facets["jobType"]["jobType"] == "TASK"
    assert facets["sql"]["query"] == LOAD
    nominal = RunFacet.objects.get(run__job__name=DAG, name="nominalTime").value
    assert nominal["nominalStartTime"] == "2026-06-01T00:00:00+00:00"


def test_a_table_that_a_task_dropped_brings_nothing_of_before(send):
    send([
        task("COMPLETE", "load", 0, reads=("landing",), writes=("orders",)),
        task("START", "drop", 1, writes=("orders",), lifecycle="DROP"),
        task("COMPLETE", "drop", 2, writes=("orders",), lifecycle="DROP"),
        task("START", "fill", 3, reads=("fresh",), writes=("orders",)),
        task("COMPLETE", "fill", 4, reads=("fresh",), writes=("orders",)),
        *spark.query(APP, MODEL, FIT, 7, 8, reads=[table("orders")]),
    ])  # fmt: skip
    assert made_from("churn") == ["warehouse.public.fresh", "warehouse.public.orders"]
    assert trained_on(WAREHOUSE, "warehouse.public.landing") == []


def test_a_run_id_in_capitals_is_the_same_run(send):
    start = task("START", "load", 0, reads=("landing",))
    start["run"]["runId"] = start["run"]["runId"].upper()
    send([start, task("COMPLETE", "load", 1, writes=("orders",))])
    assert drawn().runs == [(DAG, "HEARD_OF"), (f"{DAG}.load", "COMPLETE")]


def parsed_columns(fields: dict[str, str]) -> dict[str, object]:
    """Return the facet as the SQL parser makes it: no transformations, and nothing of joins."""
    return {
        "fields": {
            field: {
                "inputFields": [
                    {"namespace": WAREHOUSE, "name": f"warehouse.public.{source}", "field": field}
                ],
                "transformationDescription": "",
                "transformationType": "",
            }
            for field, source in fields.items()
        }
    }


def test_columns_that_cannot_tell_of_joins_leave_no_input_out(send):
    end = task("COMPLETE", "load", 1, reads=("people", "consents"), writes=("audience",))
    end["outputs"][0]["facets"]["columnLineage"] = parsed_columns({"id": "people"})
    send([end, *spark.query(APP, MODEL, FIT, 7, 8, reads=[table("audience")])])
    assert made_from("churn") == [
        "warehouse.public.audience", "warehouse.public.consents", "warehouse.public.people",
    ]  # fmt: skip


def test_columns_may_name_a_table_that_the_task_does_not_list(send):
    end = task("COMPLETE", "load", 1, writes=("audience",))
    end["outputs"][0]["facets"]["columnLineage"] = parsed_columns({"id": "people"})
    send([end, *spark.query(APP, MODEL, FIT, 7, 8, reads=[table("audience")])])
    assert made_from("churn") == ["warehouse.public.audience", "warehouse.public.people"]
    assert ("warehouse.public.people", f"{DAG}.load") in drawn().edges
