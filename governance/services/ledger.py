"""Writing the ledger: what happened is sealed and queued, then numbered by one sequencer.

The leaf is an HMAC-SHA-256 of the body under a random salt that lies sealed beside the body. It
binds: nobody can open it to another body. It hides: without the salt it says nothing.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from uuid import UUID

import rfc8785
from django.db import connection, transaction
from django.utils import timezone

from governance import merkle, proofs
from governance.crypto import SealingKey
from governance.keys import organisation_key
from governance.locks import Lock
from governance.models import LedgerEntry, LedgerHead, LedgerQueued, LedgerRecord, LedgerTile
from governance.selectors.ledger import tile_hashes
from governance.strictjson import JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One thing to record; ``sealed_for`` names whose ``key`` it is, neither for our own."""

    kind: str
    facts: Mapping[str, JSON]
    key: SealingKey | None = None
    sealed_for: UUID | None = None


def append(
    *,
    kind: str,
    facts: Mapping[str, JSON],
    key: SealingKey | None = None,
    sealed_for: UUID | None = None,
) -> UUID:
    """Record what happened, in the transaction in which it happens; return the record's name.

    ``kind`` is dotted, like ``dataset.registered``, and public; ``facts`` are sealed. The record
    gets its index when the sequencer next runs. Raises RuntimeError outside a transaction.
    """
    happening = Happening(kind=kind, facts=facts, key=key, sealed_for=sealed_for)
    return append_many([happening])[0]


def append_many(happenings: Sequence[Happening]) -> list[UUID]:
    """Record many things as `append` does, in their order, with one INSERT per table."""
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("the ledger is written in the transaction of what it records")
    now = timezone.now()
    made = [_sealed(each, now) for each in happenings]
    records = LedgerRecord.objects.bulk_create([record for record, _ in made])
    LedgerQueued.objects.bulk_create(
        [LedgerQueued(record=record, leaf=leaf) for record, leaf in made]
    )
    return [record.uuid for record in records]


def sequence(limit: int = 1000) -> int:
    """Give up to ``limit`` waiting leaves their index; return how many.

    Zero means that nothing waits, or that another process is at it. Leaves are taken by id and
    deleted by id: a transaction with a lower id may commit later, and its leaf is then next.
    """
    with transaction.atomic():
        if not _is_only_sequencer():
            return 0
        LedgerHead.objects.get_or_create(defaults={"root": merkle.EMPTY_ROOT})
        head = LedgerHead.objects.select_for_update().get()
        waiting = list(LedgerQueued.objects.order_by("pk")[:limit])
        if not waiting:
            return 0
        leaf_hashes = [merkle.leaf_hash(bytes(each.leaf)) for each in waiting]
        growth = merkle.Growth(head.size, lambda level, n: tile_hashes(level, n, size=head.size))
        tiles = [LedgerTile(**tile._asdict()) for tile in growth.append(leaf_hashes)]
        LedgerEntry.objects.bulk_create(
            LedgerEntry(index=index, record_id=each.record_id, leaf_hash=hashed, leaf=each.leaf)
            for index, each, hashed in zip(count(head.size), waiting, leaf_hashes, strict=False)
        )
        LedgerTile.objects.bulk_create(tiles)
        LedgerQueued.objects.filter(pk__in=[each.pk for each in waiting]).delete()
        LedgerHead.objects.update(size=growth.size, root=growth.root())
    return len(waiting)


def _sealed(happening: Happening, now: datetime) -> tuple[LedgerRecord, bytes]:
    """Return the sealed record and its leaf."""
    if (happening.key is None) != (happening.sealed_for is None):
        raise ValueError("a record sealed under a key says whose key it is, and the reverse")
    at = now.astimezone(UTC).isoformat().replace("+00:00", "Z")
    body = rfc8785.dumps({"kind": happening.kind, "facts": {**happening.facts}, "at": at})
    opening = proofs.Opening(os.urandom(proofs.SALT_BYTES), body)
    leaf = proofs.leaf_of(kind=happening.kind, date=at[:10], opening=opening)
    record = LedgerRecord(kind=happening.kind, sealed_for=happening.sealed_for)
    key = happening.key or organisation_key()
    record.sealed = key.seal(opening.salt + body, str(record.uuid))
    return record, leaf


def _is_only_sequencer() -> bool:
    """Take the sequencer's lock until the transaction ends, or say that another holds it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [Lock.LEDGER_SEQUENCER])
        return bool(cursor.fetchone()[0])
