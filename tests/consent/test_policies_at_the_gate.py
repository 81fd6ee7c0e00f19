"""Policies run: what they ask for is asked at the gate, and again of every training."""

from datetime import timedelta

import pytest
from django.utils import timezone

from consent.models import GateDecision
from consent.selectors import assessments
from consent.selectors import gate as selectors
from consent.services import assessing, gate
from governance.legal import LegalBasis
from governance.models import Dataset, Purpose
from governance.selectors import rules as published
from governance.services import rules
from tests.factories.consent import NOON, take, version_after
from tests.factories.events import at
from tests.factories.governance import PurposeFactory
from tests.factories.training import ANN, BOB, MODEL, facet, loans_of, says, study, train

pytestmark = pytest.mark.django_db

NOISE = {"noise_multiplier": 1.1, "sampling_probability": 0.01, "steps": 1000, "unit": "person"}
ROUNDS = {"rounds": 10, "smallest_round": 12, "secure_aggregation": True}
BUDGET = {"differential_privacy": {"epsilon": 4, "delta": 1e-5}}
FEDERATED = {"federated": {"secure_aggregation": True, "smallest_round": 10}}


@pytest.fixture
def loans() -> Dataset:
    """Ann and Bob said yes, to a purpose that rests on consent."""
    study()
    made = loans_of(ANN, BOB)
    for each in (ANN, BOB):
        says(each, "given", -600)
    return made


def publish(*needs: dict, key: str = "care") -> None:
    """Publish the next version of a policy."""
    draft = rules.draft_policy(key=key, title="Care", text="We care.", rules={"needs": [*needs]})
    rules.publish_policy(policy=draft.policy)


def soon() -> float:
    """Return in how many minutes from the first training's beginning it is soon."""
    return (timezone.now() - at(0)).total_seconds() / 60 + 5


def ask(loans: Dataset, mechanism: dict | None = None, purpose: str = "study") -> GateDecision:
    return gate.decide(
        datasets=[loans], purpose=published.purpose(purpose), model=MODEL, mechanism=mechanism
    )


@pytest.mark.parametrize(
    ("needs", "mechanism", "reasons"),
    [
        ({"differential_privacy": {"epsilon": 4, "delta": 1e-5}}, None,
         ["needs_differential_privacy"]),
        (BUDGET, {"differential_privacy": NOISE}, []),
        (BUDGET, {"differential_privacy": NOISE | {"steps": 100_000}}, ["budget_exceeded"]),
        (BUDGET, {"differential_privacy": NOISE | {"noise_multiplier": 0}}, ["budget_exceeded"]),
        (BUDGET, {"differential_privacy": NOISE | {"unit": "example"}},
         ["needs_differential_privacy"]),
        (FEDERATED, None, ["needs_federation"]),
        (FEDERATED, {"federated": ROUNDS}, []),
        (FEDERATED, {"federated": ROUNDS | {"smallest_round": 9}}, ["cohort_too_small"]),
        (FEDERATED, {"federated": ROUNDS | {"secure_aggregation": False}},
         ["needs_secure_aggregation"]),
        ({"people": 2}, None, []),
        ({"people": 3}, None, ["cohort_too_small"]),
        ({"retention_days": 30}, None, []),
        ({"people": 3, "purposes": ["other"]}, None, []),
        ({"people": 3, "categories": ["health"]}, None, []),
        ({"people": 3, "purposes": ["study"], "categories": ["Loans"]}, None,
         ["cohort_too_small"]),
    ],
)  # fmt: skip
def test_what_a_policy_asks_for_and_is_not_met_closes_the_gate(loans, needs, mechanism, reasons):
    Dataset.objects.update(categories=["loans"])
    publish(needs)
    decision = ask(loans, mechanism)
    assert decision.reasons == reasons
    assert decision.outcome == ("deny" if reasons else "permit")


def known_for(loans: Dataset, days: int) -> None:
    Dataset.objects.filter(pk=loans.pk).update(created_at=timezone.now() - timedelta(days=days))


@pytest.mark.parametrize(
    ("days", "categories", "reasons"),
    [
        (29, [], []),
        (31, [], ["kept_too_long"]),
        (31, ["Loans"], ["kept_too_long"]),
        (31, ["health"], []),
    ],
)
def test_data_that_is_kept_for_longer_than_a_policy_allows_is_not_used(
    loans, days, categories, reasons
):
    Dataset.objects.update(categories=["loans"])
    publish({"retention_days": 30} | ({"categories": categories} if categories else {}))
    known_for(loans, days)
    decision = ask(loans)
    assert (decision.outcome, decision.reasons) == ("deny" if reasons else "permit", reasons)


