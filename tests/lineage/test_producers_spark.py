"""Spark's many events of one query give one run, and a table one data set under all its names."""

import pytest

from lineage.models import ColumnEdge, DatasetFacet, DatasetVersion, ModelVersion, Run
from lineage.selectors import transparency
from tests.factories.events import dataset, run
from tests.factories.producers.drawing import ORDERS, Drawing, Events, drawn, refused, trained_on
from tests.factories.producers.envelope import ref
from tests.factories.producers.spark import (
    METASTORE,
    STORE,
    application,
    columns,
    path,
    query,
    query_job,
    table,
)
from tests.lineage.conftest import made_from

APP = "churn_features"
FEATURES, AUDIENCE = "shop.features", "shop.audience"
SAID = columns(
    {"id": [("shop.customers", "id", "IDENTITY")], "city": [("shop.customers", "city", "MASK")]},
    by=[("shop.consents", "given", "FILTER"), ("shop.customers", "id", "JOIN")],
)
READS = [table("shop.customers"), table("shop.consents"), table("shop.weather")]
MODEL = dataset("churn", model=True)

MORNING: Events = [
    application("START", APP, 0),
    *query(APP, table(FEATURES), query_job(APP, FEATURES), 1, 3, reads=READS, said=SAID),
    *query(APP, table(AUDIENCE), query_job(APP, AUDIENCE), 2, 4, reads=READS[:2], running=6),
    application("COMPLETE", APP, 5),
]
TABLES = ["shop.customers", "shop.consents", "shop.weather", FEATURES, AUDIENCE]


@pytest.mark.parametrize("order", ORDERS)
def test_a_morning_gives_one_graph(send, order):
    send(ORDERS[order](MORNING))
    features, audience = query_job(APP, FEATURES), query_job(APP, AUDIENCE)
    assert refused() == []
    assert drawn() == Drawing(
        datasets={*TABLES, *map(path, TABLES)},
        jobs={APP, features, audience},
        runs=sorted([(APP, "COMPLETE"), (features, "COMPLETE"), (audience, "COMPLETE")]),
        edges={
            *((path(each), features) for each in TABLES[:3]), (features, path(FEATURES)),
            *((path(each), audience) for each in TABLES[:2]), (audience, path(AUDIENCE)),
        },
    )  # fmt: skip


@pytest.mark.parametrize("order", ORDERS)
def test_each_query_belongs_to_its_application(send, order):
    send(ORDERS[order](MORNING))
    queries = Run.objects.exclude(job__name=APP).values_list("parent__job__name", flat=True)
    assert list(queries) == [APP, APP]


@pytest.mark.parametrize("order", ORDERS)
def test_a_query_writes_one_version_however_often_it_tells(send, order):
    send(ORDERS[order](MORNING))
    written = DatasetVersion.objects.filter(kind="written").order_by("dataset__name")
    assert list(written.values_list("dataset__name", "lifecycle", "replaces")) == [
        (path(AUDIENCE), "OVERWRITE", True),
        (path(FEATURES), "OVERWRITE", True),
    ]


@pytest.mark.parametrize("order", ORDERS)
def test_a_model_that_reads_the_catalogue_s_name_descends_from_the_files(send, order):
    train = run("train", 6, 7, reads=[ref((METASTORE, FEATURES))], writes=[MODEL])
    send(ORDERS[order]([*MORNING, *train]))
    # Of the weather no column arrives; of the consents only which rows pass.
    assert trained_on(STORE, path("shop.customers")) == [("churn", "COMPLETE")]
    assert trained_on(STORE, path("shop.consents")) == [("churn", "COMPLETE")]
    assert trained_on(METASTORE, "shop.customers") == [("churn", "COMPLETE")]
    assert trained_on(STORE, path("shop.weather")) == []


