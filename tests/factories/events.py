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
    if "renamed_from" in facets:
        made["lifecycleStateChange"] = {
            "lifecycleStateChange": "RENAME",
            "previousIdentifier": {"namespace": "test", "name": facets["renamed_from"]},
        }
    if "symlinks" in facets:
        others = [{"namespace": "test", "name": n, "type": "TABLE"} for n in facets["symlinks"]]
        made["symlinks"] = {"identifiers": others}
    if "columns" in facets:
        made["columnLineage"] = column_lineage(facets["columns"], facets.get("filters", ()))
    if facets.get("model"):
        made["datasetType"] = {"datasetType": "MODEL"}
    return {"namespace": "test", "name": name, "facets": made}


Column = tuple[str, str, bool]
"""A data set, its column, and whether the way from there is masked."""


def column_lineage(columns: dict[str, list[Column]], filters: Sequence[Column] = ()) -> Any:
    """Return a ``columnLineage`` facet: of each column of the output where it comes from."""

    def source(column: Column, kind: str) -> dict[str, Any]:
        name, field, masking = column
        step = {"type": kind, "subtype": "IDENTITY", "description": "", "masking": masking}
        return {"namespace": "test", "name": name, "field": field, "transformations": [step]}

    fields = {
        field: {"inputFields": [source(each, "DIRECT") for each in sources]}
        for field, sources in columns.items()
    }
    return {"fields": fields, "dataset": [source(each, "INDIRECT") for each in filters]}


def explicit(outputs: dict[str, Sequence[str]]) -> dict[str, Any]:
    """Return a ``lineage`` job facet: of each output the data sets that flow into it."""
    entries = [
        {"namespace": "test", "name": output, "type": "DATASET",
         "inputs": [{"namespace": "test", "name": each, "type": "DATASET"} for each in sources]}
        for output, sources in outputs.items()
    ]  # fmt: skip
    return {"entries": entries}


def design(
    job: str,
    minutes: float,
    *,
    reads: Sequence[Any] = (),
    writes: Sequence[Any] = (),
    **facets: Any,
) -> dict[str, Any]:
    """Return a job event, which says what a job does without a run."""
    made = event("OTHER", job, minutes, reads=reads, writes=writes, job_facets=facets)
    return {key: value for key, value in made.items() if key not in {"run", "eventType"}}


def description(minutes: float, of: Any) -> dict[str, Any]:
    """Return a dataset event."""
    return {
        "eventTime": at(minutes).isoformat(),
        "producer": "https://example.org/tests",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json",
        "dataset": of,
    }


def event(
    kind: str,
    job: str,
    minutes: float,
    *,
    reads: Sequence[Any] = (),
    writes: Sequence[Any] = (),
    run: str = "",
    job_facets: Any = None,
    **run_facets: Any,
) -> dict[str, Any]:
    """Return a run event; the run's id follows from the job's name unless it is given."""
    return {
        "eventType": kind,
        "eventTime": at(minutes).isoformat(),
        "producer": "https://example.org/tests",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json",
        "run": {"runId": run or str(uuid5(NAMESPACE_URL, job)), "facets": run_facets},
        "job": {"namespace": "test", "name": job, "facets": job_facets or {}},
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
