"""Many erasures are planned, forgotten and followed together, and each as if it were alone."""

import threading
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from consent import tasks
from consent.models import ErasurePlan, RightsRequest, Subject, SubjectKey, Tombstone
from consent.selectors import plans, requests, uses
from consent.selectors.journal import directory, reckoning
from consent.services import forgetting, merging, planning, remediation, together
from consent.services.requests import open_erasure
from deploy import sweeper
from governance.services.registry import register_dataset
from tests.factories import plans as made
from tests.factories.consent import registered, take

pytestmark = pytest.mark.django_db

READERS = [f"reader-{n}@example.org" for n in range(6)]


@pytest.fixture
def lake(tmp_path) -> made.Lake:
    """The lake, with people in one data set, in two, in none, and one who is two rows."""
    found = made.lake(tmp_path)
    take(found.patients, READERS[:4], mode="add", scheme="email")
    take(found.features, READERS[2:5], mode="add", scheme="email")
    apart = register_dataset(namespace="test", name="zz-apart").thing
    take(apart, READERS[3:5], mode="add", scheme="email")
    return found


def asked(*people: Subject) -> list[RightsRequest]:
    return [open_erasure(subject=each, key=uuid4(), verified=True) for each in people]


def nowhere(count: int) -> list[RightsRequest]:
    """Return planned requests of people who are in no data set: nothing is left to erase."""
    found = asked(*(registered() for _ in range(count)))
    assert planning.plan(*keys(found)) == count
    return found


def keys(found: list[RightsRequest]) -> list[int]:
    return [each.pk for each in found]


def states(found: list[RightsRequest]) -> list[str]:
    rows = RightsRequest.objects.in_bulk(keys(found))
    return [str(requests.standing_of(rows[each.pk]).state) for each in found]


def test_each_plan_is_the_one_that_would_have_been_made_alone(lake):
    everybody = [made.person(each) for each in (made.ANN, made.BOB, *READERS)]
    merging.merge(subject=everybody[2], other=everybody[-1], key=uuid4(), reason="she says so")
    at = timezone.now()
    alone = [plans.drawn(each, at=at).content() for each in everybody]
    assert [each.content() for each in plans.drawn_of(everybody, at=at)] == alone
    assert len({plans.digest_of(each) for each in alone}) == 5
    models = [[use.model_version for use in each.models] for each in uses.traced_of(everybody)]
    assert models == [[use.model_version for use in uses.models_of(each)] for each in everybody]
    assert sum(map(len, models)) == 8


def test_who_is_in_the_same_data_sets_costs_no_further_question():
    shared = register_dataset(namespace="test", name="shared").thing
    names = [str(uuid4()) for _ in range(14)]
    take(shared, names)
    found = asked(*(registered(("opaque", each)) for each in names))
    costs = []
    for some in (found[:2], found[2:]):
        with CaptureQueriesContext(
            connection,
        ) as asking:
            assert tasks.plan(*keys(some)) == len(some)
            assert tasks.follow(*keys(some)) == 0
        costs.append(len(asking))
    assert costs[0] == costs[1]
    assert ErasurePlan.objects.count() == len(found)


def test_people_are_forgotten_together_each_with_a_line_of_the_journal():
    found = nowhere(3)
    assert forgetting.forget(*keys(found)) == 3
    assert not SubjectKey.objects.exists()
    assert Tombstone.objects.count() == 3
    assert (reckoning().lines, reckoning().missing) == (3, [])
    told = (directory() / "erasures.journal").read_text().splitlines()
    assert [str(each.uuid) in line for each, line in zip(found, told, strict=True)] == [True] * 3
    assert remediation.observe(*keys(found)) == 0
    assert states(found) == ["completed"] * 3
    assert (forgetting.forget(*keys(found)), planning.plan(*keys(found))) == (0, 0)
    assert reckoning().lines == 3


def test_a_person_with_two_requests_has_one_line():
    person = registered()
    found = asked(person)
    merged = registered()
    merging.merge(subject=person, other=merged, key=uuid4(), reason="she says so")
    found += [
        RightsRequest.objects.create(
            subject=merged, kind="erasure", source="automatic", law=found[0].law,
            received_at=found[0].received_at, verified_at=found[0].received_at,
            due_at=found[0].due_at, idempotency_key=uuid4(),
        )
    ]  # fmt: skip
    assert planning.plan(*keys(found)) == 2
    assert forgetting.forget(*keys(found)) == 2
    assert (reckoning().lines, reckoning().missing) == (1, [])
    assert Tombstone.objects.count() == 2


def test_where_one_cannot_be_done_the_others_are(monkeypatch):
    found, drawn = asked(*(registered() for _ in range(3))), plans.drawn_of

    def failing(people, **said):
        if found[1].subject in people:
            raise ZeroDivisionError
        return drawn(people, **said)

    monkeypatch.setattr(plans, "drawn_of", failing)
    with pytest.raises(ExceptionGroup, match="1 of 3") as failed:
        tasks.plan(*keys(found))
    assert [type(each) for each in failed.value.exceptions] == [ZeroDivisionError]
    assert states(found) == ["verifying", "verified", "verifying"]
    monkeypatch.undo()
    assert tasks.plan(*keys(found)) == 1


def test_where_the_journal_cannot_be_written_all_wait_and_are_looked_at(journal_directory):
    found = nowhere(2)
    journal_directory.rmdir()
    assert tasks.follow(*keys(found)) == 0
    assert Subject.objects.filter(erased_at=None).count() == 2
    assert not RightsRequest.objects.filter(observed_at=None).exists()
    journal_directory.mkdir()
    tasks.follow(*keys(found))
    assert states(found) == ["completed"] * 2


def test_what_does_not_fit_into_the_time_is_left_to_the_next_call(monkeypatch):
    monkeypatch.setattr(together, "SECONDS", 0.0)
    found = asked(*(registered() for _ in range(3)))
    assert [planning.plan(*keys(found)) for _ in range(4)] == [1, 1, 1, 0]
    assert forgetting.forget(*keys(found)) == 3
    for left in (2, 1, 0):
        remediation.observe(*(each.pk for each in requests.to_observe()))
        assert requests.to_observe().count() == left


@pytest.mark.django_db(transaction=True)
def test_a_request_at_which_somebody_is_now_holds_nobody_up():
    found = asked(registered(), registered())
    holds, done = threading.Event(), threading.Event()

    def decide():
        with planning.transaction.atomic():
            RightsRequest.objects.select_for_update().get(pk=found[0].pk)
            holds.set()
            assert done.wait(20)
        connection.close()

    somebody = threading.Thread(target=decide)
    somebody.start()
    assert holds.wait(20)
    assert planning.plan(*keys(found)) == 1
    done.set()
    somebody.join()
    assert states(found) == ["verified", "verifying"]
    assert planning.plan(*keys(found)) == 1


def test_the_sweeper_tells_of_many_requests_in_a_message_and_of_each_once(monkeypatch):
    told: list[tuple[int, ...]] = []
    found = asked(*(registered() for _ in range(5)))
    monkeypatch.setattr(sweeper, "TOGETHER", 2)
    monkeypatch.setattr(
        sweeper.application, "send_task",
        lambda name, args, **_: told.append(args) if name == tasks.plan.name else None,
    )  # fmt: skip
    sweeping = sweeper.Sweeper()
    sweeping.sweep()
    due = keys(list(requests.to_plan()))
    assert sorted(due) == sorted(keys(found))
    assert told == [tuple(due[:2]), tuple(due[2:4]), tuple(due[4:])]
    late = asked(registered())
    sweeping.sweep()
    assert told[3:] == [(late[0].pk,)]
