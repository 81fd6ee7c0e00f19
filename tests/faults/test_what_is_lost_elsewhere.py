"""Ways in which requests for erasure were seen to be lost, each held to not happening here.

They were measured on another service for such requests (Fides, versions 2.78.2 and 2.86.2). Each
test names one; two were here already, and are not told twice:

- A worker killed with twenty erasures in flight, and another started at once: there, some were
  called failed or waited for minutes. `test_a_killed_worker_loses_nothing` kills twice with
  twenty in flight, flushing the broker as well, and all twenty end.
- A storage that is switched off, or whose file is missing: there, the request was complete in a
  third of a second with nothing erased. Here it stays open and names the data set, says
  `tests/consent/test_erasure.py`; that it ends once the storage is back, the second test below.
"""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client

from consent import tasks
from consent.models import ErasureStep, RequestRecord, RightsRequest
from consent.selectors import queues, request_lists, requests
from consent.selectors.certificates import certificate
from consent.selectors.queues import StepQueue
from consent.selectors.requests import RequestState
from consent.services import claims, erasing, forgetting, planning, remediation
from consent.services.requests import open_erasure
from consent.services.retrying import retry_step
from governance.models import Dataset, Storage
from governance.services.registry import register_dataset, register_storage
from tests.consent.connectors.postgres import PostgresStorage
from tests.factories.consent import registered, take
from tests.factories.portal import text_of

pytestmark = pytest.mark.django_db


def person(number: int) -> str:
    return f"person-{number}@example.org"


@pytest.fixture
def tables() -> Iterator[tuple[PostgresStorage, PostgresStorage]]:
    made = PostgresStorage(), PostgresStorage()
    yield made
    for each in made:
        each.close()


@pytest.fixture
def table(tables) -> PostgresStorage:
    return tables[0]


def held(table: PostgresStorage, people: int, name: str = "loans") -> Dataset:
    """Register a table whose rows name so many people."""
    place = table.holding([(person(n), "x", n) for n in range(people)])
    storage = register_storage(name=name, kind="sql", address=place.address).thing
    dataset = register_dataset(
        namespace="test", name=name, storage=storage, location=place.location,
        subject_column="person", subject_scheme="email",
    ).thing  # fmt: skip
    take(dataset, [person(n) for n in range(people)], mode="replace", scheme="email")
    return dataset


def names_in(table: PostgresStorage) -> list[str]:
    return [row[0] for row in table.run(f"SELECT person FROM {table.schema}.people ORDER BY at")]


def asked(number: int) -> RightsRequest:
    """Ask for somebody's erasure, and plan it."""
    subject = registered(("email", person(number)))
    request = open_erasure(subject=subject, key=uuid4(), verified=True)
    planning.plan(request.pk)
    request.refresh_from_db()
    return request


def worked() -> None:
    """Do what is due, as workers would whom the sweeper tells."""
    while waiting := requests.datasets_to_erase_from():
        for dataset_id in waiting:
            erasing.carry_out(dataset_id=dataset_id)
    for pk in requests.to_observe().values_list("pk", flat=True):
        forgetting.forget(pk)
        remediation.observe(pk)


def states() -> set[str]:
    return set(request_lists.with_state().values_list("state", flat=True))


def lease_runs_out() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE consent_erasurestep SET lease_until = clock_timestamp() - interval '1 s'"
            " WHERE state = 'running'"
        )


def steps(*fields: str) -> list[tuple[object, ...]]:
    """Return what is on record of the steps, each combination once."""
    return sorted(set(ErasureStep.objects.values_list(*fields)), key=str)


def test_a_burst_that_waits_for_its_turn_is_neither_called_stuck_nor_lost(table):
    """There, of 200 requests at once 54 were called stuck while they waited, and left undone."""
    loans = held(table, 101)
    for number in range(100):
        asked(number)
    slow = claims.claim(dataset_id=loans.pk, limit=20)
    # However often somebody looks while one worker takes its time, who waits just waits.
    for _ in range(3):
        assert erasing.carry_out(dataset_id=loans.pk) == 0
        tasks.watch()
        assert steps("state", "code", "attempt", "deaths") == [
            ("ready", "", 0, 0), ("running", "", 1, 0),
        ]  # fmt: skip
    waiting = queues.steps_in(StepQueue.READY).count()
    assert (waiting, queues.steps_in(StepQueue.PERSON).count()) == (80, 0)
    assert states() == {RequestState.ERASING}

    assert slow is not None
    lease_runs_out()
    assert erasing.carry_out(dataset_id=loans.pk) == 100
    assert steps("outcome", "located_rows", "attempt", "deaths") == [
        ("erased", 1, 1, 0), ("erased", 1, 2, 1),
    ]  # fmt: skip
    assert names_in(table) == [person(100)]
    assert states() == {RequestState.VERIFYING}  # the keys go next, one person at a time


