"""Somebody who was erased comes back in the data, and is erased again without being asked."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import IntegrityError, connection, transaction

from consent.models import (
    ErasureStep,
    GateDecision,
    Reappearance,
    Remediation,
    RequestSource,
    Revival,
    RightsRequest,
    Subject,
    SubjectIdentifier,
    SubjectKey,
    Tombstone,
)
from consent.selectors import gate as gate_selectors
from consent.selectors import planned, portal, requests
from consent.selectors.assessments import conclude
from consent.selectors.certificates import certificate
from consent.selectors.membership import members, to_reopen
from consent.selectors.requests import RequestState
from consent.services import erasing, gate, planning, reappearances, subjects
from consent.services.approving import PlanChangedError, approve
from consent.services.settling import settle_step
from governance.models import Dataset
from governance.services import ledger
from lineage.models import ModelVersion
from tests.factories.clinic import ANN, BOB, EVE, MODEL, PEOPLE, Clinic, settle
from tests.factories.consent import SubjectFactory
from tests.factories.governance import PurposeFactory
from tests.factories.plans import reviewed

Reason = GateDecision.Reason


@pytest.fixture
def clinic(db, tmp_path) -> Clinic:
    return Clinic(tmp_path)


@pytest.fixture
def erased(clinic) -> RightsRequest:
    """The first erasure, over and done with."""
    return clinic.erased(ANN)[1]


def again() -> RightsRequest:
    return RightsRequest.objects.get(source=RequestSource.AUTOMATIC)


def asked(clinic):
    """Ask the gate about the table for a purpose that needs no permission from anybody else."""
    purpose = PurposeFactory(legal_basis="legitimate_interests")
    answer = gate.decide(datasets=[clinic.raw], purpose=purpose)
    allowed = gate_selectors.permitted(decision=answer, scheme="email", values=list(PEOPLE))
    return Reason.ERASED_DATA_PRESENT in answer.reasons, allowed


def test_who_comes_back_by_a_list_is_erased_again_and_the_certificate_says_so(clinic, erased):
    told, keys = portal.identity(ANN), SubjectKey.objects.count()
    clinic.comes_back()
    assert asked(clinic) == (True, [False, True, True])
    settle()
    assert clinic.rows() == [BOB, EVE]
    request = again()
    assert (request.kind, request.verified_at is not None) == ("erasure", True)
    assert request.received_at > erased.received_at
    assert request.due_at == requests.due_at(request)
    standing = requests.standing_of(request)
    assert (standing.state, standing.outstanding) == (RequestState.COMPLETED, [])
    while ledger.sequence():
        pass
    shown = certificate(standing)
    assert (shown["source"], shown["models"]) == ("automatic", [])
    assert [(d["name"], d["outcome"], d["rows"]) for d in shown["datasets"]] == [
        ("raw", "erased", 1)
    ]
    assert [told["kind"] for told in shown["ledger"]] == [
        "erasure.reopened", "erasure.planned", "erasure.step", "subject.forgotten",
        "request.completed",
    ]  # fmt: skip
    assert all(told["proof"] for told in shown["ledger"])
    assert "ann@" not in json.dumps(shown, default=str)
    assert asked(clinic) == (False, [False, True, True])
    assert portal.identity(ANN) == told
    assert SubjectKey.objects.count() == keys


def test_afterwards_nothing_leads_from_the_tombstone_to_anybody(clinic, erased):
    clinic.comes_back()
    settle()
    back = Reappearance.objects.get()
    assert (back.ended_at is not None, back.request, back.looked_for_at) == (True, None, None)
    assert not Revival.objects.exists()
    assert Tombstone.objects.count() == 1
    stands_for = again().subject
    assert stands_for.erased_at == Tombstone.objects.get().erased_at
    assert not stands_for.identifiers.exists()
    assert stands_for.pk not in members(clinic.raw.pk)


def test_while_it_is_erased_the_person_is_left_out_and_said_to_be_erased(clinic, erased):
    told = portal.identity(ANN)
    clinic.comes_back()
    for do in (
        lambda: reappearances.reopen(tombstone_id=Tombstone.objects.get().pk),
        lambda: planning.plan(again().pk),
        lambda: erasing.carry_out(dataset_id=clinic.raw.pk),
    ):
        do()
        assert asked(clinic)[1] == [False, True, True]
        assert portal.identity(ANN) == told
    assert again().forgotten_at is None


def test_what_was_derived_since_is_erased_too_and_nothing_older_is_looked_at(clinic):
    clinic.runs("report", reads=["raw"], writes=["report"])
    clinic.erased(ANN, by_hand=["report"])
    clinic.comes_back()
    clinic.write_lake(PEOPLE)
    clinic.runs("features", reads=["raw"], writes=["features"])
    settle()
    assert (clinic.rows(), clinic.files()) == ([BOB, EVE], [BOB, EVE])
    steps = again().steps.order_by("position").values_list("dataset__name", "outcome")
    assert list(steps) == [("raw", "erased"), ("features", "erased")]


def test_who_comes_back_by_a_derived_write_alone_is_erased_from_there(clinic, erased):
    clinic.write_lake(PEOPLE)
    clinic.runs("restore", reads=["an-old-copy"], writes=["features"])
    clinic.hand_in(clinic.features, PEOPLE)
    settle()
    assert clinic.files() == [BOB, EVE]
    assert list(again().steps.values_list("dataset__name", "outcome")) == [("features", "erased")]


def test_what_is_derived_while_it_is_erased_is_added_before_the_person_is_forgotten(clinic, erased):
    clinic.comes_back()
    reappearances.reopen(tombstone_id=Tombstone.objects.get().pk)
    planning.plan(again().pk)
    assert list(again().steps.values_list("dataset__name", flat=True)) == ["raw"]
    clinic.write_lake(PEOPLE)
    clinic.runs("features", reads=["raw"], writes=["features"])
    settle()
    assert (clinic.rows(), clinic.files()) == ([BOB, EVE], [BOB, EVE])
    told = list(again().records.order_by("pk").values_list("kind", flat=True))
    assert told.index("erasure.extended") < told.index("subject.forgotten")


def test_a_model_trained_meanwhile_waits_for_a_clean_training_and_an_older_one_does_not(
    clinic, erased
):
    clinic.runs("train", reads=["raw"], writes=[MODEL])
    clinic.runs("restore", reads=[], writes=["raw"])
    clinic.comes_back()
    clinic.runs("train", reads=["raw"], writes=[MODEL])
    _, meanwhile = ModelVersion.objects.order_by("pk")
    settle()
    assert [each.model_version for each in again().remediations.all()] == [meanwhile]
    assert requests.standing_of(again()).outstanding == [
        "model test model: waits for a clean training"
    ]
    clinic.runs("train", reads=["raw"], writes=[MODEL])
    settle()
    closed = Remediation.objects.get()
    assert (closed.outcome, closed.closed_by) == ("retrained", ModelVersion.objects.latest("pk"))
    assert requests.standing_of(again()).state is RequestState.COMPLETED


@pytest.mark.parametrize("leans", [True, False])
def test_a_training_that_left_out_who_came_back_on_the_gates_word_is_clean(clinic, erased, leans):
    purpose = PurposeFactory(legal_basis="legitimate_interests")
    clinic.runs("restore", reads=[], writes=["raw"])
    clinic.comes_back()
    answer = gate.decide(datasets=[clinic.raw], purpose=purpose, model=("test", "model"))
    said = {"purposes": [purpose.key]} | ({"gateDecision": str(answer.uuid)} if leans else {})
    clinic.runs("train", reads=["raw"], writes=[MODEL], colophon_training=said)
    settle()
    run = ModelVersion.objects.get().version.run
    conclusion = conclude(run)
    assert conclusion.without_permission == (0 if leans else 1)
    assert again().remediations.count() == (0 if leans else 1)


def test_one_person_in_three_data_sets_is_one_request_and_a_fourth_joins_it(clinic, erased):
    others = [clinic.table_named(name) for name in ("visits", "letters", "bills")]
    clinic.write_table(PEOPLE)
    for dataset in (clinic.raw, *others[:2]):
        clinic.hand_in(dataset, PEOPLE)
    stone = Tombstone.objects.get().pk
    assert reappearances.reopen(tombstone_id=stone) == again()
    assert reappearances.reopen(tombstone_id=stone) is None
    planning.plan(again().pk)
    clinic.hand_in(others[2], PEOPLE)
    assert reappearances.reopen(tombstone_id=stone) == again()
    settle()
    names = ("patients", "visits", "letters", "bills")
    assert [clinic.rows(name) for name in names] == [[BOB, EVE]] * 4
    assert sorted(again().steps.values_list("dataset__name", "outcome")) == [
        ("bills", "erased"), ("letters", "erased"), ("raw", "erased"), ("visits", "erased"),
    ]  # fmt: skip


@pytest.mark.parametrize("at_once", [True, False])
def test_a_list_that_names_the_person_while_the_data_set_is_read_is_not_lost(
    clinic, erased, monkeypatch, at_once
):
    clinic.comes_back()
    lists = list_while_reading(clinic, monkeypatch, reopen=at_once)
    settle()
    first, second = Reappearance.objects.order_by("pk")
    assert second.manifest == lists[0]
    assert None not in {first.ended_at, second.ended_at}
    made = RightsRequest.objects.filter(source="automatic").order_by("pk")
    assert [requests.standing_of(each).state for each in made] == [RequestState.COMPLETED] * 2
    steps = ErasureStep.objects.filter(request__in=made).order_by("request_id")
    assert list(steps.values_list("outcome", flat=True)) == ["erased", "not_found"]


def test_nor_is_it_lost_while_another_data_set_keeps_the_erasure_open(clinic, erased, monkeypatch):
    bare = clinic.register("bare")
    clinic.hand_in(bare, PEOPLE)
    settle()
    clinic.comes_back()
    list_while_reading(clinic, monkeypatch, reopen=False)
    settle()
    first, second = RightsRequest.objects.filter(source="automatic").order_by("pk")
    assert first.subject != second.subject
    assert [
        list(each.steps.order_by("dataset__name").values_list("dataset__name", "state", "outcome"))
        for each in (first, second)
    ] == [[("bare", "blocked", ""), ("raw", "done", "erased")], [("raw", "done", "not_found")]]
    assert (first.forgotten_at, second.forgotten_at is not None) == (None, True)
    assert Revival.objects.get().superseded
    settle_step(
        step=first.steps.get(dataset=bare),
        outcome="by_hand",
        code="gone",
        reason="gone",
        evidence="seen",
    )
    settle()
    assert not Revival.objects.exists()


def list_while_reading(clinic, monkeypatch, *, reopen: bool) -> list:
    """Have a list taken just after the first reading has begun; return it once it is there."""
    look_for, lists = reappearances.look_for, []

    def and_a_list(batch):
        look_for(batch)
        if not lists:
            lists.append(clinic.hand_in(clinic.raw, PEOPLE))
            if reopen:
                reappearances.reopen(tombstone_id=Tombstone.objects.get().pk)

    monkeypatch.setattr(reappearances, "look_for", and_a_list)
    return lists


def test_a_list_of_another_data_set_meanwhile_belongs_to_the_same_request(
    clinic, erased, monkeypatch
):
    visits = clinic.table_named("visits")
    clinic.comes_back()
    look_for = reappearances.look_for

    def and_another_place(batch):
        look_for(batch)
        monkeypatch.setattr(reappearances, "look_for", look_for)
        clinic.hand_in(visits, PEOPLE)
        reappearances.reopen(tombstone_id=Tombstone.objects.get().pk)

    monkeypatch.setattr(reappearances, "look_for", and_another_place)
    settle()
    assert clinic.rows("visits") == [BOB, EVE]
    assert again().steps.count() == 2


def test_a_blocked_step_keeps_the_reappearance_open_until_somebody_settles_it(clinic, erased):
    bare = clinic.register("bare")
    clinic.hand_in(bare, PEOPLE)
    settle()
    assert requests.standing_of(again()).outstanding[0] == "data set test bare: no_storage"
    assert Reappearance.objects.get().ended_at is None
    settle_step(
        step=again().steps.get(), outcome="by_hand", code="gone", reason="dropped", evidence="seen"
    )
    settle()
    assert requests.standing_of(again()).state is RequestState.COMPLETED
    assert Reappearance.objects.get().ended_at is not None
    assert not to_reopen().exists()


def test_where_plans_are_approved_what_joins_one_is_read_too_before_it_is_touched(clinic, erased):
    visits = clinic.table_named("visits")
    Dataset.objects.update(categories=["health"])
    reviewed()
    clinic.comes_back()
    settle()
    assert clinic.rows() == list(PEOPLE)
    approve(request=again(), digest=planned.current(again()).digest, by="staff:1")
    clinic.hand_in(visits, PEOPLE)
    reappearances.reopen(tombstone_id=Tombstone.objects.get().pk)
    settle()
    assert (clinic.rows(), clinic.rows("visits")) == ([BOB, EVE], list(PEOPLE))
    with pytest.raises(PlanChangedError):  # one of the two data sets is done since
        approve(request=again(), digest=planned.current(again()).digest, by="staff:1")
    approve(request=again(), digest=planned.current(again()).digest, by="staff:1")
    settle()
    assert clinic.rows("visits") == [BOB, EVE]
    assert again().forgotten_at is not None
    assert again().plans.count() > 1


def test_a_blocked_step_holds_up_no_other_data_set(clinic, erased):
    clinic.hand_in(clinic.register("bare"), PEOPLE)
    settle()
    clinic.comes_back()
    settle()
    assert clinic.rows() == [BOB, EVE]
    assert sorted(again().steps.values_list("dataset__name", "state")) == [
        ("bare", "blocked"), ("raw", "done"),
    ]  # fmt: skip


def test_what_lawfully_stays_is_not_taken_up_again_by_the_next_list(clinic, erased):
    clinic.comes_back()
    clinic.table.rename(clinic.table.with_suffix(".away"))
    settle()
    step = again().steps.get()
    assert step.code == "storage_missing"
    settle_step(step=step, outcome="exempt", code="a17_legal_claims", reason="a lawsuit")
    clinic.hand_in(clinic.raw, PEOPLE)
    settle()
    assert again().forgotten_at is None
    assert Reappearance.objects.filter(ended_at=None).get().request == again()


def test_a_list_that_leaves_the_person_out_again_needs_no_erasure(clinic, erased):
    clinic.comes_back()
    clinic.hand_in(clinic.raw, [ANN], mode="remove")
    settle()
    assert RightsRequest.objects.get() == erased


def test_registering_again_waits_for_the_erasure_and_works_after_it(clinic, erased):
    clinic.comes_back()
    stone = Tombstone.objects.get().pk
    for do in (lambda: None, lambda: reappearances.reopen(tombstone_id=stone)):
        do()
        with pytest.raises(subjects.PersonBeingErasedError) as refused:
            subjects.register(identifiers=[("email", ANN)], again=True)
        assert (refused.value.code, refused.value.status) == ("person_being_erased", 409)
    settle()
    made = subjects.register(identifiers=[("email", ANN)], again=True)
    assert made.created
    clinic.comes_back()
    settle()
    assert clinic.rows() == list(PEOPLE)
    assert made.subject.pk in members(clinic.raw.pk)
    assert RightsRequest.objects.count() == 2


def test_who_registered_again_before_anything_was_opened_is_not_erased(clinic, erased):
    clinic.comes_back()
    with connection.cursor() as cursor:  # as by two transactions that did not see each other
        cursor.execute(
            "INSERT INTO consent_subjectidentifier (subject_id, scheme, digest)"
            " SELECT %s, scheme, digest FROM consent_tombstone",
            [SubjectFactory().pk],
        )
    settle()
    assert RightsRequest.objects.get() == erased
    assert clinic.rows() == list(PEOPLE)


def test_only_the_erased_are_looked_for_by_a_tombstone(clinic, erased):
    living = subjects.register(identifiers=[("email", BOB)]).subject
    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        Revival.objects.create(subject=living, tombstone=Tombstone.objects.get())
    assert refused.value.__cause__.sqlstate == "23001"


def test_who_stands_for_an_erased_person_gets_neither_key_nor_identifier(clinic, erased):
    clinic.comes_back()
    request = reappearances.reopen(tombstone_id=Tombstone.objects.get().pk)
    digest = bytes(Tombstone.objects.get().digest)
    for do in (
        lambda: SubjectKey.objects.create(subject=request.subject, wrapped=bytes(60)),
        lambda: SubjectIdentifier.objects.create(
            subject=request.subject, scheme="email", digest=digest
        ),
    ):
        with (
            pytest.raises(IntegrityError, match="neither a key nor an identifier"),
            transaction.atomic(),
        ):
            do()


@pytest.mark.django_db(transaction=True)
def test_eight_workers_open_one_erasure(tmp_path):
    clinic = Clinic(tmp_path)
    clinic.erased(ANN)
    clinic.comes_back()
    stone = Tombstone.objects.get().pk
    before = Subject.objects.count()

    def reopen(_: int) -> int:
        try:
            return int(reappearances.reopen(tombstone_id=stone) is not None)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(reopen, range(8)))
    assert sorted(opened) == [0] * 7 + [1]
    assert (Revival.objects.count(), Subject.objects.count()) == (1, before + 1)
    settle()
    assert requests.standing_of(again()).state is RequestState.COMPLETED
