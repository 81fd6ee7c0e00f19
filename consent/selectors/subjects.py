"""Who a person is to us: by identifier, by digest, and back under the person's own key."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

import numpy as np
from django.db import connection
from django.db.models import QuerySet
from numpy.typing import NDArray

from consent.models import (
    Reappearance,
    Revival,
    Subject,
    SubjectIdentifier,
    SubjectKey,
    Tombstone,
)
from consent.selectors.identifier_keys import Digests, Keys, steadily
from governance.crypto import SealingKey
from governance.errors import ColophonError, NotFoundError
from governance.keys import subject_wrapping_key

_PLACED = np.dtype([("n", ">i4"), ("key", ">i8")])


class SubjectErasedError(ColophonError):
    """The person was erased: the key is gone, and what was sealed under it with it."""

    code = "subject_erased"
    status = 410


class SubjectUnregisteredError(ColophonError):
    """The person is known from a manifest only and has no key: register first."""

    code = "subject_unregistered"
    status = 409


def get(uuid: UUID) -> Subject:
    """Return a person by public name, or raise `NotFoundError`."""
    try:
        return Subject.objects.get(uuid=uuid)
    except Subject.DoesNotExist:
        raise NotFoundError("no such person is known") from None


def by_identifier(scheme: str, value: str) -> Subject | None:
    """Return the person with this identifier; nobody if it is unknown or was erased."""

    def look(keys: Keys) -> Subject | None:
        known_by = keys.digests(scheme, [value]).all
        found = Subject.objects.filter(identifiers__scheme=scheme, identifiers__digest__in=known_by)
        return found.first()

    return steadily(look)


def by_digests(scheme: str, digests: Digests) -> NDArray[np.int64]:
    """Return the key of the person that each digest stands for, in order; 0 for nobody.

    Each is looked up in the index, in the order of the index, because a join of many would read
    all identifiers that there are: of six million that takes twice the time.
    """
    return _keys(
        """
        SELECT string_agg(int4send(ordered.n) || int8send(found.subject_id), ''::bytea)
          FROM (SELECT n, digest FROM asked ORDER BY digest) AS ordered
         CROSS JOIN LATERAL (
                SELECT i.subject_id FROM consent_subjectidentifier i
                 WHERE i.digest = ordered.digest AND i.scheme = %(scheme)s LIMIT 1) AS found
        """,
        scheme,
        digests,
    )


def buried(scheme: str, digests: Digests) -> dict[bytes, int]:
    """Return the tombstone of each that was erased and not registered again, by newest digest."""
    stones = _keys(
        """
        SELECT string_agg(int4send(asked.n) || int8send(t.id), ''::bytea)
          FROM asked
          JOIN consent_tombstone t ON t.digest = asked.digest AND t.scheme = %(scheme)s
         WHERE NOT EXISTS (SELECT 1 FROM consent_subjectidentifier i
                            WHERE i.scheme = t.scheme AND i.digest IN (asked.digest, asked.twin))
        """,
        scheme,
        digests,
    )
    return {digest: int(key) for digest, key in zip(digests.newest, stones, strict=True) if key}


def coming_back(stones: Collection[int]) -> bool:
    """Say whether data of somebody with one of the tombstones is back, and not yet erased again."""
    back = Reappearance.objects.filter(tombstone__in=stones, ended_at=None)
    return back.exists() or Revival.objects.filter(tombstone__in=stones).exists()


def erased_at(scheme: str, value: str) -> datetime | None:
    """Return when an identifier was last erased, whoever has it since."""

    def look(keys: Keys) -> datetime | None:
        known_by = keys.digests(scheme, [value]).all
        stones = Tombstone.objects.filter(scheme=scheme, digest__in=known_by)
        return stones.values_list("erased_at", flat=True).first()

    return steadily(look)


def _keys(query: str, scheme: str, digests: Digests) -> NDArray[np.int64]:
    """Return the key that a query on those ``asked`` for finds for each, in order; 0 for none.

    ``asked`` has ``n``, ``digest``, and the other one of the same identifier. All of them go as
    one value and come back as one: a parameter or a row each would cost more than finding them.
    """
    keys = np.zeros(len(digests), dtype=np.int64)
    if not digests:
        return keys
    everything = digests.all
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            WITH asked AS (
                SELECT n, substring(%(all)s::bytea from n * 32 + 1 for 32) AS digest,
                       substring(%(all)s::bytea from (n + %(people)s) %% %(count)s * 32 + 1 for 32)
                           AS twin
                  FROM generate_series(0, %(count)s - 1) AS n
            ) {query}
            """,  # noqa: S608 the query is ours
            {
                "all": b"".join(everything), "count": len(everything), "people": len(digests),
                "scheme": scheme,
            },
        )  # fmt: skip
        placed = np.frombuffer(bytes(cursor.fetchone()[0] or b""), dtype=_PLACED)
    keys[placed["n"] % len(digests)] = placed["key"]
    return keys


