"""The database itself refuses conclusions and violations that cannot be."""

from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from consent.models import Unweighed, UseAssessment, Violation
from consent.services import assessing, merging
from tests.factories.consent import ConsentDecisionFactory, registered
from tests.factories.training import ANN, facet, loans_of, study, train

pytestmark = pytest.mark.django_db


@pytest.fixture
def assessed() -> UseAssessment:
    study()
    loans_of(ANN)
    train(facet())
    assessing.assess_waiting(limit=10)
    return UseAssessment.objects.get()


def refused(constraint: str):
    return pytest.raises(IntegrityError, match=constraint)


FACTS = {
    "number": 2, "verdict": "compliant", "reasons": [], "used": b"", "without_permission": 0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "constraint"),
    [
        ({"number": 1}, "consent_useassessment_once"),
        ({"number": 0}, "consent_useassessment_number_from_one"),
        ({"verdict": "fine", "reasons": ["x"]}, "consent_useassessment_verdict_known"),
        ({"verdict": "gap"}, "consent_useassessment_says_why"),
        ({"without_permission": 1}, "consent_useassessment_unpermitted_is_violation"),
    ],
)
def test_an_impossible_conclusion_is_refused(assessed, facts, constraint):
    with refused(constraint), transaction.atomic():
        UseAssessment.objects.create(
            run=assessed.run, run_uuid=assessed.run_uuid, read_at=assessed.read_at, **FACTS | facts
        )


@pytest.mark.parametrize(
    ("facts", "constraint"),
    [
        ({}, "consent_violation_open_once"),
        ({"resolution": "false_alarm"}, "consent_violation_settled_with_reason"),
        ({"resolved_at": "now"}, "consent_violation_settled_with_reason"),
        ({"resolved_at": "now", "resolution": "false_alarm"}, "consent_violation_settled"),
        ({"resolved_at": "now", "resolution": "", "reason": "x", "assigned_to": "x"}, "consent_v"),
        ({"assigned_to": "somebody"}, "consent_violation_assigned_to_somebody"),
    ],
)
def test_an_impossible_violation_is_refused(assessed, facts, constraint):
    assert Violation.objects.get().resolved_at is None
    if facts.get("resolved_at"):
        facts = facts | {"resolved_at": timezone.now()}
    if constraint != "consent_violation_open_once":
        Violation.objects.update(
            resolved_at=timezone.now(), resolution="accepted_risk", reason="a pilot"
        )
    with refused(constraint), transaction.atomic():
        Violation.objects.create(run=assessed.run, assessment=assessed, **facts)


def test_what_is_to_be_weighed_is_one_thing():
    with refused("consent_unweighed_is_one_thing"), transaction.atomic():
        Unweighed.objects.create()
    assert Unweighed.objects.create(decision=ConsentDecisionFactory()).manifest is None
    merge = merging.merge(subject=registered(), other=registered(), key=uuid4(), reason="r").merge
    assert Unweighed.objects.get(merge=merge).decision is None
    with refused("consent_unweighed_is_one_thing"), transaction.atomic():
        Unweighed.objects.create(decision=ConsentDecisionFactory(), merge=merge)
