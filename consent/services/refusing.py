"""Refuse a request: on a ground that the law names, and only before anything was erased."""

from typing import ClassVar

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from consent.grounds import Refusal
from consent.models import ErasureStep, Remediation, RequestKind, RequestLetter, RightsRequest
from consent.services import letters
from consent.services.clock import end_pause
from consent.services.telling import held_open, record
from governance.errors import ColophonError


class ErasureBegunError(ColophonError):
    """Something was erased, or is being erased: what is gone cannot be refused any more."""

    code: ClassVar[str] = "erasure_begun"
    status: ClassVar[int] = 409


class GroundUnfitError(ColophonError):
    """The grounds of Art. 17(3) keep data from being erased, and allow nothing else."""

    code: ClassVar[str] = "ground_unfit"
    status: ClassVar[int] = 422


@transaction.atomic
def refuse(*, request: RightsRequest, ground: Refusal, text: str = "") -> None:
    """Refuse a request, and tell the person: on the request's page, and by mail.

    ``text`` is what is added to the ground's sentence, in the mail alone. Permissions that the
    request took back stay taken back. Raises `GroundUnfitError`, `ErasureBegunError`, and
    `RequestJoinedError` or `RequestEndedError`.
    """
    ground, found = Refusal(ground), held_open(request)
    if ground.is_of_erasure and found.kind != RequestKind.ERASURE:
        raise GroundUnfitError("this ground keeps data from being erased, and this is no erasure")
    _keep_everything(found, ground)
    end_pause(found)
    found.refused_at, found.refusal_code = timezone.now(), ground.value
    found.save(update_fields=["refused_at", "refusal_code"])
    letters.write(found, RequestLetter.Kind.REFUSED, code=ground.value, text=text)
    record(found, "request.refused", {"ground": ground.value})


def _keep_everything(request: RightsRequest, ground: Refusal) -> None:
    """Give each part of a plan its end, so that no worker begins with it any more.

    The steps are locked first: who is about to claim one waits, and finds that it is done. One
    that waits for approval is released with its end, since there is nothing left to approve.
    """
    steps = ErasureStep.objects.filter(request=request)
    list(steps.select_for_update().values_list("pk", flat=True))
    begun = Q(state=ErasureStep.State.RUNNING) | Q(located_rows__gt=0)
    begun |= Q(outcome__in=[ErasureStep.Outcome.ERASED, ErasureStep.Outcome.BY_HAND])
    if request.forgotten_at is not None or steps.filter(begun).exists():
        raise ErasureBegunError("something was erased already, or is being erased")
    now = timezone.now()
    steps.exclude(state=ErasureStep.State.DONE).update(
        state=ErasureStep.State.DONE, outcome=ErasureStep.Outcome.EXEMPT, code=ground.value,
        finished_at=now, lease_until=None, released_at=Coalesce("released_at", Now()),
    )  # fmt: skip
    Remediation.objects.filter(request=request, closed_at=None).update(
        outcome=Remediation.Outcome.EXEMPT, code=ground.value, closed_at=now
    )
