"""Forget a person for whom nothing is left to erase."""

from django.db import transaction
from django.utils import timezone

from consent.models import ErasureStep, RightsRequest, Subject
from consent.selectors.requests import needs_identifiers
from consent.services import journal, reappearances, subjects
from consent.services.requests import record


@transaction.atomic
def forget(*, request_id: int) -> bool:
    """Destroy the person's key once nothing of theirs is left to erase; say whether this did.

    The journal outside the database has the line before this is committed. A crash in between
    leaves a line too many, and the request as it was, to be forgotten again. Raises
    `JournalUnavailableError` and `JournalDamagedError`, and then nobody is forgotten.
    """
    due = _held(request_id)
    if due is None or needs_identifiers(due.subject) or _kept_under_exemption(due):
        return False
    if reappearances.has_more_to_erase(due):
        return False
    journal.require()
    subject = Subject.objects.select_for_update().get(pk=due.subject_id)
    buried = subjects.forget(subject=subject)
    if buried and subject.erased_at is not None:
        journal.keep(request=due.uuid, at=subject.erased_at, buried=buried)
    reappearances.let_go(subject)
    due.forgotten_at = timezone.now()
    due.save(update_fields=["forgotten_at"])
    record(due, "subject.forgotten", {})
    return True


def _held(request_id: int) -> RightsRequest | None:
    """Return the request if it is to be forgotten, held after what brings more to erase."""
    asked = RightsRequest.objects.filter(pk=request_id, planned_at__isnull=False, forgotten_at=None)
    for subject_id in asked.values_list("subject_id", flat=True):
        reappearances.hold(subject_id)
    return asked.select_for_update(of=["self"]).select_related("subject").first()


def _kept_under_exemption(request: RightsRequest) -> bool:
    """Say whether some data lawfully stays: then the person must stay known, to be told of it."""
    return request.steps.filter(outcome=ErasureStep.Outcome.EXEMPT).exists()
