"""Writing the journal of erasures, and bringing a restored database up to it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid5

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from consent import journal
from consent.journal import Entry, Identifier, Line
from consent.models import (
    JournalLine,
    RequestKind,
    RightsRequest,
    Subject,
    SubjectIdentifier,
    SubjectKey,
    Tombstone,
)
from consent.selectors import journal as known
from consent.selectors.identifier_keys import current
from consent.selectors.persons import rows_of
from consent.services import reappearances, rotating, subjects
from consent.services.requests import (
    confirm_identity,
    open_automatic,
    record,
    take_back_every_permission,
)
from governance.errors import ColophonError
from governance.services import ledger

ASIDE = "erasures.journal.before-{at:%Y%m%dT%H%M%S%f}"


class ReasonNeededError(ColophonError):
    """A journal is begun anew with a reason, which is kept."""

    code = "reason_missing"
    status = 422


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of a line: how many people were forgotten, and the erasures that go on."""

    number: int
    people: int
    requests: list[UUID]


@dataclass(frozen=True, slots=True)
class Renewed:
    """How many lines were taken over from a damaged journal, and how many were added."""

    kept: int
    added: int


def require() -> None:
    """Raise `JournalUnavailableError` before anything is undone that could not be written down."""
    journal.require(known.directory())


def keep(forgotten: Iterable[tuple[UUID, subjects.Forgotten]]) -> None:
    """Write down who is forgotten, each with the request, before that is committed.

    It is part of the transaction that forgets. Raises `JournalUnavailableError` and
    `JournalDamagedError`.
    """
    entries = [
        Entry(each.at, request, tuple(_identifier(stone) for stone in each.buried))
        for request, each in forgotten
        if each.buried
    ]
    if not entries:
        return
    lines = journal.add(known.directory(), known.checksum_key(), entries, seen=known.last_seen())
    JournalLine.objects.bulk_create(
        JournalLine(number=line.number, checksum=line.checksum) for line in lines
    )


@transaction.atomic
def replay(line: Line) -> Replayed:
    """Forget again whom a line names, at once; doing it twice is harmless.

    Permissions are taken back, the erasure is opened anew or goes on where it was, tombstones
    are put, and the keys destroyed. What is in the data sets is erased by the ordinary steps.
    """
    subjects.hold_people(shared=False)
    if JournalLine.objects.filter(number=line.number).exists():
        return Replayed(line.number, 0, [])
    people = _one_row_each(known.living(line.entry))
    opened = [_erased_anew(person, line).uuid for person in people]
    _bury(line.entry)
    JournalLine.objects.create(number=line.number, checksum=line.checksum)
    ledger.append(
        kind="erasure.replayed",
        facts={
            "line": line.number,
            "request": str(line.entry.request) if line.entry.request else None,
            "requests": [str(each) for each in opened],
        },
    )
    return Replayed(line.number, len(opened), opened)


def bring_up(*, to: int) -> None:
    """Move everybody up to a version of the identifier key, where this database is older.

    A database that was restored from before a rotation does not know by what the journal names
    people. It can be interrupted: what is left is read off the rows.
    """
    while True:
        keys = current()
        if keys.newest >= to and not keys.under_way:
            return
        if not keys.under_way:
            rotating.introduce()
        while (moved := rotating.move_up()) is not None and not moved.finished:
            pass


@transaction.atomic
def renew(*, reason: str, at: datetime) -> Renewed:
    """Begin a journal anew, where the old one is lost or damaged, by what the database knows.

    What can be relied on of the old one stays, and the file is put aside. Raises
    `JournalUnavailableError` and `ReasonNeededError`.
    """
    if not reason.strip():
        raise ReasonNeededError("say why the journal is begun anew")
    subjects.hold_people(shared=False)
    place, key = known.directory(), known.checksum_key()
    kept = {
        (each.scheme, digest)
        for line in journal.sound(place, key)
        for each in line.entry.identifiers
        for digest in known.known_by(each).all
    }
    stones = [
        stone
        for stone in _resting().order_by("erased_at", "pk")
        if (stone.scheme, bytes(stone.digest)) not in kept
    ]
    entries = [Entry(stone.erased_at, None, (_identifier(stone),)) for stone in stones]
    lines = journal.renew(place, key, entries, aside=ASIDE.format(at=at))
    _see_again(lines, new=len(entries))
    renewed = Renewed(len(lines) - len(entries), len(entries))
    ledger.append(
        kind="journal.renewed",
        facts={"reason": reason, "kept": renewed.kept, "added": renewed.added},
    )
    return renewed


def _erased_anew(person: Subject, line: Line) -> RightsRequest:
    request = _under_way(person, line.entry.request) or open_automatic(
        subject=person, key=uuid5(person.uuid, line.checksum.hex())
    )
    confirm_identity(request=request)
    if SubjectKey.objects.filter(subject=request.subject).exists():
        take_back_every_permission(request)
    reappearances.revive(request.subject, subjects.forget(subject=request.subject))
    record(request, "erasure.reopened", {"line": line.number})
    return request


def _one_row_each(people: Sequence[Subject]) -> list[Subject]:
    """Return one row of each person: what is done to it is done to all rows of theirs."""
    found: list[Subject] = []
    seen: set[int] = set()
    for person in people:
        if person.pk not in seen:
            found.append(person)
            seen.update(rows_of(person))
    return found


def _bury(entry: Entry) -> None:
    """Put tombstones for whom nobody here was known by, so that they are recognised."""
    newest = current().newest
    stones = [
        Tombstone(
            scheme=each.scheme, digest=known.known_by(each).newest[0], key_version=newest,
            erased_at=entry.at,
        )
        for each in entry.identifiers
    ]  # fmt: skip
    Tombstone.objects.bulk_create(stones, ignore_conflicts=True)


def _under_way(person: Subject, asked: UUID | None) -> RightsRequest | None:
    """Return the erasure that the backup was taken in the middle of, if it was."""
    mine = RightsRequest.objects.filter(
        subject__in=rows_of(person), kind=RequestKind.ERASURE, forgotten_at=None, refused_at=None,
        duplicate_of=None,
    )  # fmt: skip
    named = mine.filter(uuid=asked).first() if asked else None
    return named or mine.order_by("pk").first()


def _resting() -> "QuerySet[Tombstone]":
    """Return the tombstones of those who have not registered again."""
    again = SubjectIdentifier.objects.filter(scheme=OuterRef("scheme"), digest=OuterRef("digest"))
    return Tombstone.objects.filter(~Exists(again))


def _see_again(lines: Sequence[Line], *, new: int) -> None:
    """Know of the same lines as before as far as they are there, and of the new ones."""
    before = dict(JournalLine.objects.values_list("number", "checksum"))
    fresh = {line.number for line in lines[len(lines) - new :]}
    JournalLine.objects.all().delete()
    JournalLine.objects.bulk_create(
        JournalLine(number=line.number, checksum=line.checksum)
        for line in lines
        if line.number in fresh or bytes(before.get(line.number, b"")) == line.checksum
    )


def _identifier(stone: Tombstone) -> Identifier:
    return Identifier(stone.scheme, bytes(stone.digest), stone.key_version)
