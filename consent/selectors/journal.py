"""What the journal of erasures has that this database has not."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db.models import Q

from consent import journal
from consent.journal import Entry, Identifier, Line, Seen
from consent.models import JournalLine, RightsRequest, Subject
from consent.selectors.identifier_keys import Digests, current, moved_up
from consent.selectors.requests import forgettable
from consent.selectors.subjects import by_digests
from governance.keys import secret_for


@dataclass(frozen=True, slots=True)
class Reckoning:
    """How many lines there are, and the erasures among them that this database does not have."""

    lines: int
    missing: list[Line]


def directory() -> Path:
    """Return where the journal lies."""
    return Path(settings.COLOPHON_JOURNAL_DIR)


def checksum_key() -> bytes:
    """Return the key of the journal's checksums."""
    return secret_for("erasure-journal-v1")


def last_seen() -> Seen:
    """Return the last line that this database knows of."""
    last = JournalLine.objects.order_by("-number").first()
    return Seen(last.number, bytes(last.checksum)) if last else Seen()


def reckoning() -> Reckoning:
    """Compare the journal with the database, from the first line on.

    Raises `JournalUnavailableError` and `JournalDamagedError`.
    """
    seen = last_seen()  # before what is compared with it: more may be written meanwhile
    known = set(JournalLine.objects.values_list("number", flat=True))
    count, unseen = 0, []
    for line in journal.lines(directory(), checksum_key(), seen=seen):
        count += 1
        if line.number not in known:
            unseen.append(line)
    had = _had({line.entry.request for line in unseen if line.entry.request})
    return Reckoning(count, [line for line in unseen if line.entry.request not in had])


def _had(requests: Collection[UUID]) -> set[UUID]:
    """Return those requests whose person is forgotten, or is about to be and by nothing else.

    Of the latter the line was written and the forgetting not committed, because the process died
    in between. A backup from just then leads to the same end.
    """
    found = RightsRequest.objects.filter(uuid__in=requests)
    ended = found.filter(Q(forgotten_at__isnull=False) | forgettable())
    return set(ended.values_list("uuid", flat=True))


def living(entry: Entry) -> list[Subject]:
    """Return whom an entry is about, of those who are here and were at the time.

    Who came back by their own wish after it is somebody else. The versions of the keys are those
    of this database, which must not be older than the entry's.
    """
    people: set[int] = set()
    for each in entry.identifiers:
        people |= {int(key) for key in by_digests(each.scheme, known_by(each)) if key}
    found = Subject.objects.filter(pk__in=people, erased_at=None, created_at__lte=entry.at)
    return list(found.order_by("pk"))


def known_by(identifier: Identifier) -> Digests:
    """Return by what an identifier of the journal is known here now."""
    keys = current()
    if identifier.key_version > keys.oldest:
        return Digests(moved_up([identifier.digest], identifier.key_version, keys.newest))
    return keys.known_by(moved_up([identifier.digest], identifier.key_version, keys.oldest))


def newest_key(lines: Iterable[Line]) -> int:
    """Return the newest version of the key by which anybody in some lines is known."""
    versions = (each.key_version for line in lines for each in line.entry.identifiers)
    return max(versions, default=journal.FIRST_KEY)
