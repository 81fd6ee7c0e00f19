"""Plan an erasure: every data set that holds the person or may, and every model."""

from typing import Any

from django.db import transaction
from django.utils import timezone

from consent.models import ErasurePlan, ErasureStep, RightsRequest
from consent.selectors import plans
from consent.selectors.places import Obstacle
from consent.selectors.requests import to_plan
from consent.services.remediation import open_for
from consent.services.requests import record
from consent.services.steps import add
from consent.services.subjects import hold_people

_NOBODY_KNOWS = "nobody is known to have written it: register it, or look and settle it by hand"


@transaction.atomic
def plan(*, request_id: int) -> bool:
    """Write the plan of a verified erasure, once; say whether this call did.

    Its steps can be done at once, unless a policy asks for people who approve it first. It is about
    all rows of the person, and nobody is merged or parted meanwhile.
    """
    found = to_plan().select_for_update(of=("self",)).select_related("subject")
    due = found.filter(pk=request_id).first()
    if due is None:
        return False
    hold_people(shared=True)
    drawn = plans.drawn(due.subject, at=timezone.now())
    made, _ = _written(due, drawn)
    due.planned_at = timezone.now()
    due.save(update_fields=["planned_at"])
    open_for(request=due, affected=drawn.models)
    record(
        due, "erasure.planned",
        {
            "plan": str(made.uuid), "content_sha256": made.digest, "approvals": made.approvals,
            "steps": len(drawn.steps), "models": len(drawn.models),
        },
    )  # fmt: skip
    return True


def extend(*, request: RightsRequest) -> int:
    """Plan again where data sets have come into sight that have no step; return how many have now.

    It is part of the caller's transaction, which holds the request.
    """
    drawn = plans.drawn(request.subject, at=timezone.now())
    known = set(request.steps.values_list("dataset_id", flat=True))
    if all(each.dataset.pk in known for each in drawn.steps):
        return 0
    made, added = _written(request, drawn)
    record(
        request, "erasure.extended",
        {
            "plan": str(made.uuid), "content_sha256": made.digest, "approvals": made.approvals,
            "steps": added,
        },
    )  # fmt: skip
    return added


def _written(request: RightsRequest, drawn: plans.Plan) -> tuple[ErasurePlan, int]:
    """Write down a plan, and steps for data sets that have none yet; return how many those are."""
    content = drawn.content()
    made = ErasurePlan.objects.create(
        request=request, number=request.plans.count() + 1, content=content,
        digest=plans.digest_of(content), approvals=drawn.review.approvals,
    )  # fmt: skip
    released_at = None if made.approvals else timezone.now()
    known = set(request.steps.values_list("dataset_id", flat=True))
    steps = [
        ErasureStep(
            request=request, dataset=each.dataset, certainty=each.certainty,
            position=each.position, released_at=released_at, **_state(each),
        )
        for each in drawn.steps
        if each.dataset.pk not in known
    ]  # fmt: skip
    add(steps)
    return made, len(steps)


def _state(step: plans.PlannedStep) -> dict[str, Any]:
    """Return how a step begins: what nobody answers for is open by its code from the start."""
    if step.code != Obstacle.UNKNOWN_UPSTREAM:
        return {}
    return {"state": ErasureStep.State.BLOCKED, "code": step.code, "reason": _NOBODY_KNOWS}
