"""A step whose workers die each time is given up where people see it, and begins anew on a word."""

import logging

import pytest
from django.db import connection
from django.test import Client

from consent.connectors.base import Erased
from consent.models import ErasureStep, RequestRecord
from consent.selectors import queues, requests
from consent.selectors.queues import StepQueue
from consent.selectors.requests import RequestState
from consent.services import claims, erasing
from consent.services.claims import MOST_DEATHS
from consent.services.retrying import StepNotBlockedError, retry_step
from consent.services.settling import settle_step
from tests.consent.test_approving_plans import together
from tests.consent.test_desk import colleague, step_at
from tests.factories import plans as made
from tests.factories.portal import text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def lake(tmp_path) -> made.Lake:
    return made.lake(tmp_path)


def step_of(request, name: str = "patients") -> ErasureStep:
    return request.steps.get(dataset__name=name)


def dies(step: ErasureStep, times: int = 1) -> claims.Batch | None:
    """Let workers claim a step's data set and never be heard of again; return the last's batch."""
    batch = None
    for _ in range(times):
        batch = claims.claim(dataset_id=step.dataset_id, limit=100)
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE consent_erasurestep SET lease_until = clock_timestamp() - interval '1 s'"
                " WHERE state = 'running'"
            )
    return batch


def given_up(step: ErasureStep) -> ErasureStep:
    dies(step, MOST_DEATHS)
    assert claims.claim(dataset_id=step.dataset_id, limit=100) is None
    step.refresh_from_db()
    assert (step.state, step.code) == ("blocked", "workers_lost")
    return step


def facts(step: ErasureStep) -> dict[str, object]:
    return ErasureStep.objects.filter(pk=step.pk).values().get()


def test_it_is_given_up_after_so_many_deaths_and_not_after_one_fewer(lake, caplog):
    request = made.asked()
    step, other = step_of(request), step_of(request, "features")
    untouched = facts(other)
    dies(step, MOST_DEATHS - 1)
    last = dies(step)
    assert last is not None
    before = facts(step)
    assert (before["state"], before["deaths"], before["attempt"]) == (
        "running", MOST_DEATHS - 1, MOST_DEATHS,
    )  # fmt: skip
    with caplog.at_level(logging.ERROR):
        assert claims.claim(dataset_id=step.dataset_id, limit=100) is None
    assert facts(step) == before | {
        "state": "blocked", "code": "workers_lost", "reason": claims._WORKERS_LOST,
        "deaths": MOST_DEATHS, "lease_until": None, "retry_at": None,
    }  # fmt: skip
    [told] = caplog.messages
    assert told == f"1 steps of data set {step.dataset_id} are given up: workers were lost"
    assert facts(other) == untouched
    assert step.dataset_id not in requests.datasets_to_erase_from()
    assert other.dataset_id in requests.datasets_to_erase_from()
    with pytest.raises(claims.LostClaimError):
        erasing._finish(last, Erased(1, (), {}), {})


def test_it_is_outstanding_by_name_waits_for_a_person_and_never_counts_as_done(lake):
    request = made.asked()
    step = given_up(step_of(request))
    made.worked(erasing.carry_out)
    standing = requests.standing(request.uuid)
    assert standing.state is RequestState.ERASING
    assert "data set test patients: workers_lost" in standing.outstanding
    assert step in queues.steps_in(StepQueue.PERSON)
    assert step not in queues.steps_in(StepQueue.FAILING)
    assert lake.rows() == [made.ANN, made.ANN, made.BOB]
    # Data sets that were made from it do not wait for it.
    assert (step_of(request, "features").outcome, lake.features_rows()) == ("erased", [made.BOB])
    page = text_of(Client().get(f"/requests/{request.uuid}").content)
    assert "tried again once somebody here has looked" in page
    assert "Our own programs broke off each time they worked at it." in page


def test_whoever_gives_an_answer_begins_the_count_anew(lake):
    step = step_of(made.asked())
    dies(step, MOST_DEATHS - 1)
    batch = claims.claim(dataset_id=step.dataset_id, limit=100)
    claims.put_off(batch, "storage_busy", "somebody else writes", retryable=True)
    step.refresh_from_db()
    assert (step.state, step.code, step.deaths) == ("blocked", "storage_busy", 0)
    assert step.retry_at is not None
    ErasureStep.objects.filter(pk=step.pk).update(retry_at=step.released_at)
    dies(step, MOST_DEATHS)
    step.refresh_from_db()
    assert (step.state, step.deaths) == ("running", MOST_DEATHS - 1)


