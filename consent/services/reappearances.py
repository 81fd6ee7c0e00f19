"""Erased people whose data came back: their erasure is opened again, by itself.

An erased person has no row that may be named, so there is a new one that nobody knows by any
identifier: erased from the start, so the gate leaves it out at every instant, and without a key.
It is in the data sets that the person has come back to, so that planning, tracing and erasing go
as they do for everybody. What to look for stands on the tombstones, which a `Revival` leads to
while there is something left to erase.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import uuid4

from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Coalesce, Now
from pyroaring import BitMap

from consent.models import (
    ErasureStep,
    Manifest,
    MembershipSpan,
    Reappearance,
    RequestKind,
    Revival,
    RightsRequest,
    Subject,
    Tombstone,
)
from consent.selectors import late, membership
from consent.selectors.persons import rows_of_each
from consent.selectors.subjects import stands_in
from consent.services import planning, stays
from consent.services.claims import Batch
from consent.services.requests import open_automatic, record
from consent.services.subjects import Forgotten, hold_people
from governance.models import Dataset

ATTEMPTS = 3


@transaction.atomic
def reopen(*, tombstone_id: int) -> RightsRequest | None:
    """See to the data that came back of one erased person; return the erasure that now does.

    It is one for all data sets, and the one that is under way unless that has looked there
    already; nothing if nothing waits. Who registered again by their own wish is not erased again.
    """
    hold_people(shared=True)
    for attempt in range(ATTEMPTS):
        try:
            with transaction.atomic():
                return _reopen(tombstone_id)
        except (IntegrityError, Revival.DoesNotExist):
            # Another worker revived or forgot the same person between our reading and writing.
            if attempt == ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def look_for(batch: Batch) -> None:
    """Note that the reading begins: a list that names the people after this is another matter."""
    with connection.cursor() as cursor:
        cursor.execute(_LOOK_FOR, [list(batch.tokens)])


def end(batch: Batch) -> None:
    """End the reappearances that were read back, and leave the others to the next erasure."""
    with connection.cursor() as cursor:
        cursor.execute(_END, [list(batch.tokens)])


def with_more_to_erase(due: Collection[RightsRequest]) -> set[RightsRequest]:
    """Add to plans what came into sight since they were made; return those with anything new.

    Whoever stands in is looked for anew. Of the others that is a data set that a list has named
    them in since, or one that was derived of their data since.
    """
    seen = late.since_planned([each for each in due if not stands_in(each.subject)])
    return {
        each
        for each in due
        if (stands_in(each.subject) or seen[each]) and planning.extend(request=each) > 0
    }


def listed_again(
    asked: Mapping[Subject, RightsRequest], forgotten: Mapping[int, Forgotten]
) -> None:
    """Note whom a list has named since their step was done, before they were forgotten.

    As if the list had come after that: the data came back, and is erased by another erasure. An
    older list can be left where a data set has two names and was erased from by the other. The
    caller holds people alone.
    """
    rows = rows_of_each(forgotten)
    of = membership.stays_of([row for person in rows.values() for row in person])
    spans = MembershipSpan.objects.filter(pk__in=set().union(*of.values()), until=None)
    still = {each.pk: each for each in spans.select_related("since")}
    for subject, request in asked.items():
        for span in sorted({span for row in rows[subject.pk] for span in of[row]} & still.keys()):
            people = BitMap(row for row in rows[subject.pk] if span in of[row])
            _came_back(still[span], people, forgotten[subject.pk].buried, request.received_at)


def _came_back(
    stay: MembershipSpan, people: BitMap, buried: Sequence[Tombstone], since: datetime
) -> None:
    named = Manifest.objects.filter(
        version=stay.since_id, scheme__in=[stone.scheme for stone in buried], received_at__gt=since
    )
    manifest = named.exclude(mode=Manifest.Mode.REMOVE).order_by("-pk").first()
    if manifest is None:
        return
    Reappearance.objects.bulk_create(
        [
            Reappearance(dataset_id=stay.dataset_id, tombstone=stone, manifest=manifest)
            for stone in buried
            if stone.scheme == manifest.scheme
        ],
        ignore_conflicts=True,
    )
    stays.end(dataset_id=stay.dataset_id, people=people, version=stay.since)


def let_go(people: Collection[Subject]) -> None:
    """Let nothing lead from a tombstone to people any more: there is nothing left to erase."""
    theirs = Reappearance.objects.filter(request__subject__in=people)
    theirs.update(ended_at=Coalesce("ended_at", Now()), request=None, looked_for_at=None)
    Revival.objects.filter(subject__in=people).delete()


def revive(subject: Subject, tombstones: Collection[Tombstone]) -> None:
    """Look for an erased person by some tombstones; who was looked for by them is superseded.

    The caller holds people alone.
    """
    found = Revival.objects.filter(tombstone__in=tombstones, superseded=False)
    found.update(superseded=True)
    Revival.objects.bulk_create(Revival(subject=subject, tombstone=each) for each in tombstones)


def _reopen(tombstone_id: int) -> RightsRequest | None:
    waiting = membership.to_reopen().filter(tombstone_id=tombstone_id)
    asked = list(waiting.values_list("dataset_id", flat=True))
    if not asked:
        return None
    subject = _revived(Tombstone.objects.get(pk=tombstone_id))
    # All data sets before any row that they share, in one order, as whoever takes a list does.
    locked = Dataset.objects.select_for_update(no_key=True).filter(pk__in=asked).order_by("pk")
    there = [dataset.pk for dataset in locked]
    found = waiting.filter(dataset_id__in=there).select_related("manifest__version", "dataset")
    came_back = list(found)
    if not came_back:
        return None
    request = _under_way(subject)
    if request is not None and _has_looked(request, there):
        request, subject = None, _revived(Tombstone.objects.get(pk=tombstone_id), anew=True)
    request = request or open_automatic(subject=subject, key=uuid4())
    _see_to(request, came_back)
    return request


def _revived(stone: Tombstone, *, anew: bool = False) -> Subject:
    """Return who stands for the person, made now if nobody does or another has to, and hold them.

    Of two that revive the same person at once the constraint lets one; the other begins again.
    """
    now = Revival.objects.filter(tombstone=stone, superseded=False)
    if anew or not now.exists():
        made = Subject.objects.create(erased_at=stone.erased_at, erased_schemes=[stone.scheme])
        if anew:
            now.update(superseded=True)  # the row is held since it was returned
        Revival.objects.create(subject=made, tombstone=stone)
    return now.select_for_update(of=["self"]).select_related("subject").get().subject


def _under_way(subject: Subject) -> RightsRequest | None:
    """Return the erasure that is under way, if there is one; nobody plans it meanwhile."""
    open_now = RightsRequest.objects.filter(
        subject=subject, kind=RequestKind.ERASURE, forgotten_at=None, refused_at=None
    )
    return open_now.select_for_update().first()


def _has_looked(request: RightsRequest, datasets: Collection[int]) -> bool:
    """Say whether an erasure is done with any of the data sets: it will not look there again.

    What lawfully stays has been looked at for good.
    """
    done = request.steps.filter(dataset__in=datasets, state=ErasureStep.State.DONE)
    return done.exclude(outcome=ErasureStep.Outcome.EXEMPT).exists()


def _see_to(request: RightsRequest, came_back: Sequence[Reappearance]) -> None:
    for each in came_back:
        stays.begin(
            dataset_id=each.dataset_id,
            people=BitMap([request.subject_id]),
            version=each.manifest.version,
        )
    Reappearance.objects.filter(pk__in=[each.pk for each in came_back]).update(request=request)
    if request.planned_at is not None:
        planning.extend(request=request)
    record(
        request, "erasure.reopened",
        {
            "manifests": sorted({str(each.manifest.uuid) for each in came_back}),
            "datasets": sorted({str(each.dataset.uuid) for each in came_back}),
        },
    )  # fmt: skip


_LOOK_FOR = """
    UPDATE consent_reappearance r SET looked_for_at = clock_timestamp()
      FROM consent_erasurestep s
     WHERE s.id = ANY(%s) AND r.request_id = s.request_id AND r.dataset_id = s.dataset_id
       AND r.ended_at IS NULL
"""

_END = """
    UPDATE consent_reappearance r
       SET ended_at = CASE WHEN r.looked_for_at IS NOT NULL THEN clock_timestamp() END,
           request_id = CASE WHEN r.looked_for_at IS NOT NULL THEN r.request_id END
      FROM consent_erasurestep s
     WHERE s.id = ANY(%s) AND r.request_id = s.request_id AND r.dataset_id = s.dataset_id
       AND r.ended_at IS NULL
"""
