"""Each named constraint of plans, steps and remediations can fire."""

from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from consent.models import (
    DryRun,
    ErasurePlan,
    ErasureStep,
    PlanApproval,
    PlanRejection,
    Remediation,
    RightsRequest,
)
from consent.services.requests import open_erasure
from lineage.models import DatasetVersion, ModelVersion
from lineage.services.versions import announce_models, ensure_origins
from tests.factories.consent import SubjectFactory
from tests.factories.governance import DatasetFactory

MODELS = (ErasureStep, Remediation, ErasurePlan, PlanApproval, PlanRejection, DryRun)
NOW = timezone.now()


def request() -> RightsRequest:
    return open_erasure(subject=SubjectFactory(), key=uuid4(), verified=False)


def step(asked=None, **facts) -> ErasureStep:
    said = {"request": asked or request(), "dataset": DatasetFactory(), "position": 0}
    return ErasureStep.objects.create(**said | {"certainty": "proven"} | facts)


def twice_the_same_step() -> None:
    first = step()
    step(asked=first.request, dataset=first.dataset)


def made() -> ModelVersion:
    dataset = DatasetFactory()
    ensure_origins([dataset.pk])
    announce_models([dataset.pk])
    version = DatasetVersion.objects.get(dataset=dataset)
    return ModelVersion.objects.create(model=dataset.model, version=version)


def remediation(asked=None, model_version=None, **facts) -> Remediation:
    said = {"request": asked or request(), "model_version": model_version or made()}
    return Remediation.objects.create(**said | {"certainty": "proven"} | facts)


def twice_the_same_remediation() -> None:
    first = remediation()
    remediation(asked=first.request, model_version=first.model_version)


def closed_by_itself() -> None:
    version = made()
    remediation(model_version=version, closed_by=version, closed_at=NOW, outcome="retrained")


def plan(asked=None, **facts) -> ErasurePlan:
    said = {"request": asked or request(), "number": 1, "content": {}, "digest": "d"}
    return ErasurePlan.objects.create(**said | {"approvals": 1} | facts)


def approval(of=None, **facts) -> PlanApproval:
    return PlanApproval.objects.create(**{"plan": of or plan(), "by": "staff:1"} | facts)


def dry_run(of=None, **facts) -> DryRun:
    said = {"plan": of or plan(), "dataset": DatasetFactory(), "asked_at": NOW}
    return DryRun.objects.create(**said | facts)


def twice_the_same_dry_run() -> None:
    first = dry_run()
    dry_run(of=first.plan, dataset=first.dataset)


VIOLATIONS = {
    "consent_step_once": twice_the_same_step,
    "consent_step_state_known": lambda: step(state="lost"),
    "consent_step_done_has_outcome": lambda: step(state="done", finished_at=NOW),
    "consent_step_running_has_lease": lambda: step(state="running"),
    "consent_step_blocked_has_code": lambda: step(state="blocked"),
    "consent_step_exempt_has_code": lambda: step(state="done", finished_at=NOW, outcome="exempt"),
    "consent_step_released_before_touched": lambda: step(
        state="running", lease_until=NOW, released_at=None
    ),
    "consent_step_deaths_of_attempts": lambda: step(attempt=1, deaths=2),
    "consent_step_given_up_is_blocked": lambda: step(retry_at=None),
    "consent_plan_number_once": lambda: plan(asked=plan().request),
    "consent_plan_approvals_possible": lambda: plan(approvals=3),
    "consent_approval_once_a_person": lambda: approval(of=approval().plan),
    "consent_approval_by_somebody": lambda: approval(by=""),
    "consent_rejection_with_reason": lambda: PlanRejection.objects.create(plan=plan(), reason=""),
    "consent_dryrun_once": twice_the_same_dry_run,
    "consent_dryrun_ends_with_rows_or_code": lambda: dry_run(finished_at=NOW),
    "consent_remediation_once": twice_the_same_remediation,
    "consent_remediation_closed_with_reason": lambda: remediation(closed_at=NOW),
    "consent_remediation_not_closed_by_itself": closed_by_itself,
}


@pytest.mark.django_db
@pytest.mark.parametrize("name", VIOLATIONS)
def test_the_constraint_fires(name):
    with pytest.raises(IntegrityError) as broken, transaction.atomic():
        VIOLATIONS[name]()
    assert broken.value.__cause__.diag.constraint_name == name


def test_every_constraint_is_tried():
    named = {each.name for model in MODELS for each in model._meta.constraints}
    assert named == set(VIOLATIONS)
