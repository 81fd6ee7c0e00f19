"""Forget a person for whom nothing is left to erase."""

from django.db import transaction
from django.utils import timezone

from consent.models import RightsRequest
from consent.selectors import recipients
from consent.selectors.requests import forgettable
from consent.services import journal, notifying, reappearances, subjects
from consent.services.telling import record


@transaction.atomic
def forget(*, request_id: int) -> bool:
    """Destroy the person's keys once nothing of theirs is left to erase; say whether this did.

    Recipients are told who it is by what the keys open, so none may be left to be told.

    The journal outside the database has the line before this is committed. A crash in between
    leaves a line too many, and the request as it was, to be forgotten again. Raises
    `JournalUnavailableError` and `JournalDamagedError`, and then nobody is forgotten.
    """
    early = _due(request_id)
    if early is None or recipients.untold(early.subject).exists():
        return False
    journal.require()
    # Before any row is held, so that nobody who has this waits for us while we wait for it.
    subjects.hold_people(shared=False)
    # Locked first and looked at then: steps may be added by whoever had the lock before us.
    RightsRequest.objects.select_for_update(of=("self",)).get(pk=request_id)
    due = _due(request_id)
    if due is None or reappearances.has_more_to_erase(due):
        return False
    notifying.open_for(due)
    if recipients.untold(due.subject).exists():
        return False
    buried = subjects.forget(subject=due.subject)
    if buried and due.subject.erased_at is not None:
        journal.keep(request=due.uuid, at=due.subject.erased_at, buried=buried)
    reappearances.let_go(due.subject)
    due.forgotten_at = timezone.now()
    due.save(update_fields=["forgotten_at"])
    record(due, "subject.forgotten", {})
    return True


def _due(request_id: int) -> RightsRequest | None:
    """Return the request if nothing is left to erase, and nothing of it lawfully stays.

    Where some data stays the person must stay known, to be told of it.
    """
    found = RightsRequest.objects.select_related("subject").filter(forgettable(), pk=request_id)
    return found.first()
