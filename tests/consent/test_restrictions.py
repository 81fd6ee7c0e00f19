"""A restriction stops every use at once, of one and of many, and is lifted as the law says."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.core import mail
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from consent.models import (
    RequestLetter,
    RequestRecord,
    Restriction,
    RightsRequest,
    Unweighed,
    UseAssessment,
)
from consent.rules import DecisionKind, permitted
from consent.selectors import assessments, portal, restrictions
from consent.selectors import decisions as selectors
from consent.selectors import gate as gate_selectors
from consent.selectors.subjects import by_identifier
from consent.services import assessing, clock, refusing, restricting, standings, subjects
from consent.services.subjects import SubjectUnregisteredError
from consent.services.telling import RequestEndedError
from governance.legal import LegalBasis
from governance.models import WebhookKind, WebhookMessage
from governance.services import webhooks
from tests.factories.consent import (
    NOON,
    ConsentDecisionFactory,
    SubjectFactory,
    registered,
)
from tests.factories.events import at
from tests.factories.governance import ApiClientFactory, PurposeFactory
from tests.factories.rights import ask, mailed, told
from tests.factories.training import ANN, BOB, facet, loans_of, says, study, train
from tests.factories.training import ask as ask_gate

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("basis", LegalBasis)
@pytest.mark.parametrize("verified", [True, False])
def test_it_is_in_force_at_once_whatever_a_use_rests_on(basis, verified):
    purpose, ann, bob = PurposeFactory(legal_basis=basis), registered(), registered()
    for each in (ann, bob):
        ConsentDecisionFactory(subject=each, purpose=purpose, kind=DecisionKind.GIVEN)
    standings.fold()
    people = [ann.pk, bob.pk]
    assert selectors.excluded_from(people, purpose, timezone.now()) == BitMap()
    request = ask("restriction", ann, verified=verified)
    assert request.answered_at == request.received_at
    assert told(request) == ["request.received", "request.completed"]
    for _ in range(2):
        assert selectors.excluded_from(people, purpose, timezone.now()) == BitMap([ann.pk])
        standings.fold()
    before = request.received_at - timedelta(microseconds=1)
    assert selectors.excluded_from(people, purpose, before) == BitMap()
    assert [each.permitted for each in portal.positions(ann, timezone.now())] == [False]
    assert [each.permitted for each in portal.positions(bob, timezone.now())] == [True]


SPANS = st.lists(st.tuples(st.integers(0, 2), st.integers(-3, 6), st.none() | st.integers(0, 4)),
                 max_size=5)  # fmt: skip
SAID = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(list(DecisionKind)), st.integers(-3, 6)),
    max_size=6,
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(spans=SPANS, said=SAID, hours=st.integers(-4, 10))
def test_the_sets_say_of_everybody_what_the_rules_say_of_each(db, spans, said, hours):
    purpose = PurposeFactory()
    people = [SubjectFactory() for _ in range(3)]
    kept: dict[int, list[tuple]] = {0: [], 1: [], 2: []}
    for who, since, lasts in spans:
        if any(until is None for _, until in kept[who]) and lasts is None:
            continue  # one at a time is in force without an end
        begun = NOON + timedelta(hours=since)
        until = None if lasts is None else begun + timedelta(hours=lasts)
        request = RightsRequest.objects.create(
            subject=people[who], kind="restriction", idempotency_key=uuid4(), due_at=timezone.now()
            + timedelta(days=9), answered_at=begun, completion_recorded_at=begun,
        )  # fmt: skip
        Restriction.objects.create(
            request=request, subject=people[who], since=begun, until=until,
            lifted_by="person" if until else "",
        )  # fmt: skip
        kept[who].append((begun, until))
    for who, kind, decided in said:
        ConsentDecisionFactory(
            subject=people[who], purpose=purpose, kind=kind,
            decided_at=NOON + timedelta(hours=decided),
        )  # fmt: skip
    now = NOON + timedelta(hours=hours)
    inside = [
        any(begun <= now and (until is None or now < until) for begun, until in kept[who])
        for who in kept
    ]
    assert [restrictions.is_restricted(each, now) for each in people] == inside
    stand = [selectors.standing(each, purpose, now) for each in people]
    for basis in (LegalBasis.CONSENT, LegalBasis.PUBLIC_TASK, LegalBasis.CONTRACT):
        purpose.legal_basis = basis
        excluded = selectors.excluded_from([each.pk for each in people], purpose, now)
        assert [each.pk not in excluded for each in people] == [
            permitted(basis, stands, restricted=restricted)
            for stands, restricted in zip(stand, inside, strict=True)
        ]


def test_the_filter_of_an_answer_given_before_leaves_the_person_out():
    study(LegalBasis.CONTRACT)
    loans = loans_of(ANN, BOB)
    decision = ask_gate(loans, minutes=0)
    now = decision.decided_at + timedelta(minutes=1)
    may = {"decision": decision, "scheme": "email", "values": [ANN, BOB], "at": now}
    assert gate_selectors.permitted(**may) == [True, True]
    ask("restriction", by_identifier("email", ANN))
    Restriction.objects.update(since=decision.decided_at)
    assert gate_selectors.permitted(**may) == [False, True]


def test_pipelines_are_told_to_ask_the_gate_again_about_every_purpose():
    PurposeFactory.create_batch(2)
    kinds = [WebhookKind.PERMISSION_CHANGED]
    webhooks.register(client=ApiClientFactory(), url="https://example.org/", kinds=kinds)
    ask("restriction")
    told_of = [each.payload for each in WebhookMessage.objects.order_by("pk")]
    assert told_of == [{"purpose": key} for key in PurposeFactory._meta.model.objects.order_by("pk")
                       .values_list("key", flat=True)]  # fmt: skip


def concluded() -> list[tuple[str, int]]:
    while assessing.assess_waiting(limit=10):
        pass
    assert not Unweighed.objects.exists()
    found = assessments.counting().order_by("run_id")
    return [(each.verdict, each.without_permission) for each in found]


@pytest.fixture
def trained():
    """Ann and Bob agreed, and a training read both without asking the gate."""
    study()
    loans_of(ANN, BOB)
    for who in (ANN, BOB):
        says(who, "given", -600)
    train(facet())
    assert concluded() == [("compliant", 0)]
    return by_identifier("email", ANN)


def restricted_since(person, minutes: float) -> Restriction:
    """Restrict as of some minutes after the training began."""
    request = ask("restriction", person)
    made = request.restriction
    Restriction.objects.filter(pk=made.pk).update(since=at(minutes))
    made.refresh_from_db()
    return made


def test_a_training_that_read_before_stays_compliant_and_its_model_is_affected(trained):
    ask("restriction", trained)
    assert concluded() == [("compliant", 0)]
    assert UseAssessment.objects.count() == 1
    [counts] = assessments.counting()
    assert assessments.affected([counts]) == {counts.pk}


def test_a_training_that_was_concluded_about_without_it_is_weighed_anew(trained):
    restricted_since(trained, -5)
    assert concluded() == [("violation", 1)]
    assert UseAssessment.objects.count() == 2


def test_a_training_that_was_concluded_about_as_if_it_had_not_ended_is_weighed_anew(trained):
    made = restricted_since(trained, -5)
    assert concluded() == [("violation", 1)]
    restricting.withdraw(request=made.request)
    Restriction.objects.update(until=at(-1))
    assert concluded() == [("compliant", 0)]


def test_lifting_before_the_word_of_its_beginning_was_weighed_loses_neither(trained):
    made = restricted_since(trained, -5)
    restricting.withdraw(request=made.request)
    assert Unweighed.objects.count() == 1
    assert concluded() == [("violation", 1)]


def test_the_person_lifts_it_at_any_time_and_what_they_allow_counts_again():
    purpose, ann = PurposeFactory(), registered()
    ConsentDecisionFactory(subject=ann, purpose=purpose)
    request = ask("restriction", ann)
    restricting.withdraw(request=request)
    assert selectors.excluded_from([ann.pk], purpose, timezone.now()) == BitMap()
    lifted = Restriction.objects.get()
    assert (lifted.lifted_by, lifted.until is None) == ("person", False)
    assert selectors.excluded_from([ann.pk], purpose, lifted.since) == BitMap([ann.pk])
    assert told(request)[2:] == ["restriction.lifted"]
    with pytest.raises(restricting.NotRestrictedError):
        restricting.withdraw(request=request)
    assert not mail.outbox


def test_an_operator_lifts_it_only_after_the_person_was_told_and_why():
    ann = registered(("email", "ann@example.org"))
    request = ask("restriction", ann)
    with pytest.raises(restricting.PersonNotToldError):
        restricting.lift(request=request)
    restricting.announce_lifting(request=request, reason="Ann's data is right after all")
    with pytest.raises(restricting.PersonNotToldError):
        restricting.lift(request=request)  # the mail has not left yet
    assert restrictions.is_restricted(ann, timezone.now())
    assert mailed(request) == [True]
    [sent] = mail.outbox
    assert sent.to == ["ann@example.org"]
    assert "is going to be lifted" in sent.body
    assert "Ann's data is right after all" in sent.body
    assert b"right after" not in bytes(RequestLetter.objects.get().text_sealed)
    with pytest.raises(restricting.PersonToldAlreadyError):
        restricting.announce_lifting(request=request, reason="again")
    restricting.lift(request=request)
    assert Restriction.objects.get().lifted_by == "operator"
    assert not restrictions.is_restricted(ann, timezone.now())
    assert told(request)[2:] == ["restriction.lifting_told", "restriction.lifted"]


def test_somebody_without_an_address_is_told_by_the_page():
    request = ask("restriction", registered(("opaque", "reader-7")))
    restricting.announce_lifting(request=request, reason="settled")
    assert mailed(request) == [False]
    assert RequestLetter.objects.get().outcome == "no_address"
    restricting.lift(request=request)
    assert not mail.outbox


def test_of_somebody_without_a_key_no_reason_can_be_kept_so_it_stays():
    request = ask("restriction", SubjectFactory())
    with pytest.raises(SubjectUnregisteredError):
        restricting.announce_lifting(request=request, reason="settled")
    assert not RequestLetter.objects.exists()
    assert restrictions.is_restricted(request.subject, timezone.now())


def test_a_second_restriction_joins_the_one_in_force_and_a_later_one_is_new():
    ann = registered()
    first = ask("restriction", ann)
    second = ask("restriction", ann)
    assert second.duplicate_of == first
    with pytest.raises(restricting.NotRestrictedError):
        restricting.withdraw(request=second)
    restricting.withdraw(request=first)
    third = ask("restriction", ann)
    assert third.duplicate_of is None
    assert Restriction.objects.filter(subject=ann).count() == 2
    assert restrictions.unlifted(ann).request == third


def test_what_is_complete_is_neither_refused_nor_extended():
    request = ask("restriction")
    with pytest.raises(RequestEndedError):
        refusing.refuse(request=request, ground="art_12_5_unfounded")
    with pytest.raises(RequestEndedError):
        clock.extend(request=request, code="complexity")
    assert restrictions.is_restricted(request.subject, timezone.now())


def test_an_erased_person_stays_excluded_when_a_restriction_has_an_end():
    purpose = PurposeFactory(legal_basis=LegalBasis.CONTRACT)
    request = ask("restriction")
    subjects.forget(subject=request.subject)
    restricting.withdraw(request=request)
    people = [request.subject_id]
    assert selectors.excluded_from(people, purpose, timezone.now()) == BitMap(people)
    assert RequestRecord.objects.filter(kind="restriction.lifted").count() == 1
