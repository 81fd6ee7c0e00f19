"""Registering people, and forgetting them."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from pyroaring import BitMap

from consent import identifiers as spelling
from consent.identifiers import IdentifierMalformedError
from consent.models import Subject, SubjectIdentifier, SubjectKey, Tombstone
from consent.selectors import subjects as known
from consent.selectors.identifier_keys import Digests, Keys, current, moved_up, steadily
from consent.selectors.persons import rows_of, rows_of_each
from consent.selectors.subjects import SubjectErasedError, SubjectUnregisteredError, key_of
from governance.crypto import SealingKey, new_key
from governance.errors import ColophonError
from governance.keys import subject_wrapping_key
from governance.locks import Lock
from governance.services import ledger

__all__ = [
    "Forgotten",
    "IdentifiersOfTwoPeopleError",
    "PersonBeingErasedError",
    "PersonWasErasedError",
    "Registered",
    "SubjectErasedError",
    "SubjectUnregisteredError",
    "forget",
    "forget_together",
    "hold_people",
    "key_of",
    "register",
]

ATTEMPTS = 3


class IdentifiersOfTwoPeopleError(ColophonError):
    """The identifiers given as one person's belong to two, and nobody has merged those."""

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


@dataclass(frozen=True, slots=True)
class Forgotten:
    """Since when a person is forgotten, and the tombstones that were left of them now."""

    at: datetime
    buried: list[Tombstone]


@dataclass(frozen=True, slots=True, repr=False)
class _Given:
    """An identifier on its way in; no repr, so that it cannot end in a log."""

    scheme: str
    value: str
    digests: Digests

    @property
    def digest(self) -> bytes:
        """By what it is written down."""
        return self.digests.newest[0]


@dataclass(frozen=True, slots=True, repr=False)
class _Met:
    """What is known of what was given, by its digest and scheme, and by which keys."""

    keys: Keys
    given: list[_Given]
    rows: dict[tuple[bytes, str], SubjectIdentifier]
    buried: dict[tuple[bytes, str], int]


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
    for attempt in range(ATTEMPTS):
        try:
            with transaction.atomic():
                return _register(identifiers, again=again)
        except (IntegrityError, _ChangedMeanwhileError):
            # Another caller registered or erased the same person between our reading and writing,
            # or a new key was introduced, so that what we digested is refused.
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


@transaction.atomic
def forget(*, subject: Subject) -> list[Tombstone]:
    """Forget one person as `forget_together` does; return the tombstones that were left."""
    forgotten = forget_together([subject])
    subject.refresh_from_db()
    return forgotten[subject.pk].buried


@transaction.atomic
def forget_together(people: Collection[Subject]) -> dict[int, Forgotten]:
    """Destroy people's keys and identifiers, and leave tombstones; return those, by person.

    Doing it twice is harmless, and leaves none. It is part of the caller's transaction, and about
    all rows of each person. Decisions and memberships stay, and are nobody's: no row leads to them
    from an identifier any more. Bytes in backups and in the database's own write-ahead log live
    until those are rotated.
    """
    hold_people(shared=False)
    rows = rows_of_each(each.pk for each in people)
    held = Subject.objects.select_for_update(no_key=True).filter(
        pk__in=list(BitMap.union(BitMap(), *rows.values()))
    )
    alive = [each.pk for each in held.order_by("pk") if each.erased_at is None]
    stones = _bury(SubjectIdentifier.objects.filter(subject__in=alive))
    SubjectIdentifier.objects.filter(subject__in=alive).delete()
    SubjectKey.objects.filter(subject__in=alive).delete()
    for schemes, some in _by_schemes(alive, stones).items():
        living = Subject.objects.filter(pk__in=some)
        living.update(erased_at=Now(), erased_schemes=list(schemes))
    since = Subject.objects.filter(pk__in=list(rows), erased_at__isnull=False)
    return {
        pk: Forgotten(at, [stone for row in rows[pk] for stone in stones.pop(row, ())])
        for pk, at in since.order_by("pk").values_list("pk", "erased_at")
        if at is not None
    }


def _by_schemes(
    people: Collection[int], stones: Mapping[int, Collection[Tombstone]]
) -> dict[tuple[str, ...], list[int]]:
    found = defaultdict(list)
    for row in people:
        found[tuple(sorted({stone.scheme for stone in stones.get(row, ())}))].append(row)
    return found


def hold_people(*, shared: bool) -> None:
    """Keep, until the transaction ends, people from being forgotten, or forget them alone.

    Whoever turns digests into rows holds it shared: otherwise a person who is forgotten meanwhile
    would be written down again and no tombstone would notice. So does whoever writes down
    something of all rows of a person, and whoever says which rows are one holds it alone.
    """
    with connection.cursor() as cursor:
        how = "pg_advisory_xact_lock_shared" if shared else "pg_advisory_xact_lock"
        cursor.execute(f"SELECT {how}(%s)", [Lock.PEOPLE])


