"""Approve a plan before anything is touched, or reject it so that another is made.

Whoever approves says by its digest which plan they read. It is drawn again in the same
transaction: if what would be done to data has changed since, nobody's approval counts and there is
a new plan to read. The request's row is locked meanwhile, so the last approval that is needed
releases the steps once, whoever else presses at the same moment.
"""

from django.db import transaction
from django.utils import timezone

from consent.models import ErasurePlan, ErasureStep, PlanApproval, PlanRejection, RightsRequest
from consent.selectors import planned, plans
from consent.services import notifying
from consent.services.colleagues import PersonNeededError, is_person
from consent.services.planning import drawn_now
from consent.services.planning import plan as plan_anew
from consent.services.requests import record
from governance.errors import ColophonError

_CHANGED = "what it says had changed before it was approved"
# Approvals are never taken back, so what one of an earlier version counted has another plan made.
_BY_A_KEY = "a key had approved it, and two people have to"


class PlanChangedError(ColophonError):
    """It is not what was read: it says something else now."""

    code = "plan_changed"
    status = 409


class PlanNotWaitingError(ColophonError):
    """There is no plan yet, or it is approved already."""

    code = "plan_not_waiting"
    status = 409


class ApprovedAlreadyError(ColophonError):
    """The same person cannot approve twice, however many approvals it needs."""

    code = "plan_approved_by_you"
    status = 409


def approve(*, request: RightsRequest, digest: str, by: str) -> ErasurePlan:
    """Approve the plan that was read; the last approval that it needs releases its steps.

    Raises `PlanChangedError` if that is not what would be done now, having made a new plan in its
    place; `PlanNotWaitingError`, `ApprovedAlreadyError`, and `PersonNeededError`.
    """
    approved = _approve(request.pk, digest, by)
    if approved is None:
        raise PlanChangedError("the plan has changed: read it again")
    return approved


@transaction.atomic
def _approve(request_id: int, digest: str, by: str) -> ErasurePlan | None:
    plan = waiting_plan(request_id)
    if plan.digest != digest:
        raise PlanChangedError("this is not the plan as it is now: read it again")
    if plan.approvals > 1 and not is_person(by):
        raise PersonNeededError("where two people are asked for, each approves at the desk")
    if plan.approved_by.filter(by=by).exists():
        raise ApprovedAlreadyError("you have approved this plan already; somebody else has to")
    if plan.approvals > 1 and plan.approved_by.exclude(by__startswith=PlanApproval.STAFF).exists():
        _replace(plan, by="", reason=_BY_A_KEY)
        return None
    if not plans.same_work(plan.content, drawn_now(plan.request).content()):
        _replace(plan, by="", reason=_CHANGED)
        return None
    PlanApproval.objects.create(plan=plan, by=by)
    facts = {"plan": str(plan.uuid), "content_sha256": plan.digest, "by": by}
    released = plan.approved_by.count() >= plan.approvals
    if released:
        plan.request.steps.filter(released_at=None).update(released_at=timezone.now())
    record(plan.request, "erasure.approved", {**facts, "released": released})
    if released:
        notifying.open_for(plan.request)
    return plan


@transaction.atomic
def reject(*, request: RightsRequest, digest: str, by: str, reason: str) -> ErasurePlan:
    """Reject the plan that was read, with a reason, and return the one made in its place.

    A rejection refuses nobody anything: the request stays due. Raises `PlanChangedError` and
    `PlanNotWaitingError`.
    """
    plan = waiting_plan(request.pk)
    if plan.digest != digest:
        raise PlanChangedError("this is not the plan as it is now: read it again")
    return _replace(plan, by=by, reason=reason)


def waiting_plan(request_id: int) -> ErasurePlan:
    """Lock a request and return its plan that waits for approval."""
    request = RightsRequest.objects.select_for_update().select_related("subject").get(pk=request_id)
    plan = planned.current(request) if request.refused_at is None else None
    if plan is None or plan.approved_by.count() >= plan.approvals:
        raise PlanNotWaitingError("there is no plan here that waits for approval")
    plan.request = request
    return plan


def _replace(plan: ErasurePlan, *, by: str, reason: str) -> ErasurePlan:
    """Put a plan aside whose steps nobody could touch, and make the next."""
    request = plan.request
    PlanRejection.objects.create(plan=plan, by=by, reason=reason)
    record(request, "erasure.plan_rejected", {"plan": str(plan.uuid), "by": by})
    ErasureStep.objects.filter(request=request, released_at=None).delete()
    RightsRequest.objects.filter(pk=request.pk).update(planned_at=None)
    plan_anew(request.pk)
    made = planned.current(request)
    assert made is not None
    return made
