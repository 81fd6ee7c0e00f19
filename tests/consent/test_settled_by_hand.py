"""A step settled on a person's word: what the word does, what it cannot do, and how it is shown."""

import threading
from uuid import uuid4

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test import Client

from consent.models import (
    ErasureStep,
    Reappearance,
    RequestRecord,
    RightsRequest,
)
from consent.selectors import requests, tracing, uses
from consent.selectors.certificates import certificate
from consent.selectors.membership import members
from consent.selectors.requests import RequestState
from consent.services import claims, scanning, subjects
from consent.services.merging import merge
from consent.services.requests import open_erasure
from consent.services.settling import (
    BY_WORD,
    EvidenceMissingError,
    PersonIsThereError,
    StepSettledError,
    settle_step,
)
from governance.models import Dataset
from lineage.models import DatasetVersion, ModelVersion
from lineage.selectors.versions import current
from tests.factories.clinic import ANN, BOB, EVE, MODEL, PEOPLE, Clinic, settle
from tests.factories.desk import colleague, read
from tests.factories.portal import text_of

pytestmark = pytest.mark.django_db

SAID = {"code": "shredded", "reason": "it was on paper", "evidence": "seen by two"}


@pytest.fixture
def clinic(db, tmp_path) -> Clinic:
    return Clinic(tmp_path)


@pytest.fixture
def paper(clinic) -> Dataset:
    """A data set that no connector reaches, whose list names everybody; a model was made of it."""
    made = clinic.register("paper")
    clinic.hand_in(made, PEOPLE, mode="replace")
    trains(clinic)
    return made


def trains(clinic) -> None:
    clinic.runs("train", reads=["paper"], writes=[MODEL])


def asked() -> RightsRequest:
    """Let Ann ask to be erased, and do what workers can."""
    ann = subjects.register(identifiers=[("email", ANN)]).subject
    request = open_erasure(subject=ann, key=uuid4(), verified=True)
    settle()
    return request


def step_of(request: RightsRequest, name: str = "paper") -> ErasureStep:
    return request.steps.get(dataset__name=name)


def members_of_paper() -> list[int]:
    return list(members(Dataset.objects.get(name="paper").pk))


def models_that_use(request: RightsRequest) -> list[int]:
    return sorted(use.model_version.pk for use in uses.models_of(request.subject))


def state_of(step: ErasureStep) -> tuple:
    step.refresh_from_db()
    return step.state, step.outcome, step.version_id, step.evidence


def versions() -> int:
    return DatasetVersion.objects.count()


def test_who_says_it_was_erased_by_hand_lets_a_later_training_make_the_model_good(clinic, paper):
    request = asked()
    step, before = step_of(request), current(paper.pk)
    assert (step.state, step.code) == ("blocked", "no_storage")
    assert request.subject_id in members_of_paper()
    settle_step(step=step, outcome="by_hand", by="staff:1", **SAID)
    now = current(paper.pk)
    assert state_of(step) == ("done", "by_hand", now.pk, {"said": "seen by two"})
    assert (now.kind, now != before) == ("erased", True)
    assert (step.others, step.batch_id, step.read_back) == ([], None, False)
    assert request.subject_id not in members_of_paper()
    assert len(members_of_paper()) == 2
    assert request.subject_id in members(paper.pk, before), "what was stays so"
    assert request.subject_id in tracing.people_in([before.pk]).people
    assert request.subject_id not in tracing.people_in([now.pk]).people
    settle()
    [first] = ModelVersion.objects.all()
    assert models_that_use(request) == [first.pk]
    assert requests.standing(request.uuid).state is RequestState.VERIFYING
    trains(clinic)
    later = ModelVersion.objects.latest("pk")
    assert models_that_use(request) == [first.pk]
    settle()
    [closed] = request.remediations.all()
    assert (closed.outcome, closed.closed_by) == ("retrained", later)
    assert requests.standing(request.uuid).state is RequestState.COMPLETED


def test_what_is_kept_by_law_is_still_there_and_is_used_by_what_is_trained_later(clinic, paper):
    request = asked()
    step, made = step_of(request), versions()
    settle_step(step=step, outcome="exempt", code="a17_legal_claims", reason="a lawsuit")
    assert state_of(step) == ("done", "exempt", None, {})
    assert request.subject_id in members_of_paper()
    trains(clinic)
    assert models_that_use(request) == sorted(ModelVersion.objects.values_list("pk", flat=True))
    assert DatasetVersion.objects.filter(dataset=paper, kind="erased").count() == 0
    assert versions() == made + 1, "that of the training's model"