def stands_in(subject: Subject) -> bool:
    """Say whether a row stands for somebody who was erased before and whose data came back."""
    return subject.erased_at is not None and subject.erased_at < subject.created_at


def looked_for(people: Collection[int], scheme: str) -> list[tuple[bytes, int, int]]:
    """Return by what some people are looked for, as (digest, version of its key, person).

    Who was erased has no identifier; where their data came back the tombstone says what to look
    for, until it is erased again.
    """
    known = SubjectIdentifier.objects.filter(subject_id__in=people, scheme=scheme)
    back = Revival.objects.filter(subject_id__in=people, tombstone__scheme=scheme)
    found = [
        *known.values_list("digest", "key_version", "subject_id"),
        *back.values_list("tombstone__digest", "tombstone__key_version", "subject_id"),
    ]
    return [(bytes(digest), version, subject) for digest, version, subject in found]


def key_of(subject: Subject) -> SealingKey:
    """Return the person's own key; it is never made here.

    Raises `SubjectErasedError` or `SubjectUnregisteredError`.
    """
    wrapped = SubjectKey.objects.filter(subject=subject).values_list("wrapped", flat=True).first()
    if wrapped is not None:
        return unwrapped(subject, wrapped)
    if Subject.objects.filter(pk=subject.pk, erased_at__isnull=False).exists():
        raise SubjectErasedError("the person was erased", subject=str(subject.uuid))
    raise SubjectUnregisteredError("the person is not registered", subject=str(subject.uuid))


def unwrapped(subject: Subject, wrapped: bytes | memoryview) -> SealingKey:
    """Return the person's own key from its wrapping, or raise `UnreadableError`."""
    return SealingKey(subject_wrapping_key().open(bytes(wrapped), key_place(subject)))


def clear_identifiers(subject: Subject) -> list[tuple[str, str]]:
    """Return the identifiers that are known in clear, as (scheme, value), or raise as `key_of`."""
    key = key_of(subject)
    kept = subject.identifiers.filter(value_sealed__isnull=False).order_by("scheme", "pk")
    return [(row.scheme, value_of(subject, key, row).decode()) for row in kept]


def value_of(subject: Subject, key: SealingKey, row: SubjectIdentifier) -> bytes:
    """Return an identifier that is kept, or raise `UnreadableError`."""
    place = value_place(subject, row.scheme, row.digest)
    return key.open(bytes(row.value_sealed or b""), place)


def schemes_of(rows: Collection[int]) -> tuple[frozenset[str], bool]:
    """Return the schemes by which the person of some rows is known or was, and whether erased."""
    known = Subject.objects.filter(pk__in=rows).values_list("erased_schemes", "identifiers__scheme")
    schemes: set[str] = set()
    gone = False
    for before, scheme in known:
        schemes.update(before or (), (scheme,) if scheme else ())
        gone |= before is not None
    return frozenset(schemes), gone


def erased(people: Collection[int] | None = None) -> "QuerySet[Subject]":
    """Return those who were erased, of some people or of all."""
    found = Subject.objects.filter(erased_at__isnull=False)
    return found if people is None else found.filter(pk__in=list(people))


def key_place(subject: Subject) -> str:
    """Return the place that a wrapped key is bound to."""
    return f"consent_subjectkey/{subject.uuid}"


def value_place(subject: Subject, scheme: str, digest: bytes | memoryview) -> str:
    """Return the place that a sealed identifier is bound to: another digest is another place."""
    return f"consent_subjectidentifier/{subject.uuid}/{scheme}/{bytes(digest).hex()}"
