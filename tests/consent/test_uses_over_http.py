"""Which models used somebody's data, as the systems that speak for people ask it."""

from uuid import uuid4

import pytest
from django.test import Client

from consent.selectors.subjects import by_identifier
from governance.models import LedgerRecord
from lineage.models import ModelVersion, Provenance
from lineage.services.provenance import freeze_stale
from tests.factories.consent import registered
from tests.factories.governance import issued_key
from tests.factories.portal import ANN, STRANGER, library

pytestmark = pytest.mark.django_db


@pytest.fixture
def made(tmp_path):
    return library(tmp_path)


def ask(uuid, what: str = "uses", *scopes: str):
    key = issued_key(*(scopes or ("consent:read",)))
    return Client().get(
        f"/api/v1/subjects/{uuid}/{what}", headers={"Authorization": f"Bearer {key}"}
    )


def asked() -> int:
    return LedgerRecord.objects.filter(kind="subject.asked").count()


def told(uuid) -> list[tuple]:
    models = ask(uuid).json()["models"]
    return [(each["name"], each["version"], each["certainty"], each["path"]) for each in models]


LOANS, FEATURES = "public.loans", "features/reading-history/2026"
TOLD = [
    ("what-to-read-next", "1.0", "inferred", ["what-to-read-next", FEATURES, LOANS]),
    ("late-returns", "1.0", "proven", ["late-returns", LOANS]),
]


def test_the_models_are_told_with_certainty_and_way_and_the_question_is_on_record(made):
    ann = by_identifier("email", ANN)
    answer = ask(ann.uuid)
    assert answer.status_code == 200
    assert [each["name"] for each in answer.json()["datasets"]] == [LOANS]
    assert told(ann.uuid) == TOLD
    assert asked() == 2


def test_who_asks_for_decisions_is_on_record_too(made):
    ann = by_identifier("email", ANN)
    assert ask(ann.uuid, "decisions").status_code == 200
    assert asked() == 1


def test_somebody_whose_data_is_nowhere_has_no_models(made):
    answer = ask(registered(("email", STRANGER)).uuid)
    assert (answer.status_code, answer.json()) == (200, {"datasets": [], "models": []})


def test_a_question_that_is_refused_is_not_answered_and_not_on_record(made):
    ann = by_identifier("email", ANN)
    assert ask(uuid4()).status_code == 404
    assert ask(ann.uuid, "uses", "gate:ask").status_code == 403
    assert asked() == 0


def test_what_was_frozen_without_its_parents_is_told_as_inferred_until_it_is_frozen_again(made):
    ann = by_identifier("email", ANN)
    before = LedgerRecord.objects.filter(kind="provenance.frozen").count()
    Provenance.objects.update(parents=None)
    unsure = [(name, version, "inferred", way) for name, version, _, way in TOLD]
    assert told(ann.uuid) == unsure
    ModelVersion.objects.update(stale_at="2026-06-01T12:00Z")
    assert freeze_stale() == 2
    assert told(ann.uuid) == TOLD
    assert LedgerRecord.objects.filter(kind="provenance.frozen").count() == before