@pytest.mark.parametrize("outcome", ["by_hand", "not_found"])
def test_a_word_that_shows_nothing_is_none(paper, outcome):
    request = asked()
    step, made = step_of(request), versions()
    with pytest.raises(EvidenceMissingError):
        settle_step(step=step, outcome=outcome, **SAID | {"evidence": "  "})
    assert state_of(step) == ("blocked", "", None, {})
    assert versions() == made
    settle_step(
        step=step, outcome="by_hand", **SAID | {"evidence": "", "document_sha256": "A" * 64}
    )
    assert state_of(step)[3] == {"document_sha256": "a" * 64}


def test_nobody_can_say_that_it_was_read_back(paper):
    assert set(BY_WORD) == set(ErasureStep.Outcome) - {ErasureStep.Outcome.ERASED}
    with pytest.raises(ValueError, match="erased"):
        settle_step(step=step_of(asked()), outcome="erased", **SAID)


def test_against_a_list_that_names_the_person_a_word_is_not_enough_and_another_list_is(
    clinic, paper
):
    request = asked()
    step, made = step_of(request), versions()
    with pytest.raises(PersonIsThereError, match="a list says"):
        settle_step(step=step, outcome="not_found", **SAID)
    assert state_of(step) == ("blocked", "", None, {})
    assert (request.subject_id in members_of_paper(), versions()) == (True, made)
    assert not RequestRecord.objects.filter(kind="erasure.settled").exists()
    clinic.hand_in(paper, [BOB, EVE], mode="replace")
    settle_step(step=step, outcome="not_found", **SAID)
    now = current(paper.pk)
    assert state_of(step) == ("done", "not_found", now.pk, {"said": "seen by two"})
    assert (now.kind, step.read_back) == ("erased", False)


def test_nor_is_it_where_rows_of_the_person_were_found(clinic):
    clinic.runs("copy", reads=["raw"], writes=["copy"])
    request = asked()
    step = step_of(request, "copy")
    ErasureStep.objects.filter(pk=step.pk).update(located_rows=2)
    with pytest.raises(PersonIsThereError, match="rows of the person"):
        settle_step(step=step, outcome="not_found", **SAID)
    assert state_of(step) == ("blocked", "", None, {})
    ErasureStep.objects.filter(pk=step.pk).update(located_rows=0)
    settle_step(step=step, outcome="not_found", **SAID)
    assert state_of(step)[1] == "not_found"


def test_a_word_counts_for_all_rows_of_a_person(clinic, paper):
    ann = subjects.register(identifiers=[("email", ANN)]).subject
    bob = subjects.register(identifiers=[("email", BOB)]).subject
    merge(subject=ann, other=bob, key=uuid4(), reason="one person")
    request = asked()
    settle_step(step=step_of(request), outcome="by_hand", **SAID)
    assert step_of(request).others == [bob.pk]
    assert not {ann.pk, bob.pk} & set(members_of_paper())
    assert len(members_of_paper()) == 1
    before = models_that_use(request)
    trains(clinic)
    assert models_that_use(request) == before


def test_what_a_worker_claims_meanwhile_is_not_settled(paper):
    request = asked()
    step, made = step_of(request), versions()
    ErasureStep.objects.filter(pk=step.pk).update(retry_at=Now())
    assert claims.claim(dataset_id=paper.pk, limit=1) is not None
    with pytest.raises(StepSettledError):
        settle_step(step=step, outcome="by_hand", **SAID)
    assert state_of(step) == ("running", "", None, {})
    assert (versions(), request.subject_id in members_of_paper()) == (made, True)


@pytest.mark.django_db(transaction=True)
def test_of_two_who_settle_a_step_at_the_same_moment_one_does(tmp_path):
    clinic = Clinic(tmp_path)
    made = clinic.register("paper")
    clinic.hand_in(made, PEOPLE, mode="replace")
    request = asked()
    step, ready, ended = step_of(request), threading.Barrier(2), []

    def press(outcome: str) -> None:
        ready.wait()
        try:
            settle_step(step=step, outcome=outcome, **SAID)
            ended.append(outcome)
        except StepSettledError as error:
            ended.append(error.code)
        finally:
            connection.close()

    pressing = [threading.Thread(target=press, args=[each]) for each in ("by_hand", "exempt")]
    for each in pressing:
        each.start()
    for each in pressing:
        each.join()
    step.refresh_from_db()
    assert sorted(ended) == sorted(["step_not_open", step.outcome])
    by_hand = step.outcome == "by_hand"
    assert DatasetVersion.objects.filter(dataset=made, kind="erased").count() == by_hand
    assert (request.subject_id in members(made.pk)) == (not by_hand)
    assert RequestRecord.objects.filter(kind="erasure.settled").count() == 1


