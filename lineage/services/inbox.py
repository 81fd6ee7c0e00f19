"""Take events in: durable before the answer, once however often they are sent."""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar
from uuid import UUID

import orjson
import psycopg
from django.conf import settings
from django.utils import timezone
from uuid_utils.compat import uuid7

from governance.errors import ColophonError
from governance.keys import organisation_key
from governance.services.clients import Writer, may_write
from lineage.openlineage import UnusableEventError, parse
from lineage.services.statements import bulk_cursor

BACKLOG_LOOK_SECONDS = 1.0


class OverloadedError(ColophonError):
    """Too many events wait; the sender is asked to come back."""

    code: ClassVar[str] = "inbox_full"
    status: ClassVar[int] = 503


class NamespaceRefusedError(ColophonError):
    """The key may not write to the event's namespace."""

    code: ClassVar[str] = "namespace_refused"
    status: ClassVar[int] = 403


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one event. ``reason`` is empty unless it is a dead letter or refused."""

    uuid: UUID | None
    created: bool
    code: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Arrival:
    digest: bytes
    body: bytes
    receipt: Receipt


_Row = tuple[UUID, int, bytes, bytes, str, str, str]
"""Public id, client, digest, sealed body, state, reason and its code."""


def accept(*, key: Writer, events: Sequence[Any]) -> list[Receipt]:
    """Keep events for the worker, in one statement, and say of each what became of it.

    An event that cannot be understood is kept as a dead letter. One whose namespace the key may
    not write to is not kept. Raises `OverloadedError`.
    """
    _refuse_overload()
    arrivals = [_arrival(key, event) for event in events]
    kept = {each.digest: each for each in arrivals if each.receipt.code != "namespace_refused"}
    known = _insert(key.client_id, list(kept.values())) if kept else {}
    return [_settled(each, known) for each in arrivals]


def _arrival(key: Writer, event: Any) -> _Arrival:
    body = _canonical(event)
    digest = hashlib.sha256(body).digest()
    try:
        parsed = parse(event, now=timezone.now())
    except UnusableEventError as error:
        return _Arrival(digest, body, Receipt(None, False, error.code, error.message))
    if not may_write(key, parsed.namespace):
        reason = "this key may not write to the event's namespace"
        return _Arrival(digest, body, Receipt(None, False, NamespaceRefusedError.code, reason))
    return _Arrival(digest, body, Receipt(None, True))


def _canonical(event: Any) -> bytes:
    """Write an event in one way, whatever the order of its keys."""
    try:
        return orjson.dumps(event, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # an integer of more than 64 bits
        return json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _insert(client_id: int, arrivals: list[_Arrival]) -> dict[bytes, tuple[UUID, bool]]:
    """Insert what is new; return of every digest its id and whether it is new."""
    seal = organisation_key().seal
    rows = [
        (
            uuid7(), client_id, each.digest, seal(each.body, "inbox"),
            "dead" if each.receipt.code else "ready", each.receipt.reason, each.receipt.code,
        )
        for each in arrivals
    ]  # fmt: skip
    with bulk_cursor() as cursor:
        # The usual case has the cheaper statement.
        known = _insert_one(cursor, rows[0]) if len(rows) == 1 else _insert_many(cursor, rows)
        repeated = [each.digest for each in arrivals if each.digest not in known]
        if repeated:
            cursor.execute(
                "SELECT digest, uuid FROM lineage_inboxevent"
                " WHERE client_id = %s AND digest = ANY(%s)",
                [client_id, repeated],
            )
            known.update((bytes(digest), (uuid, False)) for digest, uuid in cursor.fetchall())
    return known


def _insert_one(cursor: "psycopg.Cursor[Any]", row: _Row) -> dict[bytes, tuple[UUID, bool]]:
    cursor.execute(
        """
        INSERT INTO lineage_inboxevent
               (uuid, client_id, digest, body_sealed, state, reason, reason_code, received_at)
        VALUES (%b, %b, %b, %b, %b, %b, %b, clock_timestamp())
        ON CONFLICT (client_id, digest) DO NOTHING
        """,
        row,
    )
    return {row[2]: (row[0], True)} if cursor.rowcount else {}


def _insert_many(cursor: "psycopg.Cursor[Any]", rows: list[_Row]) -> dict[bytes, tuple[UUID, bool]]:
    cursor.execute(
        """
        INSERT INTO lineage_inboxevent
               (uuid, client_id, digest, body_sealed, state, reason, reason_code, received_at)
        SELECT arrived.*, clock_timestamp()
          FROM unnest(%b::uuid[], %b::bigint[], %b::bytea[], %b::bytea[], %b::text[], %b::text[],
                      %b::text[]) AS arrived
        ON CONFLICT (client_id, digest) DO NOTHING
        RETURNING digest, uuid
        """,
        [list(column) for column in zip(*rows, strict=True)],
    )
    return {bytes(digest): (uuid, True) for digest, uuid in cursor.fetchall()}


def _settled(arrival: _Arrival, known: dict[bytes, tuple[UUID, bool]]) -> Receipt:
    uuid, created = known.get(arrival.digest, (None, False))
    return replace(arrival.receipt, uuid=uuid, created=created)


class _Backlog:
    """How many events wait, looked at once a second in each process."""

    looked_at = float("-inf")
    waiting = 0

    @classmethod
    def is_full(cls) -> bool:
        now = time.monotonic()
        if now - cls.looked_at > BACKLOG_LOOK_SECONDS:
            with bulk_cursor() as cursor:
                cursor.execute(
                    "SELECT count(*) FROM"
                    " (SELECT 1 FROM lineage_inboxevent WHERE state = 'ready' LIMIT %s) AS waiting",
                    [settings.COLOPHON_INBOX_LIMIT],
                )
                cls.waiting = sum(row[0] for row in cursor.fetchall())
            cls.looked_at = now
        return cls.waiting >= settings.COLOPHON_INBOX_LIMIT


def _refuse_overload() -> None:
    if _Backlog.is_full():
        raise OverloadedError("too many events are waiting: send this one again in a moment")
