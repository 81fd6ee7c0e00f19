"""Every right can be asked for; where a request stands follows from the facts, for one and many."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from consent.models import (
    ConsentDecision,
    ErasureStep,
    RequestKind,
    RequestRecord,
    Restriction,
    RightsRequest,
)
from consent.rules import DecisionSource
from consent.selectors import request_lists, request_texts, requests
from consent.selectors.requests import RequestState
from consent.selectors.subjects import SubjectErasedError, SubjectUnregisteredError
from consent.services import clock, planning, refusing, subjects
from consent.services import requests as services
from consent.services.decisions import IdempotencyKeyReusedError, ReasonMissingError
from consent.services.telling import RequestEndedError, RequestJoinedError
from governance.legal import LegalBasis
from tests.factories.consent import SubjectFactory, registered
from tests.factories.governance import DatasetFactory, PurposeFactory
from tests.factories.rights import ask, told

pytestmark = pytest.mark.django_db


def state(request: RightsRequest) -> str:
    request.refresh_from_db()
    return requests.standing_of(request).state.value


def outstanding(request: RightsRequest) -> list[str]:
    request.refresh_from_db()
    return requests.standing_of(request).outstanding


@pytest.mark.parametrize("kind", ["access", "portability"])
def test_a_copy_is_prepared_once_the_person_is_known_and_complete_when_it_is_there(kind):
    request = ask(kind, verified=False)
    assert (state(request), outstanding(request)) == (
        "received", ["the identity: is not confirmed yet", "the copy: is being prepared"],
    )  # fmt: skip
    services.confirm_identity(request=request)
    assert (state(request), outstanding(request)) == ("verified", ["the copy: is being prepared"])
    services.answer(request=request, facts={"package": "p"})
    assert (state(request), outstanding(request)) == ("completed", [])
    assert requests.standing_of(request).completed_at == request.answered_at
    assert told(request) == ["request.received", "request.verified", "request.completed"]


@pytest.mark.parametrize("kind", ["access", "portability"])
def test_nothing_is_given_to_somebody_unknown_nor_twice(kind):
    request = ask(kind, verified=False)
    with pytest.raises(services.NotToBeAnsweredError):
        services.answer(request=request)
    services.confirm_identity(request=request)
    services.answer(request=request)
    answered_at = RightsRequest.objects.get().answered_at
    with pytest.raises(RequestEndedError):
        services.answer(request=request)
    assert RightsRequest.objects.get().answered_at == answered_at
    assert told(request).count("request.completed") == 1


@pytest.mark.parametrize("kind", ["erasure", "rectification"])
def test_what_ends_otherwise_is_not_answered_with_a_copy(kind):
    request = ask(kind)
    with pytest.raises(services.NotToBeAnsweredError):
        services.answer(request=request)
    assert state(request) == "verified"


def test_a_correction_is_read_by_a_person_who_closes_it_with_a_reason():
    request = ask("rectification", details="My name is Ann Reader, not Read")
    assert b"Ann" not in bytes(RightsRequest.objects.get().details_sealed)
    assert request_texts.details_of(request) == ["My name is Ann Reader, not Read"]
    assert outstanding(request) == ["the correction: waits for a person"]
    services.correct(request=request, reason="Ann Reader it is")
    assert state(request) == "completed"
    kept = RightsRequest.objects.get()
    assert b"Ann" not in bytes(kept.answer_sealed)
    answer = request_texts.opened(kept, request_texts.ANSWER, kept.answer_sealed)
    assert answer == "Ann Reader it is"


@pytest.mark.parametrize(("kind", "details"), [("rectification", " "), ("access", "my age")])
def test_what_is_wrong_is_said_in_a_correction_and_nowhere_else(kind, details):
    with pytest.raises(services.DetailsMissingError):
        ask(kind, details=details)
    assert not RightsRequest.objects.exists()


def test_an_objection_counts_at_once_for_the_purposes_chosen_and_is_complete():
    planning_, lending = PurposeFactory.create_batch(2, legal_basis=LegalBasis.PUBLIC_TASK)
    request = ask("objection", purposes=[planning_], verified=False)
    said = ConsentDecision.objects.values_list("purpose__key", "kind", "decided_at", "source")
    assert list(said) == [(planning_.key, "objected", request.received_at, "person")]
    assert (state(request), outstanding(request)) == ("completed", [])
    assert told(request) == ["request.received", "request.completed"]
    again = ask("objection", request.subject)
    assert (again.duplicate_of, state(again)) == (None, "completed")
    objected = ConsentDecision.objects.filter(kind="objected").values_list("purpose_id", flat=True)
    assert sorted(objected) == sorted([planning_.pk, planning_.pk, lending.pk])


@pytest.mark.parametrize("source", ["guardian", "delegate", "operator"])
@pytest.mark.parametrize("kind", ["objection", "erasure", "access"])
def test_whoever_asks_for_somebody_says_by_which_right_and_it_is_sealed(source, kind):
    PurposeFactory()
    person = registered()
    with pytest.raises(ReasonMissingError):
        ask(kind, person, source=DecisionSource(source), reason=" ")
    assert not RightsRequest.objects.exists()
    request = ask(kind, person, source=DecisionSource(source), reason="mandate of Ann Reader")
    kept = RightsRequest.objects.get()
    assert (kept.source, b"Ann" in bytes(kept.reason_sealed)) == (source, False)
    assert request_texts.opened(kept, "reason", kept.reason_sealed) == "mandate of Ann Reader"
    decided = set(request.subject.decisions.values_list("source", flat=True))
    assert decided == (set() if kind == "access" else {source})


@pytest.mark.parametrize("kind", RequestKind.values)
def test_an_erased_person_asks_for_nothing(kind):
    person = registered()
    subjects.forget(subject=person)
    with pytest.raises(SubjectErasedError):
        ask(kind, person)
    assert not RightsRequest.objects.exists()
    assert not RequestRecord.objects.exists()


def test_what_was_written_is_unreadable_once_the_key_is_gone():
    request = ask("rectification")
    subjects.forget(subject=request.subject)
    assert request_texts.details_of(request) == []


def test_nothing_is_written_in_clear_where_there_is_no_key():
    with pytest.raises(SubjectUnregisteredError):
        ask("rectification", SubjectFactory())
    assert not RightsRequest.objects.exists()


@pytest.mark.parametrize("kind", RequestKind.values)
def test_the_same_key_opens_one_request_of_its_kind(kind):
    first = ask(kind)
    assert ask(kind, first.subject, key=first.idempotency_key) == first
    other = "access" if kind != "access" else "erasure"
    with pytest.raises(IdempotencyKeyReusedError):
        ask(other, first.subject, key=first.idempotency_key)
    assert RightsRequest.objects.count() == 1


@pytest.mark.parametrize("kind", ["access", "portability", "rectification", "erasure"])
def test_a_second_open_request_is_joined_to_the_first_and_has_its_clock(kind):
    first = ask(kind, verified=False)
    clock.pause(request=first)
    second = ask(kind, first.subject, verified=False)
    assert (second.duplicate_of, state(second), outstanding(second)) == (first, "joined", [])
    assert told(second) == ["request.joined"]
    assert ask(kind, first.subject, key=second.idempotency_key) == second
    clock.extend(request=first, code="complexity")
    first.refresh_from_db()
    second.refresh_from_db()
    assert second.due_at == first.due_at == requests.due_at(first)
    for decide in (
        lambda: clock.extend(request=second, code="complexity"),
        lambda: refusing.refuse(request=second, ground="art_12_5_excessive"),
        lambda: services.answer(request=second),
        lambda: clock.pause(request=second),
    ):
        with pytest.raises(RequestJoinedError) as refused:
            decide()
        assert refused.value.facts == {"first": str(first.uuid)}


def test_a_person_who_signs_in_and_asks_again_confirms_what_somebody_else_asked():
    first = ask("erasure", verified=False)
    clock.pause(request=first)
    assert planning.plan(first.pk) == 0
    second = ask("erasure", first.subject)
    assert state(first) == "verified"
    assert not first.pauses.filter(until=None).exists()
    assert planning.plan(second.pk) == 0
    assert planning.plan(first.pk) == 1
    third = ask("erasure", first.subject, verified=False)
    services.confirm_identity(request=third)
    assert told(first) == [
        "request.received", "request.paused", "request.resumed", "request.verified",
        "erasure.planned",
    ]  # fmt: skip


def test_an_erasure_that_is_asked_for_again_takes_back_again_what_was_given_meanwhile():
    study = PurposeFactory()
    first = ask("erasure")
    given = {"purpose": study, "kind": "given", "key": uuid4(), "decided_at": timezone.now()}
    services.decisions.record(subject=first.subject, **given)
    ask("erasure", first.subject)
    [stands] = ConsentDecision.objects.in_force(timezone.now() + timedelta(seconds=1))
    assert stands.kind == "withdrawn"


def test_a_correction_that_is_joined_adds_what_else_is_wrong():
    first = ask("rectification", details="my age")
    second = ask("rectification", first.subject, details="my name")
    assert request_texts.details_of(first) == ["my age", "my name"]
    assert request_texts.details_of(second) == ["my name"]


@pytest.mark.parametrize("kind", ["access", "rectification"])
def test_after_the_first_has_ended_another_is_a_request_of_its_own(kind):
    first = ask(kind)
    if kind == "access":
        services.answer(request=first)
    else:
        refusing.refuse(request=first, ground="art_12_5_excessive")
    second = ask(kind, first.subject)
    assert (second.duplicate_of, state(second)) == (None, "verified")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["access", "erasure", "restriction"])
def test_eight_who_ask_at_once_settle_to_one(kind):
    PurposeFactory()
    person = registered()

    def asks(_: int) -> RightsRequest:
        try:
            return ask(kind, person)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(asks, range(8)))
    [first] = RightsRequest.objects.filter(duplicate_of=None)
    joined = RightsRequest.objects.filter(duplicate_of=first)
    assert {each.pk for each in opened} == {first.pk, *joined.values_list("pk", flat=True)}
    assert joined.count() == 7
    assert Restriction.objects.count() == (kind == "restriction")
    assert list(RequestRecord.objects.values_list("kind", flat=True)).count("request.joined") == 7


@pytest.mark.django_db(transaction=True)
def test_eight_with_one_key_open_one():
    person, key = registered(), uuid4()

    def asks(_: int) -> RightsRequest:
        try:
            return ask("access", person, key=key)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert len({each.pk for each in pool.map(asks, range(8))}) == 1
    assert RightsRequest.objects.count() == 1


def in_every_state() -> dict[str, RightsRequest]:
    """Return a request in each state that there is, and in each way to it."""
    made = {f"{kind} {verified}": ask(kind, verified=verified)
            for kind in RequestKind.values for verified in (True, False)}  # fmt: skip
    made["joined"] = ask("access", made["access True"].subject)
    made["answered"] = ask("access")
    services.answer(request=made["answered"])
    made["refused"] = ask("portability")
    refusing.refuse(request=made["refused"], ground="art_12_5_unfounded")
    for name in ("review", "erasing", "verifying", "kept", "forgotten"):
        made[name] = request = ask("erasure")
        planning.plan(request.pk)
        step = ErasureStep(request=request, dataset=DatasetFactory(), position=0)
        if name == "review":
            step.released_at = None
        elif name != "erasing":
            outcome = {"kept": "exempt"}.get(name, "not_found")
            step.state, step.outcome, step.finished_at = "done", outcome, timezone.now()
            step.code = "art_17_3_b"
        step.save()
    RightsRequest.objects.filter(pk=made["forgotten"].pk).update(forgotten_at=timezone.now())
    late = {"received_at": timezone.now() - timedelta(90), "due_at": timezone.now() - timedelta(9)}
    some = [made[name].pk for name in ("access False", "answered", "erasing", "joined", "kept")]
    RightsRequest.objects.filter(pk__in=some).update(**late)
    made["paused"] = ask("access", verified=False)
    clock.pause(request=made["paused"])
    RightsRequest.objects.filter(pk=made["paused"].pk).update(**late)
    return made


def test_many_are_in_the_states_in_which_each_is():
    made = in_every_state()
    one_by_one = {}
    for name, request in made.items():
        request.refresh_from_db()
        standing = requests.standing_of(request)
        one_by_one[name] = standing.state.value, standing.overdue
    found = {each.pk: (each.state, each.is_overdue) for each in request_lists.with_state()}
    assert {name: found[request.pk] for name, request in made.items()} == one_by_one
    assert {each for each, _ in one_by_one.values()} == {each.value for each in RequestState}
    assert {name for name, (_, late) in one_by_one.items() if late} == {"access False", "erasing"}
    for wanted in RequestState:
        listed = set(request_lists.listed(state=wanted.value).values_list("pk", flat=True))
        assert listed == {made[name].pk for name, (at, _) in one_by_one.items() if at == wanted}
