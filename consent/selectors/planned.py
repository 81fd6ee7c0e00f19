"""Plans that were written down: which counts, who approved it, and what a dry run found."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from consent.models import (
    DryRun,
    ErasurePlan,
    ErasureStep,
    PlanApproval,
    PlanRejection,
    RightsRequest,
)
from governance.errors import NotFoundError


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan with what was said about it. ``looks`` are of the last dry run, by data set's uuid."""

    plan: ErasurePlan
    approvals: list[PlanApproval]
    looks: Mapping[str, DryRun]
    rejected: list[PlanRejection]

    @property
    def waits(self) -> bool:
        """Say whether it has to be approved before anything is touched."""
        missing = len(self.approvals) < self.plan.approvals
        return missing and self.plan.request.refused_at is None

    @property
    def looked_at(self) -> datetime | None:
        """Return when the last dry run was asked for, if one was."""
        return max((each.asked_at for each in self.looks.values()), default=None)

    @property
    def looking(self) -> bool:
        """Say whether the dry run goes on; a plan that is decided ends it."""
        return self.waits and any(each.finished_at is None for each in self.looks.values())

    def steps(self) -> list[dict[str, Any]]:
        """Return the steps of the content, each with what the dry run found there, or nothing."""
        return [
            {**each, "dry_run": self.looks.get(each["dataset"])}
            for each in self.plan.content["steps"]
        ]


def current(request: RightsRequest) -> ErasurePlan | None:
    """Return the plan of a request that counts: the last, unless it was rejected."""
    last = request.plans.order_by("-number").select_related("rejection").first()
    return None if last is None or hasattr(last, "rejection") else last


def planned(request: RightsRequest) -> Planned:
    """Return the plan of a request with what was said about it, or raise `NotFoundError`."""
    plan = current(request)
    if plan is None:
        raise NotFoundError("this request has no plan yet")
    last = plan.dry_runs.order_by("-asked_at").values("asked_at")[:1]
    looks = plan.dry_runs.filter(asked_at=last).select_related("dataset")
    rejected = PlanRejection.objects.filter(plan__request=request).select_related("plan")
    return Planned(
        plan,
        list(plan.approved_by.order_by("at", "pk")),
        {str(each.dataset.uuid): each for each in looks},
        list(rejected.order_by("plan__number")),
    )


def looks_open() -> "QuerySet[DryRun]":
    """Return the looks that have no answer yet and need one: of plans that are not decided."""
    undecided = ErasureStep.objects.filter(request=OuterRef("plan__request"), released_at=None)
    return DryRun.objects.filter(Exists(undecided), finished_at=None, plan__rejection=None)


def looks_to_do() -> "QuerySet[DryRun]":
    """Return the looks that can be claimed now."""
    free = Q(lease_until=None) | Q(lease_until__lt=Now())
    return looks_open().filter(free).order_by("pk")
