"""Forget a person for whom nothing is left to erase."""

from django.db import transaction
from django.utils import timezone

from consent.models import ErasureStep, RightsRequest, Subject
from consent.selectors import recipients
from consent.services import subjects, telling
from consent.services.requests import record


@transaction.atomic
def forget(*, request_id: int) -> bool:
    """Destroy the person's key once nothing of theirs is left to erase; say whether this did.

    Recipients are told who it is by what the key opens, so none may be left to be told.
    """
    found = RightsRequest.objects.select_for_update().select_related("subject")
    due = found.filter(pk=request_id, planned_at__isnull=False, forgotten_at=None).first()
    if due is None or due.steps.exclude(state=ErasureStep.State.DONE).exists():
        return False
    if _kept_under_exemption(due):
        return False
    telling.open_for(due)
    if recipients.untold(due.subject).exists():
        return False
    subject = Subject.objects.select_for_update().get(pk=due.subject_id)
    if subject.erased_at is None:
        subjects.forget(subject=subject)
    due.forgotten_at = timezone.now()
    due.save(update_fields=["forgotten_at"])
    record(due, "subject.forgotten", {})
    return True


def _kept_under_exemption(request: RightsRequest) -> bool:
    """Say whether some data lawfully stays: then the person must stay known, to be told of it."""
    return request.steps.filter(outcome=ErasureStep.Outcome.EXEMPT).exists()
