"""A run leans on the gate's word only if that was about this very run."""

from datetime import timedelta

import pytest

from consent.models import GateDecision
from consent.selectors import uses
from consent.selectors.subjects import by_identifier
from consent.services import gate
from governance.models import Dataset
from governance.selectors import rules
from governance.services.clients import issue_key
from governance.services.registry import register_dataset
from lineage.services.apply import apply_ready
from lineage.services.inbox import accept
from lineage.services.provenance import find_late_models, freeze_stale
from tests.factories.consent import ConsentDecisionFactory, take
from tests.factories.events import at, dataset, run
from tests.factories.governance import PurposeFactory

pytestmark = pytest.mark.django_db
ANN, BOB = "ann@example.org", "bob@example.org"
MODEL = ("test", "model")
EARLIER = at(0) - timedelta(days=9)


@pytest.fixture
def loans() -> Dataset:
    """Ann said yes and Bob said no, and the data set holds both."""
    study = PurposeFactory(key="study")
    loans = register_dataset(
        namespace="test", name="loans", subject_column="email", subject_scheme="email"
    ).thing
    take(loans, [ANN, BOB], mode="replace", scheme="email")
    for who, kind in ((ANN, "given"), (BOB, "refused")):
        person = by_identifier("email", who)
        ConsentDecisionFactory(subject=person, purpose=study, kind=kind, decided_at=EARLIER)
    return loans


def ask(loans: Dataset, *, model=MODEL, hours: float = 0) -> GateDecision:
    asked = gate.decide(
        datasets=[loans],
        purpose=rules.purpose("study"),
        model=model,
        at=at(0) - timedelta(hours=hours),
    )  # fmt: skip
    assert asked.outcome == "permit_with_exclusions"
    return asked


def train(decision: GateDecision, *, purposes=("study",), reads=("loans",)) -> None:
    key = issue_key(client_name="pipeline", scopes=["lineage:write"]).key
    facet = {"purposes": list(purposes), "gateDecision": str(decision.uuid)}
    made = dataset("model", model=True)
    accept(
        key=key,
        events=run("train", 0, 1, reads=reads, writes=[made], colophon_training=facet),
    )
    while apply_ready():
        pass
    find_late_models()
    while freeze_stale():
        pass


def holds(who: str) -> bool:
    return bool(uses.models_of(by_identifier("email", who)))


@pytest.mark.parametrize("model", [MODEL, None])
@pytest.mark.parametrize("purposes", [["study"], []])
def test_who_was_left_out_on_the_gates_word_is_not_in_the_model(loans, model, purposes):
    train(ask(loans, model=model), purposes=purposes)
    assert (holds(ANN), holds(BOB)) == (True, False)


def test_an_answer_for_another_model_clears_nobody(loans):
    train(ask(loans, model=("test", "another")))
    assert (holds(ANN), holds(BOB)) == (True, True)


def test_an_answer_for_another_purpose_clears_nobody(loans):
    train(ask(loans), purposes=["study", "marketing"])
    assert holds(BOB)


def test_an_answer_about_less_than_was_read_clears_nobody(loans):
    train(ask(loans), reads=("loans", "more"))
    assert holds(BOB)


def test_an_answer_that_had_expired_clears_nobody(loans):
    train(ask(loans, hours=1.5))
    assert holds(BOB)


def test_an_answer_that_was_no_clears_nobody(loans):
    PurposeFactory(key="other")
    denied = gate.decide(datasets=[loans], purpose=rules.purpose("other"), model=MODEL, at=at(0))
    assert denied.outcome == "deny"
    train(denied, purposes=["other"])
    assert holds(BOB)
