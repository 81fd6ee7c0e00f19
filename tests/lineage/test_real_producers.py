"""Events captured from real producers give the graph that a person would draw."""

import json
from pathlib import Path
from typing import Any

import pytest

from governance.services.registry import register_model
from lineage.models import DatasetVersion, Identity, InboxEvent, ModelVersion, Run
from lineage.openlineage import RunState
from lineage.selectors import transparency
from tests.factories.producers.drawing import ORDERS, Drawing, drawn, refused

CAPTURED = Path(__file__).parents[1] / "events"


def captured(name: str) -> list[dict[str, Any]]:
    lines = (CAPTURED / name / "events.ndjson").read_text().splitlines()
    return [json.loads(line)["body"] for line in lines]


PARENTS = {
    "stg_consents": [],
    "stg_customers": [],
    "stg_orders": [],
    "marketing_audience": ["stg_consents", "stg_customers"],
    "customer_orders": ["stg_customers", "stg_orders"],
    "country_revenue": ["stg_customers", "stg_orders"],
    "training_set": ["customer_orders", "marketing_audience", "stg_customers"],
    "broken_model": ["stg_orders"],
}
# What dbt names as sources of columns alone: tables that it did not make, and once the alias of a
# table in a query, which it takes for a table.
NAMED_BY_COLUMNS = {
    "stg_consents": "{schema}.raw_consents",
    "stg_customers": "{schema}.raw_customers",
    "stg_orders": "{schema}.raw_orders",
    "customer_orders": "o",
}
TESTED = ["marketing_audience", "customer_orders", "stg_customers", "stg_orders"]
INVOCATION, SINGULAR = "dbt-run-shop", "test.shop.no_negative_amounts"


class Dbt:
    """What a person draws of dbt's invocations of the shop's project."""

    def __init__(self, schema: str) -> None:
        self.schema = f"shop.{schema}"
        self.runs: list[tuple[str, str]] = []
        self.edges: set[tuple[str, str]] = set()

    def models(self, *models: str, suffix: str = "", state: str = "COMPLETE") -> "Dbt":
        """Draw models that were made from their parents."""
        for model in models:
            job = f"{self.schema}.shop.{model}{suffix}"
            self.runs.append((job, state))
            self.edges |= {(f"{self.schema}.{each}", job) for each in PARENTS[model]}
            self.edges.add((job, f"{self.schema}.{model}"))
            if model in NAMED_BY_COLUMNS:
                self.edges.add((NAMED_BY_COLUMNS[model].format(schema=self.schema), job))
        return self

    def snapshot(self) -> "Dbt":
        """Draw the snapshot of the customers."""
        job = "shop.snapshots.shop.customers_snapshot.build.snapshot"
        self.runs.append((job, "COMPLETE"))
        self.edges.add((f"{self.schema}.stg_customers", job))
        self.edges.add((job, "shop.snapshots.customers_snapshot"))
        return self

    def tests(self, suffix: str) -> "Dbt":
        """Draw the tests, of which that of the audience fails; they read and write nothing."""
        for model in TESTED:
            job = f"{self.schema}.shop.{model}{suffix}"
            self.runs.append((job, "FAIL" if model == "marketing_audience" else "COMPLETE"))
            self.edges.add((f"{self.schema}.{model}", job))
        self.runs.append((SINGULAR, "COMPLETE"))
        self.edges.add((f"{self.schema}.stg_orders", SINGULAR))
        return self

    def drawing(self, *invocations: str) -> Drawing:
        """Return the drawing, with the invocations and how they ended."""
        runs = sorted([*self.runs, *((INVOCATION, state) for state in invocations)])
        jobs = {job for job, _ in runs}
        ends = {end for edge in self.edges for end in edge}
        return Drawing(datasets=ends - jobs, jobs=jobs, runs=runs, edges=self.edges)


STAGING = ("stg_consents", "stg_customers", "stg_orders")
MARTS = ("marketing_audience", "customer_orders", "country_revenue")
BUILT = (*STAGING, *MARTS)
CUSTOMERS, CHURN = "shop.public.customers", "churn/v1"

