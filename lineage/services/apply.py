"""Apply accepted events to the graph, in batches, each in one transaction with the inbox."""

import gc
import json
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson
from django.db import DataError, IntegrityError, transaction
from django.utils import timezone

from governance.crypto import UnreadableError, keyed_digest
from governance.keys import organisation_key, secret_for
from lineage.facets.warnings import warnings
from lineage.merging import merged
from lineage.models import InboxEvent
from lineage.openlineage import Event, UnusableEventError, parse
from lineage.selectors.horizon import BeforeHorizonError, horizon
from lineage.services import graph
from lineage.services.locks import graph_is_ours
from lineage.services.statements import bulk_cursor

logger = logging.getLogger(__name__)

BATCH = 500
_LONG_INTEGER = re.compile(rb"[0-9]{19}")


def apply_ready(*, limit: int = BATCH) -> int:
    """Apply the oldest accepted events; return how many were dealt with.

    None if another process is at it. A batch that the database refuses is applied one by one, so
    that one poisonous event cannot hold up the rest: it becomes a dead letter.
    """
    try:
        with _no_collecting():
            return _apply(limit)
    except (DataError, IntegrityError):
        logger.warning("a batch of events was refused; applying its events one by one")
    return sum(_apply_alone(pk) for pk in _ready_ids(limit))


@contextmanager
def _no_collecting() -> Iterator[None]:
    """Hold the garbage collector for a batch: its many thousand parsed objects make no cycles."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _ready_ids(limit: int) -> list[int]:
    ready = InboxEvent.objects.filter(state=InboxEvent.State.READY).order_by("pk")
    return list(ready.values_list("pk", flat=True)[:limit])


@transaction.atomic
def _apply(limit: int, only: int | None = None) -> int:
    if not graph_is_ours():
        return 0
    ready = InboxEvent.objects.filter(state=InboxEvent.State.READY).order_by("pk")
    if only is not None:
        ready = ready.filter(pk=only)
    rows = list(ready.select_for_update().values_list("pk", "body_sealed")[:limit])
    if not rows:
        return 0
    opened = _opened(rows)
    key = secret_for("facet-fingerprint-v1")
    graph.write(merged(opened.events, partial(keyed_digest, key)))
    _mark_done(opened.done)
    for pk, (code, reason) in opened.dead.items():
        _mark_dead(pk, code, reason)
    return len(rows)


def _apply_alone(pk: int) -> int:
    try:
        return _apply(1, only=pk)
    except (DataError, IntegrityError):
        with transaction.atomic():
            _mark_dead(pk, "refused_by_database", "the database refused what the event says")
        return 1


@dataclass(slots=True)
class _Opened:
    """The events of a batch, the warnings of those that can be read, and why others cannot."""

    events: list[Event] = field(default_factory=list)
    done: dict[int, list[dict[str, str]]] = field(default_factory=dict)
    dead: dict[int, tuple[str, str]] = field(default_factory=dict)


def _opened(rows: "Sequence[tuple[int, bytes | memoryview[int]]]") -> _Opened:
    """Open and parse; what was accepted once but cannot be read now is dead, with the reason."""
    opened = _Opened()
    unseal, now, oldest = organisation_key().open, timezone.now(), horizon()
    for pk, sealed in rows:
        try:
            body = _value(unseal(bytes(sealed), "inbox"))
            event = parse(body, now=now)
            if oldest is not None and event.at < oldest:
                reason = f"runs are kept from {oldest:%B %Y} on, and the event is older"
                opened.dead[pk] = BeforeHorizonError.code, reason
                continue
            opened.events.append(event)
        except UnusableEventError as error:
            opened.dead[pk] = error.code, error.message
        except UnreadableError as error:
            opened.dead[pk] = error.code, "the event's body cannot be opened any more"
        else:
            opened.done[pk] = warnings(body)
    return opened


def _value(body: bytes) -> Any:
    """Parse what was kept; an integer of more than 64 bits must not become a float."""
    return json.loads(body) if _LONG_INTEGER.search(body) else orjson.loads(body)


def _mark_done(done: dict[int, list[dict[str, str]]]) -> None:
    with bulk_cursor() as cursor:
        cursor.execute(
            "UPDATE lineage_inboxevent SET state = 'done', applied_at = clock_timestamp()"
            " WHERE id = ANY(%s)",
            [list(done)],
        )
        warned = {pk: found for pk, found in done.items() if found}
        if warned:
            cursor.execute(
                "UPDATE lineage_inboxevent event SET warnings = said.warnings::jsonb"
                " FROM unnest(%s::bigint[], %s::text[]) AS said (id, warnings)"
                " WHERE event.id = said.id",
                [list(warned), [json.dumps(found) for found in warned.values()]],
            )


def _mark_dead(pk: int, code: str, reason: str) -> None:
    InboxEvent.objects.filter(pk=pk).update(
        state=InboxEvent.State.DEAD, reason=reason, reason_code=code
    )
