"""Another team's events: what dbt really sent, as it was captured, and what a person would draw.

The pictures below were drawn by reading the events, not by asking the service.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from deploy import programs
from deploy.demo.doors import Api

EVENTS = programs.ROOT / "tests" / "events"
CAPTURES = ("dbt-duckdb", "dbt-postgres")
SHOP = "postgres://127.0.0.1:5466"
JOBS = "shop-dbt"
TRAINING_SET = "shop.public.training_set"

# Which tables each table of the shop is made from. The staging tables are made from seeds, which
# dbt names only in a facet about columns and never as an input.
MADE_FROM = {
    "shop.public.stg_consents": set[str](),
    "shop.public.stg_customers": set[str](),
    "shop.public.stg_orders": set[str](),
    "shop.public.marketing_audience": {"shop.public.stg_consents", "shop.public.stg_customers"},
    "shop.public.customer_orders": {"shop.public.stg_customers", "shop.public.stg_orders"},
    "shop.public.country_revenue": {"shop.public.stg_customers", "shop.public.stg_orders"},
    "shop.snapshots.customers_snapshot": {"shop.public.stg_customers"},
    TRAINING_SET: {
        "shop.public.customer_orders",
        "shop.public.marketing_audience",
        "shop.public.stg_customers",
    },
}


def made_from(table: str) -> set[str]:
    """Return everything that a table of the shop descends from."""
    direct = MADE_FROM[table]
    return direct.union(*(made_from(each) for each in direct))


def captured(folder: Path = EVENTS) -> list[tuple[Mapping[str, str], bytes]]:
    """Return the requests as they came: content headers and body, in the order of sending."""
    return [pair for name in CAPTURES for pair in _requests(folder / name / "events.ndjson")]


def replay(api: Api, headers: Mapping[str, str], body: bytes) -> str:
    """Send one request again under our own key; return the id that the event is known by."""
    sent = api.client.post("lineage", content=body, headers=dict(headers))
    sent.raise_for_status()
    return str(sent.json()["id"])


def _requests(file: Path) -> Iterator[tuple[Mapping[str, str], bytes]]:
    for line in file.read_text().splitlines():
        captured: Any = json.loads(line)
        headers = {
            name: value
            for name, value in captured["headers"].items()
            if name.lower().startswith("content-") and name.lower() != "content-length"
        }
        yield headers, json.dumps(captured["body"]).encode()
