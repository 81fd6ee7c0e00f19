"""Read a person's rows from the storages, for the copy that they asked for.

Each data set is a row that a worker claims. It is read outside of any transaction, by the person's
digests as an erasure reads it, and what is found is compressed and sealed in memory: nothing of
it lies anywhere unsealed. A storage that does not answer is asked again, a few times and with
growing pauses; then the copy is made without it, and says so.
"""

import json
import logging
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from consent import copies as words
from consent.connectors import connector_for
from consent.connectors.base import JSON, ConnectorError
from consent.models import CopyReading, RightsRequest
from consent.selectors import copies
from consent.selectors.subjects import key_of
from consent.services import large, leases
from consent.services.looking import reading_of
from consent.services.places import place_of
from governance.crypto import SealingKey
from governance.errors import ColophonError
from governance.models import Dataset

logger = logging.getLogger(__name__)

# Between attempts, in seconds: some three hours, of the month that there is.
SCHEDULE = [60, 300, 1800, 7200]
CHUNK = 1 << 16


class KeptOutError(ConnectorError):
    """Whoever registered the data set keeps it out of copies."""

    code = words.KEPT_OUT


@dataclass(frozen=True, slots=True, repr=False)
class Found:
    """A person's rows in a data set: how many, and the first ``kept`` of them, compressed."""

    rows: int
    kept: int
    size: int
    content: bytes
    unread: int


def ask(request: RightsRequest, derived: Collection[Dataset]) -> bool:
    """Put down what has to be read for a copy, these among it; say if anything is to be read."""
    missing = copies.not_asked_for(request, derived)
    CopyReading.objects.bulk_create(missing, ignore_conflicts=True)
    return request.readings.filter(finished_at=None).exists()


def read(*, reading_id: int) -> bool:
    """Read one data set, if nobody does; say whether this call ended it."""
    due = _claimed(reading_id)
    if due is None:
        return False
    if due.attempt > len(SCHEDULE) + 1:
        return _ended(due, words.WORKERS_LOST, "the worker was lost while it read")
    try:
        key = key_of(due.request.subject)
        with leases.kept_alive(partial(_renew, due)):
            found = _found(due)
    except ColophonError as error:
        again = isinstance(error, ConnectorError) and error.retryable
        return _stopped(due, error.code, error.message, again=again)
    except Exception as error:  # noqa: BLE001 a driver's own text can quote the row it stumbled over
        logger.warning("rows for a copy could not be read: %s", type(error).__name__)
        return _stopped(due, words.UNREADABLE, "the rows could not be understood", again=True)
    return _kept(due, found, key)


def content_of(reading: CopyReading) -> Iterator[bytes]:
    """Yield the JSON lines of a reading, in pieces; nothing of it stays with the reading."""
    sealed = large.kept(reading)
    if sealed is None:
        return
    compressed = key_of(reading.request.subject).open(sealed, _place(reading))
    del sealed
    unpacking = zlib.decompressobj()
    for begins in range(0, len(compressed), CHUNK):
        piece = compressed[begins : begins + CHUNK]
        while piece:
            yield unpacking.decompress(piece, CHUNK)
            piece = unpacking.unconsumed_tail
    yield unpacking.flush()


def let_go() -> int:
    """Empty what was read for copies that nobody waits for any more; return how many."""
    return copies.left_over().update(content_sealed=None)


def _found(due: CopyReading) -> Found:
    dataset = due.dataset
    place = place_of(dataset)
    if words.is_kept_out(place.options):
        raise KeptOutError("the data set is kept out of copies by its option copy")
    connector = connector_for(place.kind)
    connector.rows(place, frozenset())  # where no rows can be read, nobody need be looked for
    seen = reading_of(dataset, place, due.request.subject_id)
    rows = connector.rows(place, seen.values) if seen.values else ()
    found = _packed(rows, room=words.MOST_BYTES - copies.bytes_kept(due.request))
    more = seen.rows.get(due.request.subject_id, 0) - found.rows
    return Found(found.rows, found.kept, found.size, found.content, max(0, more))


def _packed(rows: Iterable[Mapping[str, JSON]], *, room: int) -> Found:
    """Take rows as long as there is room, and count the rest."""
    packing, content = zlib.compressobj(), bytearray()
    count = kept = size = 0
    for row in rows:
        count += 1
        if kept < count - 1:
            continue
        line = (json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n").encode()
        if size + len(line) <= room:
            kept, size = count, size + len(line)
            content += packing.compress(line)
    content += packing.flush()
    return Found(count, kept, size, bytes(content), 0)


@transaction.atomic
def _claimed(reading_id: int) -> CopyReading | None:
    """Take a reading, by the database's clock, while no other of the same request is taken.

    One after the other, because what one may keep is what those before it have left.
    """
    about = RightsRequest.objects.select_for_update(no_key=True)
    if about.filter(readings=reading_id).first() is None:
        return None
    lease = Now() + timedelta(seconds=settings.COLOPHON_LEASE_SECONDS)
    taken = copies.readings_to_do().filter(pk=reading_id).order_by()
    if not taken.update(token=F("token") + 1, attempt=F("attempt") + 1, lease_until=lease):
        return None
    found = CopyReading.objects.select_related("dataset__storage", "request__subject")
    return found.get(pk=reading_id)


def _renew(due: CopyReading) -> None:
    lease = Now() + timedelta(seconds=settings.COLOPHON_LEASE_SECONDS)
    _ours(due, lease_until=lease)


def _stopped(due: CopyReading, code: str, reason: str, *, again: bool) -> bool:
    """Put it off, or end it without rows where another attempt would be in vain."""
    if not again or due.attempt > len(SCHEDULE):
        return _ended(due, code, reason)
    at = Now() + timedelta(seconds=SCHEDULE[due.attempt - 1])
    _ours(due, code=code, reason=reason, lease_until=None, retry_at=at)
    return False


def _ended(due: CopyReading, code: str, reason: str) -> bool:
    return _ours(due, code=code, reason=reason, lease_until=None, finished_at=Now())


def _kept(due: CopyReading, found: Found, key: SealingKey) -> bool:
    sealed = key.seal(found.content, _place(due)) if found.kept else None
    with transaction.atomic():
        ours = _ours(
            due, code="", reason="", lease_until=None, finished_at=Now(),
            rows=found.rows, kept=found.kept, size=found.size, unread=found.unread,
        )  # fmt: skip
        if ours and sealed is not None:
            large.keep(due, sealed)
    return ours


def _ours(due: CopyReading, **told: object) -> bool:
    """Write something down, if the reading is still ours."""
    held = CopyReading.objects.filter(pk=due.pk, token=due.token, finished_at=None)
    return bool(held.update(**told))


def _place(reading: CopyReading) -> str:
    return f"consent_copyreading/{reading.request.uuid}/{reading.dataset.uuid}"