def test_who_asks_later_costs_one_worker_while_nobody_has_looked(lake):
    first = given_up(step_of(made.asked()))
    later = step_of(made.asked(made.person(made.BOB)))
    assert later.dataset_id == first.dataset_id
    dies(later)
    assert claims.claim(dataset_id=later.dataset_id, limit=100) is None
    later.refresh_from_db()
    assert (later.code, later.deaths, later.attempt) == ("workers_lost", 1, 1)


def test_what_is_settled_by_hand_holds_nobody_else_s_chances_down(lake):
    first = given_up(step_of(made.asked()))
    settle_step(step=first, outcome="by_hand", code="table_dropped", reason="r", evidence="seen")
    later = step_of(made.asked(made.person(made.BOB)))
    dies(later, MOST_DEATHS)
    later.refresh_from_db()
    assert (later.state, later.deaths) == ("running", MOST_DEATHS - 1)


def test_one_word_has_everybody_tried_again_of_whom_the_data_set_was_given_up(lake):
    request, other = made.asked(), made.asked(made.person(made.BOB))
    mine, theirs = step_of(request), step_of(other)
    given_up(mine)
    theirs.refresh_from_db()
    assert theirs.code == "workers_lost"
    untouched = facts(step_of(request, "features"))

    assert retry_step(step=mine, by="staff:1") == 2
    for step in (mine, theirs):
        after = facts(step)
        assert (after["state"], after["code"], after["reason"]) == ("ready", "", "")
        assert (after["deaths"], after["attempt"]) == (0, MOST_DEATHS)
        assert step.request.records.filter(kind="erasure.retried").count() == 1
    assert facts(step_of(request, "features")) == untouched
    with pytest.raises(StepNotBlockedError):
        retry_step(step=theirs, by="staff:1")

    dies(mine, MOST_DEATHS - 1)
    made.worked(erasing.carry_out)
    assert (step_of(request).outcome, step_of(other).outcome) == ("erased", "erased")
    assert lake.rows() == []


def test_a_step_that_something_else_blocks_is_tried_again_alone(lake):
    first = given_up(step_of(made.asked()))
    other = step_of(made.asked(made.person(made.BOB)))
    batch = claims.claim(dataset_id=other.dataset_id, limit=100)
    claims.put_off(batch, "storage_busy", "somebody else writes", retryable=True)
    assert retry_step(step=other, by="staff:1") == 1
    assert facts(first)["code"] == "workers_lost"


@pytest.mark.django_db(transaction=True)
def test_two_who_press_for_two_people_at_the_same_moment_do_not_hinder_each_other(tmp_path):
    made.lake(tmp_path)
    steps = [step_of(made.asked()), step_of(made.asked(made.person(made.BOB)))]
    given_up(steps[0])
    work = [lambda step=step: retry_step(step=step, by="staff:1") for step in steps]
    assert together(*work) == ["done", "step_not_blocked"]
    assert RequestRecord.objects.filter(kind="erasure.retried").count() == 2


def test_the_desk_says_what_to_do_and_tells_how_many_go_with_it(lake):
    olga = colleague()
    step = given_up(step_of(made.asked()))
    made_too = step_of(made.asked(made.person(made.BOB)))
    dies(made_too)
    claims.claim(dataset_id=made_too.dataset_id, limit=100)
    listed = text_of(olga.get("/desk/steps?queue=person").content)
    assert "Whoever worked at the data set died each time" in listed
    page = text_of(olga.get(step_at(step)).content)
    for words in ("Blocked. Whoever worked at the data set died each time",
                  "See the workers' log and memory", "Code workers_lost",
                  f"Attempts {MOST_DEATHS}", "Next try when somebody asks for it"):  # fmt: skip
        assert words in page
    assert olga.post(step_at(step, "/retry")).status_code == 302
    page = text_of(olga.get(step_at(step)).content)
    assert "as soon as a worker is free, and with it 1 more of the data set" in page
    assert "Waits for its turn." in page
