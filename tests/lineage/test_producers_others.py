"""Hive, dbt, sqlmesh and the smallest event there is."""

import pytest

from governance.models import Dataset
from lineage.models import ModelVersion, Run
from lineage.selectors import transparency
from tests.factories.events import dataset, run
from tests.factories.producers.drawing import ORDERS, Drawing, Events, drawn, refused, trained_on
from tests.factories.producers.envelope import Json, ref
from tests.factories.producers.others import (
    DATABASE,
    DUCK,
    METASTORE,
    dbt_invocation,
    dbt_node,
    hive,
    hive_query,
    hive_table,
    least,
    sqlmesh_model,
)
from tests.lineage.conftest import made_from

MODEL = dataset("scores", model=True)


def masked_from(table: str) -> Json:
    source = {
        "namespace": METASTORE, "name": table, "field": "email",
        "transformations": [
            {"type": "DIRECT", "subtype": "TRANSFORMATION", "description": "", "masking": True}
        ],
    }  # fmt: skip
    fields = {"email_hash": {"inputFields": [source]}}
    return hive.facet("1-2-0/ColumnLineageDatasetFacet", fields=fields, dataset=[])


HIVE: Events = [
    *hive_query("load", 0, 1, reads=[ref(("file", "/landing/people.csv"))],
                target=hive_table("crm.people"), said={}),
    *hive_query("createtable_as_select", 2, 3, reads=[hive_table("crm.people")],
                target=hive_table("crm.hashed"), said={"columnLineage": masked_from("crm.people")}),
]  # fmt: skip


@pytest.mark.parametrize("order", ORDERS)
def test_hive_s_queries_give_one_graph(send, order):
    send(ORDERS[order](HIVE))
    load, hashed = "load.crm.people", "createtable_as_select.crm.hashed"
    assert refused() == []
    assert drawn() == Drawing(
        datasets={
            "/landing/people.csv", "crm.people", "crm.hashed",
            "/opt/hive/warehouse/crm.db/people", "/opt/hive/warehouse/crm.db/hashed",
        },
        jobs={load, hashed},
        runs=[(hashed, "COMPLETE"), (load, "COMPLETE")],
        edges={
            ("/landing/people.csv", load), (load, "crm.people"),
            ("crm.people", hashed), (hashed, "crm.hashed"),
        },
    )  # fmt: skip


@pytest.mark.parametrize("order", ORDERS)
def test_what_hive_masked_is_masked_under_every_name_of_the_table(send, order):
    files = ref(("file", "/opt/hive/warehouse/crm.db/hashed"))
    send(ORDERS[order]([*HIVE, *run("train", 4, 5, reads=[files], writes=[MODEL])]))
    for name in ((METASTORE, "crm.people"), ("file", "/opt/hive/warehouse/crm.db/people")):
        [use] = transparency.models_using(transparency.dataset_named(*name))
        assert str(use.certainty) == "masked"


BUILT: Events = [
    dbt_invocation("START", "build", 0),
    dbt_node("START", "build", "people", 1, writes="people", suffix=".build.run"),
    dbt_node("START", "build", "adults", 2, reads=["people"], writes="adults",
             suffix=".build.run"),
    dbt_node("START", "build", "adults", 4, reads=["adults"], suffix=".build.test"),
    dbt_node("COMPLETE", "build", "people", 1.5, writes="people", suffix=".build.run"),
    dbt_node("COMPLETE", "build", "adults", 3, reads=["people"], writes="adults",
             suffix=".build.run"),
    dbt_node("FAIL", "build", "adults", 4, reads=["adults"], suffix=".build.test"),
    dbt_invocation("FAIL", "build", 5),
]  # fmt: skip


