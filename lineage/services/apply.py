"""Apply accepted events to the graph, in batches, each in one transaction with the inbox."""

import json
import logging
from collections.abc import Sequence

from django.db import DataError, IntegrityError, transaction
from django.utils import timezone

from governance.crypto import UnreadableError
from governance.keys import organisation_key
from lineage.merging import merged
from lineage.models import InboxEvent
from lineage.openlineage import Event, UnusableEventError, parse
from lineage.services import graph
from lineage.services.locks import graph_is_ours
from lineage.services.statements import bulk_cursor

logger = logging.getLogger(__name__)

BATCH = 500


def apply_ready(*, limit: int = BATCH) -> int:
    """Apply the oldest accepted events; return how many were dealt with.

    None if another process is at it. A batch that the database refuses is applied one by one, so
    that one poisonous event cannot hold up the rest: it becomes a dead letter.
    """
    try:
        return _apply(limit)
    except (DataError, IntegrityError):
        logger.warning("a batch of events was refused; applying its events one by one")
    return sum(_apply_alone(pk) for pk in _ready_ids(limit))


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
    events, dead = _opened(rows)
    graph.write(merged(events))
    _mark(InboxEvent.State.DONE, [pk for pk, _ in rows if pk not in dead])
    for pk, reason in dead.items():
        _mark(InboxEvent.State.DEAD, [pk], reason)
    return len(rows)


def _apply_alone(pk: int) -> int:
    try:
        return _apply(1, only=pk)
    except (DataError, IntegrityError):
        with transaction.atomic():
            _mark(InboxEvent.State.DEAD, [pk], "the database refused what the event says")
        return 1


def _opened(
    rows: "Sequence[tuple[int, bytes | memoryview[int]]]",
) -> tuple[list[Event], dict[int, str]]:
    """Open and parse; what was accepted once but cannot be read now is dead, with the reason."""
    events, dead = [], {}
    unseal, now = organisation_key().open, timezone.now()
    for pk, sealed in rows:
        try:
            events.append(parse(json.loads(unseal(bytes(sealed), "inbox")), now=now))
        except (UnusableEventError, UnreadableError) as error:
            dead[pk] = str(error) or error.code
    return events, dead


def _mark(state: InboxEvent.State, pks: list[int], reason: str = "") -> None:
    with bulk_cursor() as cursor:
        cursor.execute(
            "UPDATE lineage_inboxevent SET state = %s, reason = %s WHERE id = ANY(%s)",
            [state.value, reason, pks],
        )
