"""Which data sets are read for copies: what is due, and what a request has so far."""

from collections.abc import Collection

from django.db.models import Exists, OuterRef, Q, QuerySet, Sum
from django.db.models.functions import Now

from consent.models import CopyReading, RightsRequest
from consent.selectors import access, portal
from governance.models import Dataset

Certainty = CopyReading.Certainty


def readings_to_do() -> "QuerySet[CopyReading]":
    """Return the readings that can be claimed now: of each request one at a time."""
    open_ = CopyReading.objects.filter(finished_at=None)
    running = open_.filter(request=OuterRef("request"), lease_until__gte=Now())
    free = Q(lease_until=None) | Q(lease_until__lt=Now())
    due = open_.filter(free, retry_at__lte=Now(), request__in=access.waiting())
    return due.exclude(Exists(running)).order_by("request__due_at", "pk")


def readings_of(request: RightsRequest) -> list[CopyReading]:
    """Return what is read for the copy of a request, by data set; what was read is not fetched."""
    found = CopyReading.objects.filter(request=request).select_related("dataset")
    return list(found.defer("content_sealed").order_by("dataset__namespace", "dataset__name"))


def not_asked_for(request: RightsRequest, derived: Collection[Dataset]) -> list[CopyReading]:
    """Return what has to be read and nobody is asked to yet, unsaved.

    What holds the person now comes first, since a copy has room for so much; then ``derived``.
    """
    asked = set(request.readings.values_list("dataset_id", flat=True))
    held = [each.dataset for each in portal.holdings(request.subject) if each.until is None]
    wanted = {each.pk: CopyReading(request=request, dataset=each) for each in held}
    for each in derived:
        inferred = CopyReading(request=request, dataset=each, certainty=Certainty.INFERRED)
        wanted.setdefault(each.pk, inferred)
    return [each for pk, each in wanted.items() if pk not in asked]


def bytes_kept(request: RightsRequest) -> int:
    """Return how much of what was read is kept for a request, uncompressed."""
    return request.readings.aggregate(all=Sum("size"))["all"] or 0


def left_over() -> "QuerySet[CopyReading]":
    """Return the readings whose content nobody waits for any more."""
    still = access.waiting().filter(pk=OuterRef("request"))
    return CopyReading.objects.filter(~Exists(still), content_sealed__isnull=False)
