"""May these rows be used for this purpose."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone
from pyroaring import BitMap

from consent.models import GateDecision, Subject
from consent.rules import DecisionKind
from consent.selectors import gate as selectors
from consent.selectors.subjects import by_identifier
from consent.services import gate, subjects
from governance.errors import NotFoundError
from governance.models import Dataset, LedgerRecord, LegalBasis
from governance.services.clients import issue_key
from lineage.selectors import versions
from lineage.selectors.ancestry import Ancestry
from lineage.services.apply import apply_ready
from lineage.services.inbox import accept
from tests.factories import events
from tests.factories.consent import ConsentDecisionFactory, registered, take
from tests.factories.governance import ApiClientFactory, DatasetFactory, PurposeFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def purpose():
    return PurposeFactory()


@pytest.fixture
def raw():
    return DatasetFactory(namespace="test", name="raw", registered=True)


def person(name: str) -> Subject:
    return by_identifier("opaque", name)


def says(name: str, purpose, kind: str = "given", **more) -> None:
    ConsentDecisionFactory(subject=person(name), purpose=purpose, kind=DecisionKind(kind), **more)


def happened(*runs) -> None:
    key = issue_key(client_name="pipeline", scopes=["lineage:write"]).key
    accept(key=key, events=[each for run in runs for each in run])
    while apply_ready(limit=500):
        pass


def excluded(decision: GateDecision) -> set[int]:
    return set(BitMap.deserialize(bytes(decision.excluded)))


def test_everybody_said_yes_so_it_is_permitted(raw, purpose):
    take(raw, ["ada", "bob"])
    says("ada", purpose)
    says("bob", purpose)
    decision = gate.decide(datasets=[raw], purpose=purpose)
    assert (decision.outcome, decision.reasons, decision.excluded_count) == ("permit", [], 0)
    assert decision.expires_at - decision.decided_at == timedelta(hours=1)
    asked = decision.inputs.get()
    assert (asked.dataset, asked.version) == (raw, versions.current(raw.pk))
    assert LedgerRecord.objects.filter(kind="gate.decided", sealed_for=None).count() == 1


def test_who_did_not_say_yes_is_excluded(raw, purpose):
    take(raw, ["ada", "bob", "cy"])
    says("ada", purpose)
    says("bob", purpose, "refused")
    decision = gate.decide(datasets=[raw], purpose=purpose)
    assert (decision.outcome, decision.reasons) == ("permit_with_exclusions", ["some_excluded"])
    assert excluded(decision) == {person("bob").pk, person("cy").pk}
    assert decision.excluded_count == 2


def test_everybody_excluded_is_a_denial(raw, purpose):
    take(raw, ["ada"])
    decision = gate.decide(datasets=[raw], purpose=purpose)
    assert (decision.outcome, decision.reasons) == ("deny", ["everybody_excluded"])


def test_a_purpose_that_nobody_registered_is_denied(raw):
    take(raw, ["ada"])
    decision = gate.decide(datasets=[raw], purpose=None)
    assert (decision.outcome, decision.reasons) == ("deny", ["unknown_purpose"])
    assert excluded(decision) == {person("ada").pk}


def test_an_objection_counts_where_the_basis_is_legitimate_interests(raw):
    purpose = PurposeFactory(legal_basis=LegalBasis.LEGITIMATE_INTERESTS)
    take(raw, ["ada", "bob"])
    says("ada", purpose, "objected")
    decision = gate.decide(datasets=[raw], purpose=purpose)
    assert excluded(decision) == {person("ada").pk}


def test_a_contract_rests_on_nobody_s_decision_but_never_on_the_erased(raw):
    purpose = PurposeFactory(legal_basis=LegalBasis.CONTRACT)
    take(raw, ["ada", "bob"])
    says("bob", purpose, "objected")
    ada = subjects.register(identifiers=[("opaque", "ada")]).subject
    subjects.forget(subject=ada)
    decision = gate.decide(datasets=[raw], purpose=purpose)
    assert excluded(decision) == {ada.pk}


def test_a_derived_data_set_is_no_loophole(raw, purpose):
    take(raw, ["ada", "bob"])
    says("ada", purpose)
    happened(events.run("clean", 0, 10, reads=["raw"], writes=["clean"]))
    happened(events.run("join", 20, 30, reads=["clean"], writes=["features"]))
    features = Dataset.objects.get(name="features")
    decision = gate.decide(datasets=[features], purpose=purpose)
    assert (decision.outcome, decision.reasons) == ("permit_with_exclusions", ["some_excluded"])
    assert excluded(decision) == {person("bob").pk}


def test_who_has_left_the_source_may_still_be_in_what_was_made_of_it(raw, purpose):
    take(raw, ["ada", "bob"])
    says("ada", purpose)
    happened(events.run("clean", 0, 10, reads=["raw"], writes=["clean", "raw"]))
    take(raw, ["bob"], mode="remove")
    assert gate.decide(datasets=[raw], purpose=purpose).outcome == "permit"
    clean = Dataset.objects.get(name="clean")
    assert excluded(gate.decide(datasets=[clean], purpose=purpose)) == {person("bob").pk}


def test_a_source_that_nobody_answers_for_is_a_gap(raw, purpose):
    take(raw, ["ada"])
    says("ada", purpose)
    happened(events.run("clean", 0, 10, reads=["raw", "scraped"], writes=["clean"]))
    clean = Dataset.objects.get(name="clean")
    decision = gate.decide(datasets=[clean], purpose=purpose)
    assert (decision.outcome, decision.reasons) == ("gap", ["unknown_dataset"])
    take(Dataset.objects.get(name="scraped"), ["ada"], mode="replace")
    assert gate.decide(datasets=[clean], purpose=purpose).outcome == "permit"


def test_a_data_set_of_people_that_names_nobody_is_a_gap(purpose):
    silent = DatasetFactory(registered=True, subject_column="email", subject_scheme="email")
    decision = gate.decide(datasets=[silent], purpose=purpose)
    assert (decision.outcome, decision.reasons) == ("gap", ["members_unknown"])
    take(silent, [], mode="replace")
    assert gate.decide(datasets=[silent], purpose=purpose).outcome == "permit"


def test_a_denial_is_stricter_than_a_gap(raw, purpose):
    take(raw, ["ada"])
    decision = gate.decide(datasets=[raw, DatasetFactory()], purpose=purpose)
    assert decision.outcome == "deny"
    assert decision.reasons == ["everybody_excluded", "unknown_dataset"]


def test_erased_data_that_came_back_is_said_of_the_data_set(raw, purpose):
    subjects.forget(subject=registered(("opaque", "eve")))
    take(raw, ["ada", "eve"])
    says("ada", purpose)
    decision = gate.decide(datasets=[raw], purpose=purpose)
    assert decision.reasons == ["erased_data_present"]
    assert (decision.outcome, decision.excluded_count) == ("permit_with_exclusions", 0)


def test_the_gate_can_be_asked_how_it_stood(raw, purpose):
    take(raw, ["ada", "bob"])
    now = timezone.now()
    says("ada", purpose, decided_at=now - timedelta(days=3))
    says("bob", purpose, decided_at=now - timedelta(days=3))
    says("bob", purpose, "withdrawn", decided_at=now - timedelta(days=1))
    before = gate.decide(datasets=[raw], purpose=purpose, at=now - timedelta(days=2))
    assert (before.outcome, before.excluded_count) == ("permit", 0)
    assert excluded(gate.decide(datasets=[raw], purpose=purpose)) == {person("bob").pk}


def filtered(decision: GateDecision, *names: str) -> list[bool]:
    return selectors.permitted(decision=decision, scheme="opaque", values=names)


def test_the_filter_answers_in_order_by_what_is_in_force_now(raw, purpose):
    take(raw, ["ada", "bob", "cy"])
    says("ada", purpose)
    says("bob", purpose, "refused")
    decision = gate.decide(datasets=[raw], purpose=purpose)
    assert filtered(decision, "cy", " ada", "bob", "stranger", "ada") == [
        False, True, False, False, True,
    ]  # fmt: skip
    says("ada", purpose, "withdrawn", decided_at=timezone.now())
    says("cy", purpose, decided_at=timezone.now())
    assert filtered(decision, "ada", "cy") == [False, True]
    assert filtered(decision) == []


def test_a_stranger_is_permitted_where_nobody_need_say_yes_but_an_erased_person_is_not(raw):
    purpose = PurposeFactory(legal_basis=LegalBasis.LEGITIMATE_INTERESTS)
    take(raw, ["ada"])
    subjects.forget(subject=registered(("opaque", "eve")))
    decision = gate.decide(datasets=[raw], purpose=purpose)
    assert filtered(decision, "stranger", "eve", "ada") == [True, False, True]


def test_nothing_passes_a_decision_that_is_not_open(raw, purpose):
    take(raw, ["ada"])
    says("ada", purpose)
    decision = gate.decide(datasets=[raw, DatasetFactory()], purpose=purpose)
    assert decision.outcome == "gap"
    assert filtered(decision, "ada") == [False]


def test_an_expired_decision_filters_nothing(raw, purpose):
    take(raw, [])
    at = timezone.now() - timedelta(hours=1)
    decision = gate.decide(datasets=[raw], purpose=purpose, at=at)
    with pytest.raises(selectors.GateDecisionExpiredError):
        filtered(decision, "ada")


def test_a_decision_is_shown_to_the_client_that_asked_only(raw, purpose):
    mine, theirs = ApiClientFactory(), ApiClientFactory()
    decision = gate.decide(datasets=[raw], purpose=purpose, client=mine)
    assert selectors.decision_of(client=mine, uuid=decision.uuid) == decision
    with pytest.raises(NotFoundError):
        selectors.decision_of(client=theirs, uuid=decision.uuid)


def test_an_answer_is_never_changed(raw, purpose):
    decision = gate.decide(datasets=[raw], purpose=purpose)
    with pytest.raises(IntegrityError), transaction.atomic():
        GateDecision.objects.filter(pk=decision.pk).update(outcome="deny", reasons=["x"])
    decision.refresh_from_db()
    assert decision.outcome == "permit"


def test_a_cut_walk_is_a_gap(raw, purpose, monkeypatch):
    monkeypatch.setattr(
        "lineage.selectors.ancestry.ancestors",
        lambda datasets, **_: Ancestry(frozenset(datasets), truncated=True),
    )
    decision = gate.decide(datasets=[raw], purpose=purpose)
    assert (decision.outcome, decision.reasons) == ("gap", ["lineage_truncated"])
