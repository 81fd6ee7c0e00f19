"""Have a step tried again at once, on a person's word."""

from typing import ClassVar

from django.db import transaction
from django.db.models.functions import Now

from consent.models import ErasureStep
from consent.services.requests import record
from governance.errors import ColophonError


class StepNotBlockedError(ColophonError):
    """It is being worked on, waits for its turn, or has its outcome."""

    code: ClassVar[str] = "step_not_blocked"
    status: ClassVar[int] = 409


@transaction.atomic
def retry_step(*, step: ErasureStep, by: str) -> None:
    """Give a blocked step its turn back, as if nothing had stood in its way; the count stays.

    Raises `StepNotBlockedError`, to the second of two who press at the same moment as well.
    """
    blocked = ErasureStep.objects.filter(
        pk=step.pk, state=ErasureStep.State.BLOCKED, released_at__isnull=False
    )
    if not blocked.update(state=ErasureStep.State.READY, code="", reason="", retry_at=Now()):
        raise StepNotBlockedError("only a step in whose way something stands can be tried again")
    record(step.request, "erasure.retried", {"step": str(step.uuid), "by": by})
