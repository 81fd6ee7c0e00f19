"""Have a step tried again at once, on a person's word."""

from typing import ClassVar

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from consent.models import ErasureStep
from consent.services.telling import Told, record_many
from governance.errors import ColophonError


class StepNotBlockedError(ColophonError):
    """It is being worked on, waits for its turn, or has its outcome."""

    code: ClassVar[str] = "step_not_blocked"
    status: ClassVar[int] = 409


@transaction.atomic
def retry_step(*, step: ErasureStep, by: str) -> int:
    """Give a blocked step its turn back, as if nothing had stood in its way; the count stays.

    With one that was given up go all of its data set that were: they had one cause, and whoever
    looked into it should not have to press for each person. Returns how many go. Raises
    `StepNotBlockedError`, to the second of two who press at the same moment as well.
    """
    waiting = ErasureStep.objects.filter(
        Q(pk=step.pk) | Q(dataset=step.dataset_id, retry_at=None),
        state=ErasureStep.State.BLOCKED, released_at__isnull=False,
    )  # fmt: skip
    # Locked in one order, so that two who press for two of them do not wait for each other.
    locked = waiting.select_for_update(of=("self",)).select_related("request").order_by("pk")
    found = {each.pk: each for each in locked}
    if step.pk not in found:
        raise StepNotBlockedError("only a step in whose way something stands can be tried again")
    if found[step.pk].retry_at is not None:
        found = {step.pk: found[step.pk]}
    ErasureStep.objects.filter(pk__in=found).update(
        state=ErasureStep.State.READY, code="", reason="", deaths=0, retry_at=Now()
    )
    record_many(
        Told(each.request, "erasure.retried", {"step": str(each.uuid), "by": by})
        for each in found.values()
    )
    return len(found)
