"""OpenLineage events as the stock client would send them, as short as a test can read."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def at(minutes: float) -> datetime:
    """Return an instant, in minutes after noon."""
    return NOON + timedelta(minutes=minutes)


def dataset(name: str, **facets: Any) -> dict[str, Any]:
    """Return a data set; ``version``, ``lifecycle`` and ``model`` make the standard facets."""
    made: dict[str, Any] = {}
    if "version" in facets:
        made["version"] = {"datasetVersion": facets["version"]}
    if "lifecycle" in facets:
        made["lifecycleStateChange"] = {"lifecycleStateChange": facets["lifecycle"]}
    if facets.get("model"):
        made["datasetType"] = {"datasetType": "MODEL"}
    return {"namespace": "test", "name": name, "facets": made}


def event(
    kind: str,
    job: str,
    minutes: float,
    *,
    reads: Sequence[Any] = (),
    writes: Sequence[Any] = (),
    run: str = "",
    **run_facets: Any,
) -> dict[str, Any]:
    """Return a run event; the run's id follows from the job's name unless it is given."""
    return {
        "eventType": kind,
        "eventTime": at(minutes).isoformat(),
        "producer": "https://example.org/tests",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json",
        "run": {"runId": run or str(uuid5(NAMESPACE_URL, job)), "facets": run_facets},
        "job": {"namespace": "test", "name": job, "facets": {}},
        "inputs": [dataset(each) if isinstance(each, str) else each for each in reads],
        "outputs": [dataset(each) if isinstance(each, str) else each for each in writes],
    }


def run(
    job: str,
    starts: float,
    ends: float,
    *,
    reads: Sequence[Any] = (),
    writes: Sequence[Any] = (),
    kind: str = "COMPLETE",
    **more: Any,
) -> list[dict[str, Any]]:
    """Return the two events of a run: a bare START, and an end that says what was touched."""
    return [
        event("START", job, starts, **more),
        event(kind, job, ends, reads=reads, writes=writes, **more),
    ]