DRAWN = {
    "dbt-duckdb": Dbt("main")
    .models(*BUILT, suffix=".build.run").snapshot().tests(".build.test").drawing("FAIL"),
    "dbt-duckdb-gzip": Dbt("main").models(*BUILT, "training_set").drawing("COMPLETE"),
    "dbt-duckdb-run": Dbt("main")
    .models(*BUILT, "training_set").models("broken_model", state="FAIL").drawing("FAIL"),
    "dbt-duckdb-test": Dbt("main").tests(".test").drawing("FAIL"),
    "dbt-postgres": Dbt("public")
    .models(*BUILT, suffix=".build.run").snapshot().tests(".build.test")
    .models(*BUILT, "training_set").drawing("FAIL", "COMPLETE"),
    "dlt": Drawing(
        datasets={"consents", "users", "raw.consents", "raw.users", "raw.users__orders"},
        jobs={"crm"},
        runs=[("crm", "COMPLETE"), ("crm", "FAIL")],
        edges={
            ("consents", "crm"), ("users", "crm"),
            ("crm", "raw.consents"), ("crm", "raw.users"), ("crm", "raw.users__orders"),
        },
    ),
    "python-client": Drawing(
        datasets={
            CUSTOMERS, "shop.customers", CHURN,
            "shop.public.old", "shop.public.new", "shop.public.prev",
        },
        jobs={"train_churn", "pipeline", "bad", "aborted"},
        runs=[
            ("aborted", "ABORT"), ("bad", "FAIL"), ("pipeline", "HEARD_OF"),
            ("train_churn", "COMPLETE"),
        ],
        edges={(CUSTOMERS, "train_churn"), ("train_churn", CHURN)},
    ),
    "python-client-async": Drawing(
        datasets=set(),
        jobs={"async0", "async1", "async2"},
        runs=[(f"async{number}", "COMPLETE") for number in range(3)],
        edges=set(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("name", sorted(DRAWN))
def test_what_was_captured_gives_the_graph_that_a_person_draws(send, name, order):
    send(ORDERS[order](captured(name)))
    assert refused() == []
    assert drawn() == DRAWN[name]


@pytest.mark.parametrize("name", ["dlt", "python-client", "python-client-async"])
def test_what_comes_an_event_at_a_time_gives_the_same_graph(send, name):
    for each in captured(name)[::-1]:
        send([each])
    assert drawn() == DRAWN[name]


def test_everything_captured_is_drawn():
    assert set(DRAWN) == {path.name for path in CAPTURED.iterdir()}


def test_every_node_of_dbt_belongs_to_its_invocation(send):
    send(captured("dbt-postgres"))
    nodes = Run.objects.exclude(job__name=INVOCATION)
    assert set(nodes.values_list("parent__job__name", flat=True)) == {INVOCATION}
    assert sorted(run.children.count() for run in Run.objects.filter(job__name=INVOCATION)) == [
        7, 12,
    ]  # fmt: skip


def registered_training_set() -> None:
    register_model(namespace="postgres://127.0.0.1:5466", name="shop.public.training_set")


def materials() -> list[str]:
    made = ModelVersion.objects.get()
    return [each.name for each, _ in transparency.datasets_in(made)]


def test_dbt_s_table_descends_from_what_its_models_read_and_what_its_columns_come_from(send):
    registered_training_set()
    send(captured("dbt-postgres"))
    tables = ["customer_orders", "marketing_audience", "raw_customers", "raw_orders",
              "stg_customers", "stg_orders"]  # fmt: skip
    assert set(materials()) >= {f"shop.public.{each}" for each in tables}


def test_a_table_that_dbt_s_query_only_filters_by_is_not_lost(send):
    registered_training_set()
    send(captured("dbt-postgres"))
    # dbt's columns never say what rows were joined or filtered by, and it does name the input.
    assert "shop.public.stg_consents" in materials()


def test_the_broken_model_s_attempt_is_seen_though_its_end_names_no_output(send):
    send(captured("dbt-duckdb-run"))
    [written] = DatasetVersion.objects.filter(
        dataset__name="shop.main.broken_model", kind="written"
    )
    assert (written.run.state, written.replaces) == (RunState.FAIL, False)


def test_dlt_s_inputs_that_arrive_while_it_runs_flow_into_what_its_end_names(send):
    register_model(namespace="dlt.destinations.duckdb://duckdb", name="raw.users__orders")
    send(captured("dlt"))
    made = ModelVersion.objects.get()
    assert [d.name for d, _ in transparency.datasets_in(made)] == ["consents", "users"]


def test_two_ends_of_one_run_leave_the_later_one(send):
    send(captured("dlt"))
    failed = Run.objects.get(state=RunState.FAIL)
    assert failed.state_at == failed.last_heard_at
    assert failed.events.count() == 3


def test_the_stock_client_s_symlink_and_rename_make_one_data_set_of_two_names(send):
    send(captured("python-client"))
    one: dict[int, set[str]] = {}
    for name, identity in Identity.objects.values_list("dataset__name", "identity"):
        one.setdefault(identity, set()).add(name)
    assert sorted(map(sorted, one.values())) == [
        ["shop.customers", CUSTOMERS],
        ["shop.public.new", "shop.public.prev"],
    ]


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
