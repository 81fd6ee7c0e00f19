"""Each named constraint of scans can fire."""

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from consent.models import MembershipScan
from tests.factories.consent import take
from tests.factories.governance import DatasetFactory

NOW = timezone.now()
FAILED = {"state": "done", "outcome": "failed", "finished_at": NOW, "code": "x"}


def scan(**facts) -> MembershipScan:
    return MembershipScan.objects.create(**{"dataset": DatasetFactory()} | facts)


def two_at_once() -> None:
    scan(dataset=scan().dataset)


VIOLATIONS = {
    "consent_scan_open_once": two_at_once,
    "consent_scan_state_known": lambda: scan(state="lost"),
    "consent_scan_outcome_known": lambda: scan(**FAILED | {"outcome": "perhaps"}),
    "consent_scan_done_has_outcome": lambda: scan(state="done", finished_at=NOW),
    "consent_scan_running_has_lease": lambda: scan(state="running"),
    "consent_scan_blocked_has_code": lambda: scan(state="blocked"),
    "consent_scan_lacking_has_code": lambda: scan(**FAILED | {"code": ""}),
    "consent_scan_taken_has_manifest": lambda: scan(**FAILED | {"outcome": "complete"}),
    "consent_scan_unusable_of_rows": lambda: scan(rows=1, unusable=2),
}


@pytest.mark.django_db
@pytest.mark.parametrize("name", VIOLATIONS)
def test_the_constraint_fires(name):
    with pytest.raises(IntegrityError) as broken, transaction.atomic():
        VIOLATIONS[name]()
    assert broken.value.__cause__.diag.constraint_name == name


@pytest.mark.django_db
def test_what_the_constraints_allow():
    dataset = DatasetFactory()
    for _ in range(2):
        scan(dataset=dataset, **FAILED)
    scan(dataset=dataset)
    manifest = take(DatasetFactory(), [])
    scan(**FAILED | {"outcome": "complete", "code": "", "manifest": manifest})


def test_every_constraint_is_tried():
    assert {each.name for each in MembershipScan._meta.constraints} == set(VIOLATIONS)
