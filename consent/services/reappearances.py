"""Erased people whose data came back: their erasure is opened again, by itself.

An erased person has no row that may be named, so there is a new one that nobody knows by any
identifier: erased from the start, so the gate leaves it out at every instant, and without a key.
It is in the data sets that the person has come back to, so that planning, tracing and erasing go
as they do for everybody. What to look for stands on the tombstones, which a `Revival` leads to
while there is something left to erase.
"""

from collections.abc import Collection, Sequence
from uuid import uuid4

from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Coalesce, Now
from pyroaring import BitMap

from consent.models import ErasureStep, Reappearance, Revival, RightsRequest, Subject, Tombstone
from consent.selectors import membership
from consent.services import planning, stays
from consent.services.claims import Batch
from consent.services.requests import open_automatic, record
from consent.services.subjects import hold_people
from governance.models import Dataset
from lineage.selectors import versions

ATTEMPTS = 3


@transaction.atomic
def reopen(*, tombstone_id: int) -> list[RightsRequest]:
    """See to the data that came back of one erased person; return the erasures that now do.

    One for all data sets, and the one that is under way where there is one; nothing if nothing
    waits. Whoever registered again by their own wish is not erased again.
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


def hold(subject_id: int) -> bool:
    """Let nobody revive the person further until the transaction ends; say whether they are."""
    return bool(list(Revival.objects.select_for_update().filter(subject_id=subject_id)))


def has_more_to_erase(request: RightsRequest) -> bool:
    """Add what was derived of the data since the plan was made; say whether there is any."""
    return planning.came_back(request.subject) and planning.extend(request=request) > 0


def let_go(subject: Subject) -> None:
    """Let nothing lead from a tombstone to the person any more: there is nothing left to erase."""
    mine = Reappearance.objects.filter(request__subject=subject)
    mine.update(ended_at=Coalesce("ended_at", Now()), request=None, looked_for_at=None)
    Revival.objects.filter(subject=subject).delete()


def revive(subject: Subject, tombstones: Collection[Tombstone]) -> None:
    """Look for an erased person by some tombstones; one that leads to somebody already stays so."""
    Revival.objects.bulk_create(
        [Revival(subject=subject, tombstone=each) for each in tombstones], ignore_conflicts=True
    )


def _reopen(tombstone_id: int) -> list[RightsRequest]:
    waiting = membership.to_reopen().filter(tombstone_id=tombstone_id)
    asked = list(waiting.values_list("dataset_id", flat=True))
    if not asked:
        return []
    subject = _revived(tombstone_id)
    # All data sets before any row that they share, in one order, as whoever takes a list does.
    locked = Dataset.objects.select_for_update(no_key=True).filter(pk__in=asked).order_by("pk")
    there = [dataset.pk for dataset in locked]
    found = list(
        waiting.filter(dataset_id__in=there).select_related("manifest__version", "dataset")
    )
    by_request: dict[int, list[Reappearance]] = {}
    seeing: dict[int, RightsRequest] = {}
    running = _running(subject)
    for each in found:
        request = _free_for(each, running)
        seeing[request.pk] = request
        by_request.setdefault(request.pk, []).append(each)
    for pk, some in by_request.items():
        _see_to(seeing[pk], some)
    return list(seeing.values())


def _revived(tombstone_id: int) -> Subject:
    """Return who stands for the person, made now if nobody does, and hold them.

    Of two that revive the same person at once the constraint lets one; the other begins again.
    """
    if not Revival.objects.filter(tombstone_id=tombstone_id).exists():
        stone = Tombstone.objects.get(pk=tombstone_id)
        made = Subject.objects.create(erased_at=stone.erased_at, erased_schemes=[stone.scheme])
        Revival.objects.create(subject=made, tombstone=stone)
    held = Revival.objects.select_for_update(of=["self"]).select_related("subject")
    return held.get(tombstone_id=tombstone_id).subject


def _running(subject: Subject) -> list[RightsRequest]:
    """Return the erasures that are under way, the latest first; nobody plans them meanwhile."""
    open_now = RightsRequest.objects.filter(subject=subject, forgotten_at=None, refused_at=None)
    return list(open_now.select_for_update().order_by("-pk"))


def _free_for(came_back: Reappearance, running: list[RightsRequest]) -> RightsRequest:
    """Return an erasure that has yet to look into the data set, opened now if there is none.

    What lawfully stays has been looked at for good.
    """
    looked = ErasureStep.objects.filter(
        request__in=running, dataset_id=came_back.dataset_id, state=ErasureStep.State.DONE
    ).exclude(outcome=ErasureStep.Outcome.EXEMPT)
    done = set(looked.values_list("request_id", flat=True))
    for request in running:
        if request.pk not in done:
            return request
    held = Revival.objects.select_related("subject").get(tombstone_id=came_back.tombstone_id)
    running.insert(0, open_automatic(subject=held.subject, key=uuid4()))
    return running[0]


def _see_to(request: RightsRequest, came_back: Sequence[Reappearance]) -> None:
    for each in came_back:
        _enter(request.subject, each)
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


def _enter(subject: Subject, came_back: Reappearance) -> None:
    """Put the person into the data set, from the version that was said on; or at least from now.

    Who was there then by an earlier list, and was erased after it, is not there for it now.
    """
    dataset_id, people = came_back.dataset_id, BitMap([subject.pk])
    stays.begin(dataset_id=dataset_id, people=people, version=came_back.manifest.version)
    if not membership.datasets_of(subject).filter(pk=dataset_id).exists():
        stays.begin(dataset_id=dataset_id, people=people, version=versions.current(dataset_id))


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
