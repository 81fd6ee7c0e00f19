"""What is odd about an event, told to its sender and never a reason to refuse it.

A warning names a code, a place and a sentence, and never a value, which may be personal.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any
from uuid import UUID

from lineage.facets.shapes import Found, checks

MOST = 50
_EVENT_TYPES = {"START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"}


def warnings(event: Any) -> list[dict[str, str]]:
    """Return what is odd about an event, at most `MOST` things."""
    found = islice(_of_event(event), MOST) if isinstance(event, dict) else ()
    return [{"code": code, "where": where, "message": message} for code, where, message in found]


def _of_event(event: dict[str, Any]) -> Iterator[Found]:
    for key, code in (("producer", "producer_missing"), ("schemaURL", "schema_url_missing")):
        if not isinstance(event.get(key), str):
            yield code, key, "it is required"
    time = event.get("eventTime")
    if isinstance(time, str) and not (time.rstrip()[-1:] in "Zz" or time[-6:-5] in "+-"):
        yield "event_time_without_zone", "eventTime", "it is taken as UTC"
    run = event.get("run")
    if isinstance(run, dict):
        yield from _of_run(event, run)
    yield from _of_facets("job", event.get("job"), "facets", "job")
    yield from _of_dataset(event.get("dataset"), "dataset", None)
    for side, kind in (("inputs", "input"), ("outputs", "output")):
        listed = event.get(side)
        for at, each in enumerate(listed if isinstance(listed, list) else ()):
            yield from _of_dataset(each, f"{side}[{at}]", kind)


def _of_run(event: dict[str, Any], run: dict[str, Any]) -> Iterator[Found]:
    kind = event.get("eventType")
    if kind is not None and str(kind).upper() not in _EVENT_TYPES:
        yield "event_type_unknown", "eventType", "it is taken as OTHER"
    try:
        UUID(str(run.get("runId")))
    except ValueError:
        yield "run_id_not_uuid", "run.runId", "a UUID is expected"
    yield from _of_facets("run", run, "facets", "run")


def _of_dataset(dataset: Any, where: str, use: str | None) -> Iterator[Found]:
    yield from _of_facets("dataset", dataset, "facets", where)
    if use is not None:
        yield from _of_facets(use, dataset, f"{use}Facets", where)


def _of_facets(kind: str, thing: Any, member: str, where: str) -> Iterator[Found]:
    facets = thing.get(member) if isinstance(thing, dict) else None
    if facets is None:
        return
    if not isinstance(facets, dict):
        yield "facets_not_an_object", f"{where}.{member}", "an object is expected"
        return
    known = checks()
    for name, facet in facets.items():
        check = known.get((kind, name))
        place = f"{where}.{member}.{name}" if check else f"{where}.{member}"
        if not isinstance(facet, dict):
            yield "facet_not_an_object", place, "a facet is an object; it was passed over"
        elif check is not None and facet.get("_deleted") is not True:
            found: list[Found] = []
            check(facet, place, found)
            yield from found
