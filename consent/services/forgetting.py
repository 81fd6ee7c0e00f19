"""Forget people for whom nothing is left to erase."""

from collections.abc import Collection

from django.db import transaction
from django.utils import timezone

from consent.models import RightsRequest
from consent.selectors import recipients
from consent.selectors.persons import rows_of_each
from consent.selectors.requests import forgettable
from consent.services import journal, notifying, reappearances, subjects
from consent.services.telling import Told, record_many


@transaction.atomic
def forget(*request_ids: int) -> int:
    """Destroy the keys of people of whom nothing is left to erase; return of how many this did.

    Recipients are told who it is by what the keys open, so none may be left to be told.

    The journal outside the database has its lines before this is committed. A crash in between
    leaves lines too many, and the requests as they were, to be forgotten again. Raises
    `JournalUnavailableError` and `JournalDamagedError`, and then nobody is forgotten.
    """
    early = _told(_due(request_ids))
    if not early:
        return 0
    journal.require()
    # Before any row is held, so that nobody who has this waits for us while we wait for it.
    subjects.hold_people(shared=False)
    # Locked first and looked at then: steps may be added by whoever had the lock before us.
    mine = RightsRequest.objects.filter(pk__in=[each.pk for each in early]).order_by("pk")
    locked = mine.select_for_update(skip_locked=True).values_list("pk", flat=True)
    due = _due(list(locked))
    more = reappearances.with_more_to_erase(due)
    due = [each for each in due if each not in more]
    notifying.open_for(*due)
    due = _told(due)
    if not due:
        return 0
    by_person = {each.subject: each for each in due}
    forgotten = subjects.forget_together(by_person)
    reappearances.listed_again(by_person, forgotten)
    journal.keep((each.uuid, forgotten[person.pk]) for person, each in by_person.items())
    reappearances.let_go(by_person)
    RightsRequest.objects.filter(pk__in=[each.pk for each in due]).update(
        forgotten_at=timezone.now()
    )
    record_many(Told(each, "subject.forgotten", {}) for each in due)
    return len(due)


def _due(request_ids: Collection[int]) -> list[RightsRequest]:
    """Return the requests of which nothing is left to erase, and nothing lawfully stays.

    Where some data stays the person must stay known, to be told of it.
    """
    found = RightsRequest.objects.select_related("subject").filter(forgettable())
    return list(found.filter(pk__in=request_ids).order_by("pk"))


def _told(due: Collection[RightsRequest]) -> list[RightsRequest]:
    """Return the requests about people of whom no recipient is left to be told."""
    rows = rows_of_each(each.subject_id for each in due)
    untold = recipients.untold({row for person in rows.values() for row in person})
    return [each for each in due if untold.isdisjoint(rows[each.subject_id])]