def listed(clinic, where) -> None:
    clinic.hand_in(where, PEOPLE)


def scanned(clinic, where) -> None:
    clinic.write_table(PEOPLE, "paper")
    Dataset.objects.filter(pk=where.pk).update(storage=clinic.raw.storage, location="paper")
    asked_for = scanning.ask(dataset=Dataset.objects.get(pk=where.pk)).scan
    assert scanning.carry_out(scan_id=asked_for.pk)


@pytest.mark.parametrize("comes_back", [listed, scanned])
def test_who_comes_back_where_a_word_was_given_is_erased_again(clinic, paper, comes_back):
    request = clinic.erased(ANN, by_hand=["paper"])[1]
    assert Reappearance.objects.count() == 0
    comes_back(clinic, paper)
    settle()
    again = RightsRequest.objects.get(source="automatic")
    step = again.steps.get()
    assert step.dataset == paper
    if comes_back is scanned:
        assert (step.outcome, step.read_back) == ("erased", True)
        assert clinic.rows("paper") == [BOB, EVE]
    else:
        assert (step.code, again.subject_id in members_of_paper()) == ("no_storage", True)
        trains(clinic)
        later = ModelVersion.objects.latest("pk")
        assert later.pk in models_that_use(again)
        settle_step(step=step, outcome="by_hand", **SAID)
    assert len(members_of_paper()) == 2
    assert Reappearance.objects.get().ended_at is not None
    settle()
    again.refresh_from_db()
    assert (again.forgotten_at is not None, again.subject != request.subject) == (True, True)


def test_a_list_after_the_word_is_another_matter_and_one_that_takes_it_back_is_heard(clinic, paper):
    clinic.erased(ANN, by_hand=["paper"])
    clinic.hand_in(paper, PEOPLE)
    settle()
    again = RightsRequest.objects.get(source="automatic")
    with pytest.raises(PersonIsThereError):
        settle_step(step=again.steps.get(), outcome="not_found", **SAID)
    clinic.hand_in(paper, [ANN], mode="remove")
    settle_step(step=again.steps.get(), outcome="not_found", **SAID)
    assert len(members_of_paper()) == 2
    clinic.hand_in(paper, PEOPLE)
    settle()
    assert RightsRequest.objects.filter(source="automatic").count() == 2
    assert Reappearance.objects.filter(ended_at=None).get().request_id != again.pk


def test_everywhere_it_is_shown_as_a_word_and_not_as_read_back(clinic, paper):
    clinic.runs("copy", reads=["raw"], writes=["copy"])
    request = asked()
    settle_step(step=step_of(request), outcome="by_hand", **SAID)
    settle_step(step=step_of(request, "copy"), outcome="not_found", **SAID)
    settle()
    shown = certificate(requests.standing(request.uuid))
    assert sorted((e["name"], e["outcome"], e["read_back"]) for e in shown["datasets"]) == [
        ("copy", "not_found", False), ("features", "erased", True), ("paper", "by_hand", False),
        ("raw", "erased", True),
    ]  # fmt: skip
    assert "seen by two" not in str(shown)
    by_hand = "put that on record. It rests on their word: the place was not read again."
    looked = "A person looked, and put on record that there was nothing of you here."
    for path in ("", "/certificate"):
        page = text_of(Client().get(f"/requests/{request.uuid}{path}").content)
        assert (by_hand in page, looked in page) == (True, True)
    page = text_of(Client().get(f"/requests/{request.uuid}").content)
    assert "4 of 4 data sets. For 2 of them a person says so, and it was not read again." in page
    olga = colleague()
    plan = read(olga, f"/desk/requests/{request.uuid}")
    for name, words in (("paper", "Erased by hand"), ("copy", "Looked for by hand and not there")):
        said = f"{words}, on a person's word; not read back"
        assert said in plan
        step = step_of(request, name)
        assert f"{said}." in read(olga, f"/desk/requests/{request.uuid}/steps/{step.uuid}")
    assert "Erased, and read back" in plan
