"""Readings of storages: which are due, and where each stands."""

from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from consent.models import MembershipScan
from governance.errors import NotFoundError
from governance.models import Dataset


def scans_of(dataset: Dataset) -> "QuerySet[MembershipScan]":
    """Return every scan of a data set, the first one first."""
    found = MembershipScan.objects.filter(dataset=dataset)
    return found.select_related("dataset", "manifest__dataset", "manifest__version")


def scan(dataset: Dataset, uuid: UUID) -> MembershipScan:
    """Return one scan of a data set, or raise `NotFoundError`."""
    found = scans_of(dataset).filter(uuid=uuid).first()
    if found is None:
        raise NotFoundError("no such scan of this data set is known")
    return found


def under_way(dataset: Dataset) -> MembershipScan | None:
    """Return the scan of a data set that is not done, if there is one."""
    return scans_of(dataset).exclude(state=MembershipScan.State.DONE).first()


def open_now() -> "QuerySet[MembershipScan]":
    """Return the scans that have no outcome yet."""
    return MembershipScan.objects.exclude(state=MembershipScan.State.DONE)


def failed() -> "QuerySet[MembershipScan]":
    """Return the scans that took nothing, and after which their data set was not scanned again."""
    later = MembershipScan.objects.filter(dataset=OuterRef("dataset"), pk__gt=OuterRef("pk"))
    return MembershipScan.objects.filter(~Exists(later), outcome=MembershipScan.Outcome.FAILED)


def to_scan() -> "QuerySet[MembershipScan]":
    """Return the scans that can be claimed now, those that wait longest first."""
    free = ~Q(state="running") | Q(lease_until__lt=Now())
    waiting = MembershipScan.objects.filter(free, retry_at__lte=Now()).exclude(state="done")
    return waiting.order_by("retry_at", "pk")
