"""Rows about the big graph: what an answer costs, and what an event costs, when much is stored."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import httpx
import numpy as np
from django.db import connection
from pyroaring import BitMap

from governance.models import Dataset
from governance.services.clients import issue_key
from lineage.models import ModelVersion, Provenance
from lineage.selectors import transparency
from lineage.services.inbox import accept
from lineage.services.provenance import freeze_stale
from tests.bench import graph
from tests.bench.applying import apply_everything
from tests.bench.lineage import rate
from tests.bench.place import web
from tests.bench.row import Row

EVENTS = 2000


def size(scale: str) -> int:
    return graph.SMALL if scale == "small" else graph.FULL


def apply_at_scale(*, scale: str, environment: dict[str, str]) -> Row:
    """Apply one event when a lot is stored, and when only 10,000 runs are."""
    key = issue_key(client_name="bench", scopes=["lineage:write"]).key
    last = size(scale)
    costs = []
    for n, (first, until) in enumerate([(0, graph.FIRST), (graph.FIRST, last)]):
        graph.grow(first=first, last=until, client=key.client_id)
        for part in range(2):  # the first part makes statements and caches warm
            sent = graph.events(until, EVENTS, start=(2 * n + part) * EVENTS)
            for begin in range(0, EVENTS, 500):
                accept(key=key, events=sent[begin : begin + 500])
            cost = 1000 / rate(EVENTS, apply_everything)
        costs.append(cost)
    stored = graph.count_of_runs()
    return Row(
        "apply_at_scale", costs[1], f"ms an event at {stored:,} runs", "at 10,000 runs", costs[0],
        scale, "ratio 1.3 at most",
    )  # fmt: skip


def provenance(*, scale: str, environment: dict[str, str]) -> Row:
    """Freeze what a model version descends from, and compare with a walk over arrays."""
    arrays = graph.Arrays(size(scale))
    some = 60
    ours, theirs = [milliseconds(lambda: freeze_stale(limit=1)) for _ in range(some)], []
    for frozen in Provenance.objects.order_by("-frozen_at").select_related("model_version")[:some]:
        version = frozen.model_version.version_id
        held: list[set[int]] = []
        theirs.append(milliseconds(lambda v=version, into=held: into.append(arrays.ancestors(v))))
        # Events that came since may have added runs that the arrays do not know.
        assert held[0] <= set(BitMap.deserialize(bytes(frozen.datasets))), version
    while freeze_stale():
        pass
    assert not ModelVersion.objects.filter(stale_at__isnull=False).exists()
    return Row(
        "provenance", float(np.median(ours)), "ms (p50)", "the walk alone, numpy in memory",
        float(np.median(theirs)), scale, "under 100 ms",
    )  # fmt: skip


def models_by_dataset(*, scale: str, environment: dict[str, str]) -> Row:
    """Ask which models used a data set, of all data sets and of the hubs."""
    asked = sample(2000 if scale == "small" else 20_000)
    ours = [milliseconds(lambda d=each: transparency.using(d)) for each in asked]
    few = asked[:: max(1, len(asked) // 60)] + hubs()[:5]
    theirs = [milliseconds(lambda d=each: by_recursion(d.pk)) for each in few]
    return Row(
        "models_by_dataset", p99(ours), "ms (p99)", "recursive CTE", p99(theirs), scale,
        "under 1 ms",
    )  # fmt: skip


def models_by_dataset_http(*, scale: str, environment: dict[str, str]) -> Row:
    """The same as an auditor asks it."""
    bearer = issue_key(client_name="auditor", scopes=["audit:read"]).bearer
    asked = sample(500) + hubs()
    with (
        web(environment) as port,
        httpx.Client(
            base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {bearer}"}
        ) as wire,
    ):

        def ask(dataset: Dataset) -> None:
            named = {"namespace": dataset.namespace, "name": dataset.name}
            wire.get("/api/v1/transparency/models", params=named).raise_for_status()

        for each in asked[:20]:
            ask(each)
        ours = [milliseconds(lambda d=each: ask(d)) for each in asked]
        theirs = [milliseconds(lambda: wire.get("/healthz")) for _ in asked]
    return Row(
        "models_by_dataset_http", p99(ours), "ms (p99)", "a health check", p99(theirs), scale,
        "under 10 ms",
    )  # fmt: skip


def sample(most: int) -> list[Dataset]:
    """Return data sets from all over the graph, the hubs among them."""
    found = list(Dataset.objects.filter(pk__gte=graph.BASE).order_by("pk"))
    return found[:: max(1, len(found) // most)] + hubs()


def hubs() -> list[Dataset]:
    return list(Dataset.objects.filter(pk__range=(graph.BASE, graph.BASE + graph.HUBS - 1)))


def by_recursion(dataset: int) -> list[int]:
    """Answer as one would without frozen provenance: follow the runs down to the models."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH RECURSIVE down (id) AS (
                SELECT %s::bigint
                UNION
                SELECT v.dataset_id FROM down
                  JOIN lineage_runinput i ON i.dataset_id = down.id
                  JOIN lineage_datasetversion v ON v.run_id = i.run_id
            )
            SELECT m.id FROM down JOIN lineage_datasetversion v ON v.dataset_id = down.id
              JOIN lineage_modelversion m ON m.version_id = v.id
            """,
            [dataset],
        )
        return [row[0] for row in cursor.fetchall()]


def milliseconds(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - started)


def p99(found: Sequence[float]) -> float:
    return float(np.percentile(found, 99))
