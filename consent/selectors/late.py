"""What came into sight of an erasure since it was planned, before the person is forgotten."""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from functools import cache

from django.db.models import Max

from consent.models import ErasureStep, RightsRequest
from consent.selectors import membership
from consent.selectors.persons import rows_of_each
from governance.models import Model
from lineage.models import DatasetVersion
from lineage.selectors import ancestry


def since_planned(due: Collection[RightsRequest]) -> dict[RightsRequest, set[int]]:
    """Return of each erasure the data sets without a step that may hold the person all the same.

    A list has named the person in them meanwhile, or they lie below what held the person and were
    written meanwhile. What is a model holds no rows and is followed elsewhere.
    """
    rows = rows_of_each(each.subject_id for each in due)
    places = membership.places_of([row for person in rows.values() for row in person])
    planned = defaultdict(set)
    steps = ErasureStep.objects.filter(request__in=due)
    for request, dataset in steps.values_list("request_id", "dataset_id"):
        planned[request].add(dataset)
    below = cache(lambda starts: ancestry.descendants(starts).dataset_ids)
    named, derived = {}, {}
    for each in due:
        mine = [places[row] for row in rows[each.subject_id]]
        ever = frozenset(pk for place in mine for pk in place.versions.values())
        named[each] = {pk for place in mine for pk in place.now} - planned[each.pk]
        derived[each] = below(ever) - planned[each.pk] if ever else set()
    written = _last_written(set().union(*derived.values()))
    return {
        each: named[each]
        | {pk for pk in derived[each] & written.keys() if _after(written[pk], each.planned_at)}
        for each in due
    }


def _after(written: datetime, planned: datetime | None) -> bool:
    return planned is None or written > planned


def _last_written(datasets: Collection[int]) -> dict[int, datetime]:
    if not datasets:
        return {}
    found = DatasetVersion.objects.filter(dataset__in=list(datasets), kind="written")
    data = found.exclude(dataset__in=Model.objects.values("dataset"))
    return dict(data.values_list("dataset").annotate(last=Max("complete_at")))