def test_trying_everything_again_that_waits_goes_on_where_it_stood_and_ends(tables):
    """There, a bulk retry found its first part done, sent nothing, and was called stuck again."""
    people = 12
    for table, name in zip(tables, ("loans", "cards"), strict=True):
        held(table, people, name)
    Storage.objects.filter(name="cards").update(enabled=False)
    for number in range(people):
        asked(number)
    worked()
    first = [("cards", "blocked", "storage_disabled", 1), ("loans", "done", "", 1)]
    assert steps("dataset__name", "state", "code", "attempt") == first

    def all_again() -> int:
        waiting = list(queues.steps_in(StepQueue.PERSON))
        for step in waiting:
            retry_step(step=step, by="staff:1")
        worked()
        return len(waiting)

    # Too early: it is tried, says the same, and can be tried again; what is done stays done.
    assert [all_again(), all_again()] == [people, people]
    assert steps("dataset__name", "state", "code", "attempt") == [
        ("cards", "blocked", "storage_disabled", 3), ("loans", "done", "", 1),
    ]  # fmt: skip
    Storage.objects.filter(name="cards").update(enabled=True)
    assert all_again() == people
    assert steps("dataset__name", "outcome", "located_rows") == [
        ("cards", "erased", 1), ("loans", "erased", 1),
    ]  # fmt: skip
    assert (names_in(tables[0]), names_in(tables[1])) == ([], [])
    assert states() == {RequestState.COMPLETED}
    assert RequestRecord.objects.filter(kind="erasure.step").count() == 2 * people
    assert all_again() == 0


def test_a_storage_that_may_only_be_read_is_named_and_done_once_it_may_be_written(table):
    """There, the request hung: one part had failed and the others waited for it, unseen."""
    held(table, 2)
    with table.role("SELECT") as address:
        register_storage(name="loans", kind="sql", address=address)
        request = asked(0)
        worked()
        step = request.steps.get()
        assert (step.state, step.code, step.located_rows) == ("blocked", "storage_read_only", 1)
        assert requests.standing_of(request).state is RequestState.ERASING
        assert requests.standing_of(request).outstanding == [
            "data set test loans: storage_read_only", "the person's keys: not yet destroyed",
        ]  # fmt: skip
        assert list(queues.steps_in(StepQueue.PERSON)) == [step]
        assert names_in(table) == [person(0), person(1)]

        table.run(f"GRANT DELETE ON {table.schema}.people TO r_{table.schema}")
        retry_step(step=step, by="staff:1")
        worked()
    assert steps("outcome", "located_rows") == [("erased", 1)]
    assert states() == {RequestState.COMPLETED}
    assert names_in(table) == [person(1)]


def test_an_erasure_that_found_nothing_is_told_apart_from_one_that_did(table):
    """There, a stranger's request was complete, and looked like everybody else's."""
    held(table, 2)
    table.run(f"DELETE FROM {table.schema}.people WHERE person = '{person(1)}'")
    found, listed, stranger = asked(0), asked(1), asked(2)
    worked()
    assert states() == {RequestState.COMPLETED}

    def shown(request: RightsRequest) -> list[tuple[str, int]]:
        told = certificate(requests.standing(request.uuid))
        return [(each["outcome"], each["rows"]) for each in told["datasets"]]

    assert shown(found) == [("erased", 1)]
    assert shown(listed) == [("not_found", 0)]
    assert shown(stranger) == []
    sentences = {
        found: "Erased. The place was read again, and nothing of you is left.",
        listed: "We looked, and there was nothing of you here.",
        stranger: "No data set is concerned.",
    }
    for request, sentence in sentences.items():
        page = text_of(Client().get(f"/requests/{request.uuid}").content)
        assert [each in page for each in sentences.values()] == [
            each == sentence for each in sentences.values()
        ]
