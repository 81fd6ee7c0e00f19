"""May one person's data be used for a purpose: the same rules as for many, and no reasons."""

import json
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from consent.models import GateDecision
from consent.selectors import gate as selectors
from consent.selectors.subjects import by_identifier
from consent.services import gate
from consent.services.subjects import forget
from governance.legal import LegalBasis
from governance.models import LedgerRecord
from governance.services import rules
from tests.factories.consent import ConsentDecisionFactory, registered, take
from tests.factories.governance import DatasetFactory, PurposeFactory, issued_key

pytestmark = pytest.mark.django_db

EVERYBODY = ["ada", "bob", "cy", "eve", "stranger"]
NOISE = {"noise_multiplier": 1.1, "sampling_probability": 0.01, "steps": 1000, "unit": "person"}


def says(name: str, purpose, kind: str = "given", **more) -> None:
    person = by_identifier("opaque", name)
    ConsentDecisionFactory(subject=person, purpose=purpose, kind=kind, **more)


@pytest.fixture
def raw():
    """Ada, Bob and Cy are in a data set, and Eve was erased."""
    made = DatasetFactory(registered=True)
    take(made, ["ada", "bob", "cy"])
    forget(subject=registered(("opaque", "eve")))
    return made


def may(purpose, **said) -> list[str]:
    """Return whose data may be used."""
    return [
        who for who in EVERYBODY if gate.may(purpose=purpose, scheme="opaque", value=who, **said)
    ]


def publish(**needs) -> None:
    draft = rules.draft_policy(key="care", title="Care", text="We care.", rules={"needs": [needs]})
    rules.publish_policy(policy=draft.policy)


@pytest.mark.parametrize(
    ("basis", "permitted"),
    [
        (LegalBasis.CONSENT, ["ada"]),
        (LegalBasis.LEGITIMATE_INTERESTS, ["ada", "cy", "stranger"]),
        (LegalBasis.CONTRACT, ["ada", "bob", "cy", "stranger"]),
    ],
)
def test_the_answer_follows_the_legal_ground_and_what_the_person_says_now(raw, basis, permitted):
    purpose = PurposeFactory(legal_basis=basis)
    says("ada", purpose)
    says("bob", purpose, "refused")
    assert may(purpose) == may(purpose, datasets=[raw]) == permitted
    says("ada", purpose, "withdrawn", decided_at=timezone.now())
    assert ("ada" in may(purpose)) == (basis == LegalBasis.CONTRACT)
    assert may(None) == []


def test_what_the_purpose_asks_for_by_itself_counts_also_without_data_sets(raw):
    purpose = PurposeFactory(legal_basis=LegalBasis.CONTRACT)
    says("ada", purpose)
    publish(consent=True, purposes=[purpose.key])
    assert may(purpose) == may(purpose, datasets=[raw]) == ["ada"]
    publish(differential_privacy={"epsilon": 4, "delta": 1e-5})
    assert may(purpose) == may(purpose, datasets=[raw]) == []
    protected = {"differential_privacy": NOISE}
    assert may(purpose, mechanism=protected) == ["ada", "bob", "cy", "stranger"]


def test_a_special_category_of_a_named_data_set_asks_for_a_yes(raw):
    purpose = PurposeFactory(legal_basis=LegalBasis.CONTRACT)
    says("ada", purpose)
    raw.categories = ["health"]
    raw.save()
    assert may(purpose) == ["ada", "bob", "cy", "stranger"]
    assert may(purpose, datasets=[raw]) == ["ada"]


@pytest.mark.parametrize("basis", [LegalBasis.CONSENT, LegalBasis.LEGITIMATE_INTERESTS])
def test_with_data_sets_it_is_what_the_decision_and_the_filter_say(raw, basis):
    purpose = PurposeFactory(legal_basis=basis)
    says("ada", purpose)
    says("bob", purpose, "objected")
    gap, health = DatasetFactory(), DatasetFactory(registered=True, categories=["health"])
    for datasets in ([raw], [health], [raw, health], [gap], [raw, gap]):
        decision = gate.decide(datasets=datasets, purpose=purpose)
        answers = selectors.permitted(decision=decision, scheme="opaque", values=EVERYBODY)
        filtered = [who for who, yes in zip(EVERYBODY, answers, strict=True) if yes]
        assert may(purpose, datasets=datasets) == filtered


@pytest.fixture
def ask():
    headers = {"Authorization": f"Bearer {issued_key('gate:ask')}"}
    client = Client(headers=headers)

    def ask(**body):
        raw = json.dumps({"scheme": "opaque", **body}).encode()
        return client.post("/api/v1/gate/subjects", raw, content_type="application/json")

    return ask


def test_a_refusal_over_rest_says_nothing_else_and_nothing_is_kept(raw, ask):
    purpose = PurposeFactory(key="study")
    says("ada", purpose)
    says("bob", purpose, "refused")
    before = LedgerRecord.objects.count()
    for named in ({}, {"datasets": [{"namespace": raw.namespace, "name": raw.name}]}):
        told = {who: ask(purpose="study", identifier=who, **named).json() for who in EVERYBODY}
        assert told.pop("ada") == {"permitted": True}
        assert list(told.values()) == [{"permitted": False}] * 4
    assert ask(purpose="nothing", identifier="ada").json() == {"permitted": False}
    silent = DatasetFactory(uuid=raw.uuid.__class__(int=7))
    answer = ask(purpose="study", identifier="ada", datasets=[str(silent.uuid)])
    assert answer.json() == {"permitted": False}
    assert GateDecision.objects.count() == 0
    assert LedgerRecord.objects.count() == before


def test_what_cannot_be_asked_is_refused_without_being_repeated(ask):
    PurposeFactory(key="study")
    wrong = [
        ({"identifier": "secret\0"}, "malformed_json"),
        ({"identifier": "secret\x7f"}, "identifier_malformed"),
        ({"identifier": "secret", "scheme": "No Name"}, "identifier_malformed"),
        ({"identifier": "secret" * 99}, "invalid"),
        ({"identifier": "secret", "datasets": ["secret"]}, "invalid"),
        ({"identifier": "secret", "mechanism": {"epsilon": 1}}, "mechanism_unusable"),
        ({}, "invalid"),
    ]
    for body, code in wrong:
        answer = ask(purpose="study", **body)
        assert answer.status_code in {400, 422}, body
        assert (answer.json()["code"], "secret" in answer.content.decode()) == (code, False)


def test_a_yes_that_has_run_out_is_none_any_more(raw):
    purpose = PurposeFactory()
    now = timezone.now()
    says("ada", purpose, valid_until=now + timedelta(minutes=1))
    asked = {"purpose": purpose, "scheme": "opaque", "value": "ada"}
    assert gate.may(**asked, at=now)
    assert not gate.may(**asked, at=now + timedelta(minutes=1))
