"""Plan erasures: every data set that holds a person or may, and every model."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from consent.models import ErasurePlan, ErasureStep, RightsRequest
from consent.selectors import late, plans
from consent.selectors.places import Obstacle
from consent.selectors.requests import to_plan
from consent.selectors.subjects import stands_in
from consent.services import notifying
from consent.services.remediation import open_for
from consent.services.steps import add
from consent.services.subjects import hold_people
from consent.services.telling import Told, record, record_many
from consent.services.together import in_time
from governance.strictjson import JSON

STEPS_TOGETHER = 5_000

Drawn = tuple[RightsRequest, plans.Plan]

_NOBODY_KNOWS = "nobody is known to have written it: register it, or look and settle it by hand"


@transaction.atomic
def plan(*request_ids: int) -> int:
    """Write the plans of verified erasures, each once; return how many this call wrote.

    Their steps can be done at once, unless a policy asks for people who approve them first. A plan
    is about all rows of a person, and nobody is merged or parted meanwhile: so after a while what
    is left is left to the next call.
    """
    found = to_plan().filter(pk__in=request_ids).order_by("pk")
    due = list(found.select_for_update(of=("self",), skip_locked=True).select_related("subject"))
    if not due:
        return 0
    hold_people(shared=True)
    now, told = timezone.now(), list[Told]()
    for some in _portions(in_time(_drawn(due, now))):
        made, _ = _written(some)
        for request, each in some:
            open_for(request, each.models)
        told += [Told(each.request, "erasure.planned", _planned(each)) for each in made]
    planned = [each.request for each in told]
    RightsRequest.objects.filter(pk__in=[each.pk for each in planned]).update(planned_at=now)
    notifying.open_for(*planned)
    record_many(told)
    return len(planned)


def extend(*, request: RightsRequest) -> int:
    """Plan again where data sets have come into sight that have no step; return how many have now.

    It is part of the caller's transaction, which holds the request.
    """
    drawn = drawn_now(request)
    known = set(request.steps.values_list("dataset_id", flat=True))
    if all(each.dataset.pk in known for each in drawn.steps):
        return 0
    [made], added = _written([(request, drawn)])
    record(request, "erasure.extended", {**_facts(made), "steps": added})
    return added


def drawn_now(request: RightsRequest) -> plans.Plan:
    """Draw what would be planned for a request that has steps: what waits for approval, and more.

    Once its erasure has begun the person is known no more to be in what was derived of, so it is
    drawn from what has come since. Whoever stands in is looked for where they came back, always.
    """
    subject, now = request.subject, timezone.now()
    begun = request.steps.filter(released_at__isnull=False).exists()
    if stands_in(subject) or not begun:
        return plans.drawn(subject, at=now)
    waiting = request.steps.filter(released_at=None).values_list("dataset_id", flat=True)
    return plans.drawn_late(subject, {*waiting, *late.since_planned([request])[request]}, at=now)


def _drawn(due: Sequence[RightsRequest], at: datetime) -> Iterator[Drawn]:
    """Draw what to do of requests: of most everything, at once."""
    begun = set(ErasureStep.objects.filter(request__in=due).values_list("request_id", flat=True))
    fresh = [each for each in due if each.pk not in begun]
    yield from zip(fresh, plans.drawn_of([each.subject for each in fresh], at=at), strict=True)
    yield from ((each, drawn_now(each)) for each in due if each.pk in begun)


def _portions(drawn: Iterable[Drawn]) -> Iterator[list[Drawn]]:
    """Yield plans, as many at a time as can well be held in memory."""
    some: list[Drawn] = []
    steps = 0
    for request, each in drawn:
        some.append((request, each))
        steps += len(each.steps)
        if steps >= STEPS_TOGETHER:
            yield some
            some, steps = [], 0
    if some:
        yield some


def _planned(plan: ErasurePlan) -> dict[str, JSON]:
    content = plan.content
    return {**_facts(plan), "steps": len(content["steps"]), "models": len(content["models"])}


def _facts(plan: ErasurePlan) -> dict[str, JSON]:
    digest, approvals = plan.digest, plan.approvals
    return {"plan": str(plan.uuid), "content_sha256": digest, "approvals": approvals}


def _written(drawn: Sequence[Drawn]) -> tuple[list[ErasurePlan], int]:
    """Write down plans, and steps for data sets that have none yet; return how many those are."""
    requests = [request for request, _ in drawn]
    before = Counter(
        ErasurePlan.objects.filter(request__in=requests).values_list("request_id", flat=True)
    )
    known = set(
        ErasureStep.objects.filter(request__in=requests).values_list("request_id", "dataset_id")
    )
    made = ErasurePlan.objects.bulk_create(
        _plan(request, each, number=before[request.pk] + 1) for request, each in drawn
    )
    steps = [
        _step(request, step, released=not each.review.approvals)
        for request, each in drawn
        for step in each.steps
        if (request.pk, step.dataset.pk) not in known
    ]
    add(steps)
    return made, len(steps)


def _plan(request: RightsRequest, drawn: plans.Plan, *, number: int) -> ErasurePlan:
    content = drawn.content()
    return ErasurePlan(
        request=request, number=number, content=content, digest=plans.digest_of(content),
        approvals=drawn.review.approvals,
    )  # fmt: skip


def _step(request: RightsRequest, step: plans.PlannedStep, *, released: bool) -> ErasureStep:
    return ErasureStep(
        request=request, dataset=step.dataset, certainty=step.certainty, position=step.position,
        released_at=timezone.now() if released else None, **_state(step),
    )  # fmt: skip


def _state(step: plans.PlannedStep) -> dict[str, Any]:
    """Return how a step begins: what nobody answers for is open by its code from the start."""
    if step.code != Obstacle.UNKNOWN_UPSTREAM:
        return {}
    return {"state": ErasureStep.State.BLOCKED, "code": step.code, "reason": _NOBODY_KNOWS}