def test_once_the_old_data_is_out_the_gate_is_open_again(loans):
    publish({"retention_days": 30})
    known_for(loans, 40)
    yesterday = version_after(loans, (timezone.now() - NOON) // timedelta(hours=1) - 24)
    take(loans, [BOB], mode="replace", scheme="email", version=yesterday)
    assert ask(loans).reasons == ["kept_too_long"], "Bob is in it since it became known"
    take(loans, [], mode="replace", scheme="email", version=yesterday)
    take(loans, [BOB], scheme="email", version=yesterday)
    assert ask(loans).reasons == []


def test_a_training_on_data_that_was_kept_too_long_is_a_violation(loans):
    publish({"retention_days": 30})
    known_for(loans, 40)
    train(facet(), minutes=soon())
    assessing.assess_waiting(limit=10)
    assert [each.reasons for each in assessments.counting()] == [["policy_unmet"]]


def test_the_answer_names_the_versions_that_asked_and_the_token_too(loans):
    publish({"people": 1}, key="one")
    publish({"people": 2}, key="two")
    publish({"people": 1}, key="two")
    publish({"people": 9, "purposes": ["other"]}, key="three")
    decision = ask(loans, {"federated": ROUNDS})
    assert decision.policies == ["one 1", "two 2"]
    token = selectors.token_of(decision)
    assert (token.policies, token.mechanism) == (("one 1", "two 2"), {"federated": ROUNDS})


def test_a_policy_for_a_wider_purpose_holds_for_the_narrower_one(loans):
    PurposeFactory(key="narrow", parent=Purpose.objects.get(key="study"))
    publish({"people": 3, "purposes": ["study"]})
    assert ask(loans, purpose="narrow").reasons == ["cohort_too_small"]


def test_a_policy_can_ask_for_a_yes_that_the_law_does_not(loans):
    PurposeFactory(key="shelf", legal_basis=LegalBasis.CONTRACT)
    assert ask(loans, purpose="shelf").outcome == "permit"
    publish({"consent": True, "purposes": ["shelf"]})
    assert ask(loans, purpose="shelf").reasons == ["everybody_excluded"]
    says_to("shelf", ANN)
    decision = ask(loans, purpose="shelf")
    assert decision.reasons == ["some_excluded"]
    listed = [ANN, BOB, "nobody@example.org"]
    permitted = selectors.permitted(decision=decision, scheme="email", values=listed)
    assert permitted == [True, False, False]


def says_to(purpose: str, who: str) -> None:
    from uuid import uuid4

    from consent.selectors.subjects import by_identifier
    from consent.services import decisions

    decisions.record(
        subject=by_identifier("email", who), purpose=published.purpose(purpose), kind="given",
        decided_at=at(-500), key=uuid4(),
    )  # fmt: skip


@pytest.mark.parametrize(("letter", "outcome"), [("", "deny"), ("j", "permit")])
def test_special_categories_need_a_yes_or_an_exception_of_article_9(loans, letter, outcome):
    PurposeFactory(key="care", legal_basis=LegalBasis.PUBLIC_TASK, special_basis=letter)
    Dataset.objects.update(categories=["Health"])
    assert ask(loans, purpose="care").outcome == outcome


def test_a_training_is_held_to_the_policies_that_were_in_force_when_it_read(loans):
    train(facet(), name="before")
    publish({"people": 3})
    train(facet(), name="after", minutes=soon())
    assessing.assess_waiting(limit=10)
    found = assessments.counting().order_by("read_at")
    assert [(each.verdict, each.reasons) for each in found] == [
        ("compliant", []), ("violation", ["policy_unmet"]),
    ]  # fmt: skip


def test_a_training_that_declares_how_it_protects_people_meets_the_policy(loans):
    publish(BUDGET)
    late = soon()
    train(facet() | {"mechanism": {"differential_privacy": NOISE}}, name="noisy", minutes=late)
    train(facet() | {"mechanism": {"epsilon": 0.1}}, name="boasting", minutes=late + 10)
    assessing.assess_waiting(limit=10)
    found = assessments.counting().order_by("read_at")
    assert [each.verdict for each in found] == ["compliant", "violation"]
