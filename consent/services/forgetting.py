"""Forget a person for whom nothing is left to erase."""

from django.db import transaction
from django.utils import timezone

from consent.models import ErasureStep, RightsRequest, Subject
from consent.services import subjects
from consent.services.requests import record


@transaction.atomic
def forget(*, request_id: int) -> bool:
    """Destroy the person's key once nothing of theirs is left to erase; say whether this did."""
    found = RightsRequest.objects.select_for_update().select_related("subject")
    waiting = found.filter(planned_at__isnull=False, forgotten_at=None, refused_at=None)
    due = waiting.filter(pk=request_id).first()
    if due is None or due.steps.exclude(state=ErasureStep.State.DONE).exists():
        return False
    if _kept_under_exemption(due):
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