@pytest.mark.parametrize("order", ORDERS)
def test_dbt_s_build_gives_one_graph(send, order):
    send(ORDERS[order](BUILT))
    people, adults, test = (
        f"shop.public.shop.{each}" for each in ("people.build.run", "adults.build.run",
                                                "adults.build.test")
    )  # fmt: skip
    assert refused() == []
    assert drawn() == Drawing(
        datasets={"shop.public.people", "shop.public.adults"},
        jobs={"dbt-build-shop", people, adults, test},
        runs=sorted([
            ("dbt-build-shop", "FAIL"), (people, "COMPLETE"), (adults, "COMPLETE"), (test, "FAIL"),
        ]),
        edges={
            (people, "shop.public.people"), ("shop.public.people", adults),
            (adults, "shop.public.adults"), ("shop.public.adults", test),
        },
    )  # fmt: skip


def test_dbt_s_run_and_build_of_a_model_are_two_jobs_that_write_one_table(send):
    ran = [
        dbt_node(kind, "run", "adults", at, reads=["people"], writes="adults")
        for kind, at in (("START", 10), ("COMPLETE", 11))
    ]
    send([*BUILT, *ran])
    writers = {job for job, name in drawn().edges if name == "shop.public.adults"}
    assert writers == {"shop.public.shop.adults", "shop.public.shop.adults.build.run"}


def test_a_failed_test_of_dbt_is_no_way_for_data(send):
    send([
        *BUILT,
        *run("train", 6, 7, reads=[ref((DATABASE, "shop.public.adults"))], writes=[MODEL]),
    ])  # fmt: skip
    assert made_from("scores") == ["shop.public.adults", "shop.public.people"]


@pytest.mark.parametrize("events", [HIVE, BUILT], ids=["hive", "dbt"])
def test_an_event_at_a_time_backwards_gives_the_same_graph(send, events):
    for each in events[::-1]:
        send([each])
    one_by_one = drawn()
    send(events)
    assert drawn() == one_by_one
    assert len(one_by_one.runs) == len({(each["job"]["name"]) for each in events})


SQLMESH: Events = [
    sqlmesh_model("START", "shop.main.people", 0),
    sqlmesh_model("COMPLETE", "shop.main.people", 1),
    sqlmesh_model("START", "shop.main.adults", 2, reads=["shop.main.people"]),
    sqlmesh_model("COMPLETE", "shop.main.adults", 3),
]


@pytest.mark.parametrize("order", ORDERS)
def test_an_end_without_inputs_keeps_those_of_the_start(send, order):
    send(ORDERS[order](SQLMESH))
    train = run("train", 4, 5, reads=[ref((DUCK, "shop.main.adults"))], writes=[MODEL])
    send(train)
    assert refused() == []
    assert len(made_from("scores")) == 2


def test_a_quoted_name_is_the_table_without_the_quotes(send):
    train = run("train", 4, 5, reads=[ref((DUCK, "shop.main.adults"))], writes=[MODEL])
    ingest = run("ingest", -2, -1, reads=["letters"], writes=[ref((DUCK, "shop.main.people"))])
    send([*ingest, *SQLMESH, *train])
    assert trained_on(DUCK, "shop.main.people") == [("scores", "COMPLETE")]
    assert trained_on(DUCK, '"shop"."main"."people"') == [("scores", "COMPLETE")]
    assert trained_on("test", "letters") == [("scores", "COMPLETE")]
    assert len(made_from("scores")) == 3


@pytest.mark.parametrize("order", ORDERS)
def test_the_least_event_is_enough(send, order):
    send(ORDERS[order]([least("START", 0), least("COMPLETE", 1)]))
    assert refused() == []
    assert drawn() == Drawing(
        datasets={"input_name", "output_name"},
        jobs={"job_name"},
        runs=[("job_name", "COMPLETE")],
        edges={("input_name", "job_name"), ("job_name", "output_name")},
    )
    assert Run.objects.get().run_id == "run_id"
    assert set(Dataset.objects.values_list("namespace", flat=True)) == {
        "input_namespace", "output_namespace",
    }  # fmt: skip
    assert ModelVersion.objects.count() == 0
