"""Each named constraint of erasure steps and remediations can fire."""

from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from consent.models import ErasureStep, Remediation, RightsRequest
from consent.services.requests import open_erasure
from lineage.models import DatasetVersion, ModelVersion
from lineage.services.versions import announce_models, ensure_origins
from tests.factories.consent import SubjectFactory
from tests.factories.governance import DatasetFactory

MODELS = (ErasureStep, Remediation)
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


VIOLATIONS = {
    "consent_step_once": twice_the_same_step,
    "consent_step_state_known": lambda: step(state="lost"),
    "consent_step_done_has_outcome": lambda: step(state="done", finished_at=NOW),
    "consent_step_running_has_lease": lambda: step(state="running"),
    "consent_step_blocked_has_code": lambda: step(state="blocked"),
    "consent_step_exempt_has_code": lambda: step(state="done", finished_at=NOW, outcome="exempt"),
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
