"""Change the key of identifier digests: introduce a version, and move every row up to it.

Nothing stands still for it. Rows are moved a batch at a time, each batch a transaction; what is
left is read off the rows, so whoever goes on may be another process, or this one after a crash.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

from django.db import connection, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from consent.models import IdentifierKey, SubjectIdentifier, SubjectKey, Tombstone
from consent.selectors.identifier_keys import moved_up
from consent.selectors.subjects import unwrapped, value_of, value_place
from consent.services.subjects import hold_people
from governance.crypto import UnreadableError
from governance.errors import ColophonError
from governance.locks import Lock
from governance.services import ledger

TOGETHER = 5_000

Row = TypeVar("Row", SubjectIdentifier, Tombstone)


class RotationUnderWayError(ColophonError):
    """Rows are still being moved up to the last version; a look-up never tries three."""

    code: ClassVar[str] = "identifier_key_rotation_under_way"
    status: ClassVar[int] = 409


@dataclass(frozen=True, slots=True)
class Moved:
    """How many rows a batch moved, the last one's key, and whether nothing was left to move."""

    rows: int
    last: int
    finished: bool = False


@transaction.atomic
def introduce() -> IdentifierKey:
    """Introduce the next version: whoever writes people down afterwards uses it.

    Raises `RotationUnderWayError`.
    """
    hold_people(shared=False)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [Lock.IDENTIFIER_KEY])
        cursor.execute(
            """
            INSERT INTO consent_identifierkey (version)
            SELECT coalesce(max(version), 1) + 1 FROM consent_identifierkey
            ON CONFLICT DO NOTHING RETURNING version
            """
        )
        made = cursor.fetchone()
    if made is None:
        raise RotationUnderWayError("identifiers are still being moved up to the last version")
    ledger.append(kind="identifier_key.introduced", facts={"version": made[0]})
    return IdentifierKey.objects.get(version=made[0])


@transaction.atomic
def move_up(*, after: int = 0, limit: int = TOGETHER) -> Moved | None:
    """Move a batch of rows up; nothing is returned if none is due, or another is at it.

    ``after`` is the last key of the batch before: what that left behind is dead in the index
    until the next vacuum, and need not be walked past again. Tombstones go first: so none is by
    an older key than the identifier of somebody who came back.
    """
    hold_people(shared=True)
    free = IdentifierKey.objects.select_for_update(skip_locked=True)
    key = free.filter(moved_at=None).first()
    if key is None:
        return None
    buried = Tombstone.objects.filter(key_version=key.version - 1)
    stones = _free(buried, after, limit)
    if stones or buried.exists():
        _move_tombstones(key, stones)
        return _kept(key, stones)
    known = SubjectIdentifier.objects.filter(key_version=key.version - 1)
    rows = _free(known, after, limit)
    if rows or known.exists():
        _move_identifiers(key, rows)
        return _kept(key, rows)
    _finish(key)
    return Moved(0, last=0, finished=True)


def _free(left: "QuerySet[Row]", after: int, limit: int) -> "list[Row]":
    """Take what nobody else holds at the moment, so that a batch waits for nobody's row.

    Not even for who points to it: to change a digest, which is a key, is to wait for those too.
    """
    free = left.order_by("pk").select_for_update(skip_locked=True)
    return list(free.filter(pk__gt=after)[:limit]) or list(free[:limit])


def _kept(key: IdentifierKey, rows: Sequence[SubjectIdentifier] | Sequence[Tombstone]) -> Moved:
    key.save(update_fields=["identifiers", "tombstones", "unreadable"])
    return Moved(len(rows), last=rows[-1].pk if rows else 0)


def _move_tombstones(key: IdentifierKey, rows: Sequence[Tombstone]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE consent_tombstone t SET digest = c.digest, key_version = %s
              FROM unnest(%s::bigint[], %s::bytea[]) AS c (id, digest)
             WHERE t.id = c.id
            """,
            [key.version, [row.pk for row in rows], list(_digests(key, rows))],
        )
    key.tombstones += len(rows)


def _move_identifiers(key: IdentifierKey, rows: Sequence[SubjectIdentifier]) -> None:
    digests = _digests(key, rows)
    sealed = _sealed_anew(key, rows, digests)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE consent_subjectidentifier i
               SET digest = c.digest, key_version = %s, value_sealed = c.sealed
              FROM unnest(%s::bigint[], %s::bytea[], %s::bytea[]) AS c (id, digest, sealed)
             WHERE i.id = c.id
            """,
            [key.version, [row.pk for row in rows], list(digests), sealed],
        )
    key.identifiers += len(rows)


def _digests(
    key: IdentifierKey, rows: Sequence[SubjectIdentifier] | Sequence[Tombstone]
) -> Sequence[bytes]:
    return moved_up([bytes(row.digest) for row in rows], key.version - 1, key.version)


def _sealed_anew(
    key: IdentifierKey, rows: Sequence[SubjectIdentifier], digests: Sequence[bytes]
) -> list[bytes | None]:
    """Bind what is sealed to the new digests, under the same people's keys.

    What cannot be opened stays as unreadable as it was: it must not hold up everybody else.
    """
    owners = SubjectKey.objects.select_related("subject").in_bulk(
        {row.subject_id for row in rows if row.value_sealed is not None}
    )
    sealed: list[bytes | None] = []
    for row, digest in zip(rows, digests, strict=True):
        if row.value_sealed is None:
            sealed.append(None)
            continue
        try:
            sealed.append(_bound_to(digest, row, owners.get(row.subject_id)))
        except UnreadableError:
            key.unreadable += 1
            sealed.append(bytes(row.value_sealed))
    return sealed


def _bound_to(digest: bytes, row: SubjectIdentifier, owner: SubjectKey | None) -> bytes:
    if owner is None:
        raise UnreadableError
    secret = unwrapped(owner.subject, owner.wrapped)
    value = value_of(owner.subject, secret, row)
    return secret.seal(value, value_place(owner.subject, row.scheme, digest))


def _finish(key: IdentifierKey) -> None:
    """End the rotation: nothing is left, and no row by an older key can come into being."""
    key.moved_at = Now()
    key.save(update_fields=["moved_at"])
    ledger.append(
        kind="identifier_key.moved_up",
        facts={
            "version": key.version, "identifiers": key.identifiers,
            "tombstones": key.tombstones, "unreadable": key.unreadable,
        },
    )  # fmt: skip
