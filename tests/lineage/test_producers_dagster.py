"""Dagster's one run id for many jobs, and its assets that only ever complete."""

import pytest

from lineage.models import Run
from tests.factories.events import dataset, run
from tests.factories.producers.dagster import ASSETS, materialised, pipeline, step
from tests.factories.producers.drawing import ORDERS, Drawing, Events, drawn, refused, trained_on
from tests.factories.producers.envelope import ref, run_id
from tests.lineage.conftest import made_from

MODEL = dataset("forecast", model=True)

HOUR: Events = [
    pipeline("START", "hourly", 0),
    step("START", "hourly", "fetch", 1),
    step("COMPLETE", "hourly", "fetch", 2),
    materialised("hourly", "raw_orders", 3),
    materialised("hourly", "orders", 4, reads=["raw_orders"]),
    materialised("hourly", "revenue", 5, reads=["orders"]),
    step("START", "hourly", "notify", 6),
    step("FAIL", "hourly", "notify", 7),
    pipeline("FAIL", "hourly", 8),
]


@pytest.mark.parametrize("order", ORDERS)
def test_an_hour_gives_one_graph(send, order):
    send(ORDERS[order](HOUR))
    assert refused() == []
    assets = ["raw_orders", "orders", "revenue"]
    assert drawn() == Drawing(
        datasets=set(assets),
        jobs={"hourly", "hourly.fetch", "hourly.notify", *(f"asset.{each}" for each in assets)},
        runs=sorted([
            ("hourly", "FAIL"), ("hourly.fetch", "COMPLETE"), ("hourly.notify", "FAIL"),
            *((f"asset.{each}", "COMPLETE") for each in assets),
        ]),
        edges={
            *((f"asset.{each}", each) for each in assets),
            ("raw_orders", "asset.orders"), ("orders", "asset.revenue"),
        },
    )  # fmt: skip


def test_one_run_id_under_four_jobs_is_four_runs_and_mixes_nothing(send):
    send(HOUR)
    shared = Run.objects.filter(run_id=run_id("dagster", "hourly")).order_by("job__name")
    assert [(each.job.name, each.get_state_display()) for each in shared] == [
        ("asset.orders", "COMPLETE"), ("asset.raw_orders", "COMPLETE"),
        ("asset.revenue", "COMPLETE"), ("hourly", "FAIL"),
    ]  # fmt: skip


@pytest.mark.parametrize("order", ORDERS)
def test_steps_belong_to_their_pipeline(send, order):
    send(ORDERS[order](HOUR))
    steps = Run.objects.filter(job__name__startswith="hourly.")
    assert set(steps.values_list("parent__job__name", "root__job__name")) == {("hourly", "hourly")}


@pytest.mark.parametrize("order", ORDERS)
def test_assets_without_a_start_pass_on_what_they_read(send, order):
    train = run("train", 9, 10, reads=[ref((ASSETS, "revenue"))], writes=[MODEL])
    send(ORDERS[order]([*HOUR, *train]))
    assert made_from("forecast") == ["orders", "raw_orders", "revenue"]
    assert trained_on(ASSETS, "raw_orders") == [("forecast", "COMPLETE")]


def test_a_run_that_was_only_completed_began_when_it_ended(send):
    send([materialised("hourly", "orders", 4)])
    only = Run.objects.get()
    assert only.started_at == only.state_at == only.last_heard_at