def _bury(rows: Iterable[SubjectIdentifier]) -> dict[int, list[Tombstone]]:
    """Leave tombstones, by the newest key, and return them by whose they are.

    Who comes back is met by the tombstone that is there, so one by the key before is moved up. A
    row by the newest key has no such tombstone: those are moved up before any identifier is.
    """
    newest = current().newest
    stones, owners = {}, {}
    for row in rows:
        [digest] = moved_up([bytes(row.digest)], row.key_version, newest)
        owners[digest, row.scheme] = row.subject_id
        stones[digest, row.scheme] = Tombstone(
            scheme=row.scheme, digest=digest, key_version=newest, erased_at=Now()
        )
        if row.key_version < newest:
            old = Tombstone.objects.filter(scheme=row.scheme, digest=row.digest)
            old.update(digest=digest, key_version=newest)
    Tombstone.objects.bulk_create(
        [stones[each] for each in sorted(stones)],
        update_conflicts=True,
        unique_fields=["digest", "scheme"],
        update_fields=["erased_at"],
    )
    found = defaultdict(list)
    for each in sorted(stones):
        found[owners[each]].append(stones[each])
    return found


def _met(identifiers: Sequence[tuple[str, str]], keys: Keys) -> _Met:
    given = _given(identifiers, keys)
    rows, buried = {}, {}
    for each in given:
        found = SubjectIdentifier.objects.filter(scheme=each.scheme, digest__in=each.digests.all)
        row = found.first()
        if row is not None:
            rows[each.digest, each.scheme] = row
            continue
        for stone in known.buried(each.scheme, each.digests).values():
            buried[each.digest, each.scheme] = stone
    return _Met(keys, given, rows, buried)


def _given(identifiers: Sequence[tuple[str, str]], keys: Keys) -> list[_Given]:
    """Return distinct identifiers in the one order in which they are written."""
    if not identifiers:
        raise IdentifierMalformedError("a person needs at least one identifier")
    found = {}
    for scheme, value in identifiers:
        each = _Given(scheme, spelling.normalised(scheme, value), keys.digests(scheme, [value]))
        found[each.digest, scheme] = each
    return [found[each] for each in sorted(found)]


def _register(identifiers: Sequence[tuple[str, str]], *, again: bool) -> Registered:
    met = steadily(lambda keys: _met(identifiers, keys))
    if met.buried:
        _let_back(met, again=again)
    _move_up(met)
    subject = _owner({row.subject_id for row in met.rows.values()})
    found = subject or Subject.objects.create()
    key, keyed = _key_for(found)
    sealed = _keep_values(found, key, met)
    if subject is None or keyed or sealed:
        ledger.append(
            kind="subject.registered",
            facts={
                "subject": str(found.uuid),
                "schemes": sorted({each.scheme for each in met.given}),
            },
            key=key,
            sealed_for=found.uuid,
        )
    return Registered(found, created=subject is None)


def _let_back(met: _Met, *, again: bool) -> None:
    """Refuse somebody who was erased, unless they say that they come back, and can."""
    if not again:
        raise PersonWasErasedError("the person was erased and has not asked to come back")
    hold_people(shared=False)  # a list that is being taken may name them
    if known.coming_back(met.buried.values()):
        raise PersonBeingErasedError("data that came back is being erased; register after that")


def _move_up(met: _Met) -> None:
    """Move the tombstones of who comes back up with them: see `_bury`."""
    for (digest, _), stone in met.buried.items():
        older = Tombstone.objects.filter(pk=stone, key_version__lt=met.keys.newest)
        older.update(digest=digest, key_version=met.keys.newest)


def _owner(owners: set[int]) -> Subject | None:
    if not owners:
        return None
    subject = Subject.objects.select_for_update(no_key=True).get(pk=min(owners))
    if len(owners) > 1 and not owners.issubset(rows_of(subject)):
        raise IdentifiersOfTwoPeopleError("the identifiers belong to two people")
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


def _keep_values(subject: Subject, key: SealingKey, met: _Met) -> int:
    """Seal what is not kept yet; return how many identifiers that were."""
    kept = 0
    for each in met.given:
        row = met.rows.get((each.digest, each.scheme))
        if row is not None and row.value_sealed is not None:
            continue
        if row is not None and row.subject_id != subject.pk:
            continue  # only who is registered is merged: it is kept on the other row of theirs
        place = known.value_place(subject, each.scheme, row.digest if row else each.digest)
        sealed = key.seal(each.value.encode(), place)
        if row is None:
            SubjectIdentifier.objects.create(
                subject=subject, scheme=each.scheme, digest=each.digest,
                key_version=met.keys.newest, value_sealed=sealed,
            )  # fmt: skip
        elif not _as_read(row).update(value_sealed=sealed):
            raise _ChangedMeanwhileError
        kept += 1
    return kept


def _as_read(row: SubjectIdentifier) -> "QuerySet[SubjectIdentifier]":
    """Return the row unless it was moved up meanwhile: the value is bound to its digest."""
    return SubjectIdentifier.objects.filter(pk=row.pk, digest=row.digest)