def test_a_table_is_told_once_in_a_model_whatever_it_is_called(send):
    send([*MORNING, *run("train", 6, 7, reads=[ref((METASTORE, FEATURES))], writes=[MODEL])])
    assert len(made_from("churn")) == 3
    assert {path("shop.customers"), path("shop.consents")} < set(made_from("churn"))


def test_one_unmasked_column_outweighs_a_masked_one(send):
    masked = columns({"city": [("shop.customers", "city", "MASK")]})
    both = columns({
        "city": [("shop.customers", "city", "MASK")], "id": [("shop.customers", "id", "IDENTITY")],
    })  # fmt: skip
    for at, (target, said) in enumerate([(AUDIENCE, masked), (FEATURES, both)]):
        noon = at * 10
        job = query_job(APP, target)
        send([
            *query(APP, table(target), job, noon, noon + 1, reads=READS[:1], said=said),
            *run(f"train {target}", noon + 2, noon + 3, reads=[table(target)],
                 writes=[dataset(f"model of {target}", model=True)]),
        ])  # fmt: skip
    send(run("ingest", -2, -1, writes=[table("shop.customers")]))
    known = {
        use.model_version.model.dataset.name: str(use.certainty)
        for use in transparency.models_using(
            transparency.dataset_named(STORE, path("shop.customers"))
        )
    }
    assert known == {f"model of {AUDIENCE}": "masked", f"model of {FEATURES}": "inferred"}


@pytest.mark.parametrize("order", ORDERS)
def test_each_column_s_way_is_kept_once(send, order):
    send(ORDERS[order](MORNING))
    edges = ColumnEdge.objects.values_list(
        "input__name", "input_field", "output_field", "kind", "masking"
    )
    assert sorted(edges) == [
        (path("shop.consents"), "given", "", "INDIRECT", False),
        (path("shop.customers"), "city", "city", "DIRECT", True),
        (path("shop.customers"), "id", "", "INDIRECT", False),
        (path("shop.customers"), "id", "id", "DIRECT", False),
    ]


def test_an_overwrite_by_spark_leaves_nothing_of_the_day_before(send):
    old = query("old", table(FEATURES), query_job("old", FEATURES), 0, 1, reads=READS[2:])
    new = query("new", table(FEATURES), query_job("new", FEATURES), 2, 3, reads=READS[:1])
    send([*old, *new, *run("train", 4, 5, reads=[table(FEATURES)], writes=[MODEL])])
    assert trained_on(STORE, path("shop.weather")) == []
    assert trained_on(STORE, path("shop.customers")) == [("churn", "COMPLETE")]


def test_an_overwrite_that_failed_may_have_left_the_day_before(send):
    old = query("old", table(FEATURES), query_job("old", FEATURES), 0, 1, reads=READS[2:])
    new = query(
        "new", table(FEATURES), query_job("new", FEATURES), 2, 3, reads=READS[:1], kind="FAIL"
    )
    send([*old, *new, *run("train", 4, 5, reads=[table(FEATURES)], writes=[MODEL])])
    assert trained_on(STORE, path("shop.weather")) == [("churn", "COMPLETE")]


@pytest.mark.parametrize("source", ["file", "bigquery"])
def test_a_data_source_that_is_no_address_refuses_nothing(send, source):
    bought = table("shop.bought", source=source)
    send(query(APP, bought, query_job(APP, "shop.bought"), 0, 1, reads=[bought]))
    assert refused() == []
    facet = DatasetFacet.objects.get(dataset__name=path("shop.bought"), name="dataSource")
    assert facet.value["uri"] == source


def test_a_query_in_flight_is_seen_with_what_it_reads(send):
    events = query(APP, ref(("test", "churn"), MODEL["facets"]), f"{APP}.fit", 0, 4, reads=READS)
    send(events[:2])
    assert trained_on(STORE, path("shop.weather")) == [("churn", "RUNNING")]
    assert ModelVersion.objects.count() == 1
    send(events[2:])
    assert trained_on(STORE, path("shop.weather")) == [("churn", "COMPLETE")]
    assert ModelVersion.objects.count() == 1
