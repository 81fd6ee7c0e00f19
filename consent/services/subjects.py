"""Registering people, and forgetting them."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import IntegrityError, connection, transaction
from django.db.models import Q
from django.db.models.functions import Now

from consent import identifiers as spelling
from consent.identifiers import IdentifierMalformedError
from consent.models import Subject, SubjectIdentifier, SubjectKey, Tombstone
from consent.selectors import subjects as known
from consent.selectors.subjects import SubjectErasedError, SubjectUnregisteredError, key_of
from governance.crypto import SealingKey, new_key
from governance.errors import ColophonError
from governance.keys import subject_wrapping_key
from governance.locks import Lock
from governance.services import ledger

__all__ = [
    "IdentifiersOfTwoPeopleError",
    "PersonBeingErasedError",
    "PersonWasErasedError",
    "Registered",
    "SubjectErasedError",
    "SubjectUnregisteredError",
    "forget",
    "hold_people",
    "key_of",
    "register",
]

ATTEMPTS = 3


class IdentifiersOfTwoPeopleError(ColophonError):
    """The identifiers given as one person's belong to two; joining them is not ours to decide."""

    code = "identifiers_of_two_people"
    status = 409


class PersonWasErasedError(ColophonError):
    """The person asked to be erased; only the person can come back, by saying so."""

    code = "person_was_erased"
    status = 409


class PersonBeingErasedError(ColophonError):
    """Data of the erased person has come back and is being erased; then they can register."""

    code = "person_being_erased"
    status = 409


@dataclass(frozen=True, slots=True)
class Registered:
    """A person, and whether this call made the row."""

    subject: Subject
    created: bool


@dataclass(frozen=True, slots=True, repr=False)
class _Given:
    """An identifier on its way in; no repr, so that it cannot end in a log."""

    scheme: str
    digest: bytes
    value: str


class _ChangedMeanwhileError(Exception):
    """What was read is not so any more: read again."""


@transaction.atomic
def register(*, identifiers: Sequence[tuple[str, str]], again: bool = False) -> Registered:
    """Register a person by (scheme, value) identifiers, and give the person a key.

    The same identifiers again return the same person; further ones are added. ``again`` says that
    the person, once erased, comes back: a new person, without the old history. Raises
    `IdentifierMalformedError`, `IdentifiersOfTwoPeopleError`, `PersonWasErasedError` and
    `PersonBeingErasedError`.
    """
    given = _given(identifiers)
    for attempt in range(ATTEMPTS):
        try:
            with transaction.atomic():
                return _register(given, again=again)
        except (IntegrityError, _ChangedMeanwhileError):
            # Another caller registered or erased the same person between our reading and writing.
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


@transaction.atomic
def forget(*, subject: Subject) -> list[Tombstone]:
    """Destroy the person's key and identifiers, and leave tombstones, which are returned.

    Doing it twice is harmless, and returns none. It is part of the caller's transaction. Decisions
    and memberships stay, and are nobody's: no row leads to them from an identifier any more. Bytes
    in backups and in the database's own write-ahead log live until those are rotated.
    """
    hold_people(shared=False)
    held = Subject.objects.select_for_update(no_key=True).get(pk=subject.pk)
    stones: list[Tombstone] = []
    if held.erased_at is None:
        rows = list(held.identifiers.order_by("digest", "scheme"))
        stones = Tombstone.objects.bulk_create(
            [Tombstone(scheme=row.scheme, digest=row.digest, erased_at=Now()) for row in rows],
            update_conflicts=True,
            unique_fields=["digest", "scheme"],
            update_fields=["erased_at"],
        )
        held.identifiers.all().delete()
        SubjectKey.objects.filter(subject=held).delete()
        schemes = sorted({row.scheme for row in rows})
        Subject.objects.filter(pk=held.pk).update(erased_at=Now(), erased_schemes=schemes)
    subject.refresh_from_db()
    return stones


def hold_people(*, shared: bool) -> None:
    """Keep, until the transaction ends, people from being forgotten, or forget them alone.

    Whoever turns digests into rows holds it shared: otherwise a person who is forgotten meanwhile
    would be written down again and no tombstone would notice.
    """
    with connection.cursor() as cursor:
        how = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
        cursor.execute(f"SELECT {how}(%s)", [Lock.PEOPLE])


def _given(identifiers: Sequence[tuple[str, str]]) -> list[_Given]:
    """Return distinct identifiers in the one order in which they are written."""
    if not identifiers:
        raise IdentifierMalformedError("a person needs at least one identifier")
    found = {
        (known.digest_of(scheme, value), scheme): spelling.normalised(scheme, value)
        for scheme, value in identifiers
    }
    return [_Given(scheme, digest, value) for (digest, scheme), value in sorted(found.items())]


def _register(given: Sequence[_Given], *, again: bool) -> Registered:
    rows = {(bytes(row.digest), row.scheme): row for row in _known_rows(given)}
    missing = [each for each in given if (each.digest, each.scheme) not in rows]
    if any(known.buried(each.scheme, [each.digest]) for each in missing):
        _let_back(missing, again=again)
    subject = _owner({row.subject_id for row in rows.values()})
    found = subject or Subject.objects.create()
    key, keyed = _key_for(found)
    sealed = _keep_values(found, key, given, rows)
    if subject is None or keyed or sealed:
        ledger.append(
            kind="subject.registered",
            facts={"subject": str(found.uuid), "schemes": sorted({each.scheme for each in given})},
            key=key,
            sealed_for=found.uuid,
        )
    return Registered(found, created=subject is None)


def _let_back(buried: Sequence[_Given], *, again: bool) -> None:
    """Refuse somebody who was erased, unless they say that they come back, and can."""
    if not again:
        raise PersonWasErasedError("the person was erased and has not asked to come back")
    hold_people(shared=False)  # a list that is being taken may name them
    if any(known.coming_back(each.scheme, [each.digest]) for each in buried):
        raise PersonBeingErasedError("data that came back is being erased; register after that")


def _known_rows(given: Sequence[_Given]) -> "list[SubjectIdentifier]":
    any_of = Q()
    for each in given:
        any_of |= Q(scheme=each.scheme, digest=each.digest)
    return list(SubjectIdentifier.objects.filter(any_of))


def _owner(owners: set[int]) -> Subject | None:
    if len(owners) > 1:
        raise IdentifiersOfTwoPeopleError("the identifiers belong to two people")
    if not owners:
        return None
    subject = Subject.objects.select_for_update(no_key=True).get(pk=owners.pop())
    if subject.erased_at is not None:
        raise _ChangedMeanwhileError
    return subject


def _key_for(subject: Subject) -> tuple[SealingKey, bool]:
    """Return the person's key, and whether it had to be made: the one place where one is."""
    try:
        return key_of(subject), False
    except SubjectUnregisteredError:
        secret = new_key()
        wrapped = subject_wrapping_key().seal(secret, known.key_place(subject))
        SubjectKey.objects.create(subject=subject, wrapped=wrapped)
        return SealingKey(secret), True


def _keep_values(
    subject: Subject,
    key: SealingKey,
    given: Sequence[_Given],
    rows: dict[tuple[bytes, str], SubjectIdentifier],
) -> int:
    """Seal what is not kept yet; return how many identifiers that were."""
    kept = 0
    for each in given:
        row = rows.get((each.digest, each.scheme)) or SubjectIdentifier(
            subject=subject, scheme=each.scheme, digest=each.digest
        )
        if row.value_sealed is None:
            row.value_sealed = key.seal(each.value.encode(), known.value_place(subject, row))
            row.save()
            kept += 1
    return kept
