"""Learn who is in a data set by reading its storage: claim, read, take, finish.

What is read becomes a manifest of the version that is current, by the same code as one that is
handed in. "Exactly these" proves that everybody else is absent, so it is said only if nothing
speaks against it: each value names somebody, the version stood still, no erasure has begun, and
everybody who is in this version by an earlier list was found. Otherwise the scan says "these are
in it" and why it cannot say more.

It is safe to lose: a worker that dies leaves a lease that runs out and a transaction that is
rolled back; one that wakes after its lease finds its token outdated and changes nothing.
"""

import hmac
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from django.conf import settings
from django.db import connection, transaction

from consent.connectors import connector_for
from consent.connectors.base import ConnectorError
from consent.models import ErasureStep, Manifest, MembershipScan
from consent.selectors import scans
from consent.selectors.identifier_keys import current, usable_digests
from consent.services import leases, membership, staging
from consent.services.leases import LostClaimError
from consent.services.places import place_of
from governance.errors import ColophonError
from governance.keys import secret_for
from governance.models import ApiClient, Dataset
from governance.services import ledger
from lineage.models import DatasetVersion
from lineage.openlineage import RunState
from lineage.selectors import versions
from lineage.services.versions import ensure_origins

logger = logging.getLogger(__name__)

RETRY_SECONDS = 5
MOST_ATTEMPTS = 12
Outcome = MembershipScan.Outcome


class DatasetMovedError(ConnectorError):
    """The data set was written while it was read: what was read is neither the old nor the new."""

    code = "dataset_moved"
    retryable = True


class WorkersLostError(ConnectorError):
    """Whoever read it died, again and again."""

    code = "workers_lost"


@dataclass(frozen=True, slots=True)
class Asked:
    """A scan, and whether it came into being now."""

    scan: MembershipScan
    created: bool


@dataclass(frozen=True, slots=True)
class Lacking:
    """Why "exactly these" cannot be said; empty if it can."""

    code: str = ""
    reason: str = ""


@dataclass(slots=True)
class _Reading:
    """What has been read so far, by count, and a digest of it; ``key`` is the key's version."""

    scheme: str
    key: int
    mac: hmac.HMAC
    progress: Callable[[int], None] = field(repr=False)
    rows: int = 0
    unusable: int = 0

    def digests(self, batches: Iterable[list[str]]) -> Iterator[Sequence[bytes]]:
        """Yield the digests of those values that can name somebody, and count them all."""
        for values in batches:
            tried = usable_digests(self.key, self.scheme, values)
            found = [each for each in tried if each is not None]
            self.rows += len(values)
            self.unusable += len(values) - len(found)
            self.mac.update(b"".join(found))
            self.progress(self.rows)
            yield found


def ask(*, dataset: Dataset, client: ApiClient | None = None) -> Asked:
    """Ask for a scan; one that is under way is the answer to every question meanwhile.

    Raises the errors of `consent.services.places`.
    """
    place_of(dataset)
    made = MembershipScan(dataset=dataset, requested_from=client)
    while True:
        MembershipScan.objects.bulk_create([made], ignore_conflicts=True)
        if found := scans.scans_of(dataset).filter(uuid=made.uuid).first():
            return Asked(found, created=True)
        if found := scans.under_way(dataset):
            return Asked(found, created=False)


def carry_out(*, scan_id: int, progress: Callable[[int], None] = lambda _: None) -> bool:
    """Do a scan if it is free; say whether it is done now.

    What stands in the way is written on it by its code; what may go away by itself is tried
    again, a few times. ``progress`` is told how many values were read.
    """
    scan = _claim(scan_id)
    if scan is None:
        return False
    try:
        with leases.kept_alive(partial(_renew, scan)):
            _scan(scan, progress)
    except ColophonError as error:
        again = isinstance(error, ConnectorError) and error.retryable
        if again and scan.attempt < MOST_ATTEMPTS:
            _put_off(scan, error)
            return False
        return _failed(scan, error)
    except LostClaimError:
        logger.warning("a scan was taken over while its lease had run out")
        return False
    return True


def _scan(scan: MembershipScan, progress: Callable[[int], None]) -> None:
    if scan.attempt > MOST_ATTEMPTS:
        raise WorkersLostError("its worker died each time: look at the worker's memory and log")
    dataset = scan.dataset
    ensure_origins([dataset.pk])
    _read_and_take(scan, versions.current(dataset.pk), progress)


