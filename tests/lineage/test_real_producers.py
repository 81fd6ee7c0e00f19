"""Events captured from real producers give the graph that a person would draw."""

import json
from pathlib import Path
from typing import Any

import pytest

from governance.services.registry import register_model
from lineage.models import DatasetVersion, InboxEvent, ModelVersion, RunInput
from lineage.openlineage import RunState
from lineage.selectors import transparency

CAPTURED = Path(__file__).parents[1] / "events"


def captured(name: str) -> list[dict[str, Any]]:
    lines = (CAPTURED / name / "events.ndjson").read_text().splitlines()
    return [json.loads(line)["body"] for line in lines]


def edges() -> set[tuple[str, str]]:
    """Return (data set, job) for reads and (job, data set) for writes."""
    reads = RunInput.objects.values_list("dataset__name", "run__job__name")
    writes = DatasetVersion.objects.filter(kind="written")
    return set(reads) | set(writes.values_list("run__job__name", "dataset__name"))


DBT_POSTGRES = {
    "stg_consents": [],
    "stg_customers": [],
    "stg_orders": [],
    "marketing_audience": ["stg_consents", "stg_customers"],
    "customer_orders": ["stg_customers", "stg_orders"],
    "country_revenue": ["stg_customers", "stg_orders"],
    "training_set": ["customer_orders", "marketing_audience", "stg_customers"],
}


def test_dbt_on_postgresql_gives_the_graph_of_its_models(send):
    send(captured("dbt-postgres"))
    drawn = edges()
    for model, parents in DBT_POSTGRES.items():
        job = f"shop.public.shop.{model}"
        assert {read for read, at in drawn if at == job} == {f"shop.public.{p}" for p in parents}
        assert {out for at, out in drawn if at == job} == {f"shop.public.{model}"}


def test_dbt_tests_read_and_write_nothing(send):
    send(captured("dbt-duckdb"))
    drawn = edges()
    assert {read for read, at in drawn if at == "test.shop.no_negative_amounts"} == {
        "shop.main.stg_orders"
    }
    assert not {out for at, out in drawn if at.endswith(".test")}


def test_dlt_s_inputs_arrive_while_it_runs(send):
    send(captured("dlt"))
    assert {read for read, at in edges() if at == "crm"} == {"consents", "users"}


def test_the_stock_client_s_training_of_a_registered_model_makes_a_version(send):
    register_model(namespace="s3://models", name="churn/v1")
    send(captured("python-client"))
    [made] = ModelVersion.objects.select_related("model__dataset", "version", "version__run")
    assert (made.model.dataset.name, made.version.run.state) == ("churn/v1", RunState.COMPLETE)
    assert [d.name for d, _ in transparency.datasets_in(made)] == ["shop.public.customers"]


@pytest.mark.parametrize("name", sorted(path.name for path in CAPTURED.iterdir()))
def test_every_captured_event_is_applied(send, name):
    events = captured(name)
    send(events)
    states = set(InboxEvent.objects.values_list("state", flat=True))
    assert states == {"done"}
    assert InboxEvent.objects.count() == len({json.dumps(e, sort_keys=True) for e in events})