@transaction.atomic
def _read_and_take(
    scan: MembershipScan, version: DatasetVersion, progress: Callable[[int], None]
) -> None:
    dataset, place = scan.dataset, place_of(scan.dataset)
    # The scan's own name goes in: the same people again is another word, for the data may have
    # changed and changed back in between.
    mac = hmac.new(secret_for("manifest-digest-v1"), scan.uuid.bytes, "sha256")
    reading = _Reading(dataset.subject_scheme, current().oldest, mac, progress)
    batches = connector_for(place.kind).members(place)
    staged = staging.stage(reading.digests(batches), reading.key)
    named = membership.hold(staged, dataset, dataset.subject_scheme)
    if versions.current(dataset.pk) != version:
        raise DatasetMovedError("the data set was written while it was read")
    lacking = _lacking(scan, version, reading)
    loaded = membership.settle(
        named, dataset=dataset, version=version,
        mode=Manifest.Mode.ADD if lacking.code else Manifest.Mode.REPLACE,
        scheme=dataset.subject_scheme, column=dataset.subject_column,
        digest=mac.digest(), client=scan.requested_from,
    )  # fmt: skip
    scan.rows, scan.unusable, scan.manifest = reading.rows, reading.unusable, loaded.manifest
    _finish(scan, Outcome.INCOMPLETE if lacking.code else Outcome.COMPLETE, lacking)


def _lacking(scan: MembershipScan, version: DatasetVersion, reading: _Reading) -> Lacking:
    """Return why what was read may not be everybody in the version; the data set is held."""
    if reading.unusable:
        return Lacking(
            "values_unusable",
            f"{reading.unusable} of {reading.rows} values can name nobody in the scheme "
            f"{reading.scheme}",
        )
    if version.run is not None and not RunState(version.run.state).terminal:
        return Lacking("being_written", "the run that writes this version has not ended")
    begun = ErasureStep.objects.filter(dataset=scan.dataset, located_rows__isnull=False)
    if begun.exclude(state=ErasureStep.State.DONE).exists():
        return Lacking("erasure_begun", "people are being erased from it, and were in it before")
    told = Manifest.objects.filter(version=version).exists()
    if told and membership.misses_somebody(
        dataset=scan.dataset, version=version, scheme=reading.scheme
    ):
        return Lacking(
            "changed_untold",
            "people whom an earlier list of this version names are not there any more, and "
            "nobody has told of a write",
        )
    return Lacking()


def _claim(scan_id: int) -> MembershipScan | None:
    """Take a scan that is free, in one statement; nobody else has its token then."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE consent_membershipscan
               SET state = 'running', token = token + 1, attempt = attempt + 1,
                   code = '', reason = '',
                   lease_until = clock_timestamp() + make_interval(secs => %s)
             WHERE id = %s AND retry_at <= clock_timestamp()
               AND (state IN ('ready', 'blocked')
                    OR state = 'running' AND lease_until < clock_timestamp())
            RETURNING token
            """,
            [settings.COLOPHON_LEASE_SECONDS, scan_id],
        )
        row = cursor.fetchone()
    if row is None:
        return None
    found = MembershipScan.objects.select_related("dataset__storage", "requested_from")
    scan = found.get(pk=scan_id)
    scan.token = row[0]
    return scan


def _renew(scan: MembershipScan) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE consent_membershipscan"
            " SET lease_until = clock_timestamp() + make_interval(secs => %s)"
            " WHERE id = %s AND token = %s AND state = 'running'",
            [settings.COLOPHON_LEASE_SECONDS, scan.pk, scan.token],
        )


def _put_off(scan: MembershipScan, error: ColophonError) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE consent_membershipscan
               SET state = 'blocked', code = %s, reason = %s, lease_until = NULL,
                   retry_at = clock_timestamp() + make_interval(secs => %s * attempt)
             WHERE id = %s AND token = %s AND state = 'running'
            """,
            [error.code, error.message, RETRY_SECONDS, scan.pk, scan.token],
        )


@transaction.atomic
def _failed(scan: MembershipScan, error: ColophonError) -> bool:
    try:
        _finish(scan, Outcome.FAILED, Lacking(error.code, error.message))
    except LostClaimError:
        return False
    return True


def _finish(scan: MembershipScan, outcome: MembershipScan.Outcome, lacking: Lacking) -> None:
    """Write the outcome, if the scan is still ours, and tell the ledger."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE consent_membershipscan
               SET state = 'done', outcome = %s, code = %s, reason = %s, rows = %s,
                   unusable = %s, manifest_id = %s, lease_until = NULL,
                   finished_at = clock_timestamp()
             WHERE id = %s AND token = %s AND state = 'running'
            """,
            [outcome.value, lacking.code, lacking.reason, scan.rows, scan.unusable,
             scan.manifest.pk if scan.manifest else None, scan.pk, scan.token],
        )  # fmt: skip
        if not cursor.rowcount:
            raise LostClaimError
    ledger.append(
        kind="scan.finished",
        facts={
            "scan": str(scan.uuid), "dataset": str(scan.dataset.uuid), "outcome": outcome.value,
            "code": lacking.code, "rows": scan.rows, "unusable": scan.unusable,
            "manifest": str(scan.manifest.uuid) if scan.manifest else None,
        },
    )  # fmt: skip
