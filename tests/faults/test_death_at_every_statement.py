"""Dying at any statement of a withdrawal or an erasure leaves all of it or nothing.

A child of the test process does the work and kills itself, as a power cut would, at the first
statement, at the second, and so on until it lives to the end.
"""

import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.db import connection, connections
from django.utils import timezone

from consent.models import (
    ConsentDecision,
    ErasureStep,
    RequestRecord,
    RightsRequest,
    StandingPending,
    Subject,
    SubjectKey,
    Tombstone,
    Unweighed,
)
from consent.rules import DecisionKind
from consent.selectors import requests
from consent.selectors.requests import RequestState
from consent.services import claims, decisions, erasing, forgetting, planning, remediation
from consent.services.requests import open_erasure
from governance.models import LedgerRecord
from governance.services.registry import register_dataset, register_storage
from tests.factories.consent import registered, take
from tests.factories.governance import PurposeFactory

ANN, BOB = "ann@example.org", "bob@example.org"
KEY = UUID(int=7, version=4)

pytestmark = pytest.mark.django_db(transaction=True)


def dies_at(number: int, work: Callable[[], Any]) -> bool:
    """Do the work in a child that dies at a statement; say whether it died before its end."""
    connections.close_all()
    child = os.fork()
    if child == 0:
        seen = 0

        def count(execute: Any, *arguments: Any) -> Any:
            nonlocal seen
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return execute(*arguments)

        with connection.execute_wrapper(count):
            work()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFEXITED(status) or os.WTERMSIG(status) == signal.SIGKILL
    assert not os.WIFEXITED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def each_death(work: Callable[[], Any]) -> Iterator[int]:
    """Yield after each death, until the work is done."""
    number = 1
    while dies_at(number, work):
        yield number
        number += 1


def test_a_withdrawal_is_whole_or_not_there(db):
    PurposeFactory(key="wide")
    purpose, ann = PurposeFactory(key="study"), registered(("email", ANN))
    decided_at = timezone.now()

    def withdraw() -> None:
        decisions.record(
            subject=ann, purpose=purpose, kind=DecisionKind.WITHDRAWN, decided_at=decided_at,
            key=KEY,
        )  # fmt: skip

    def told() -> tuple[int, ...]:
        kinds = LedgerRecord.objects.filter(kind="decision.recorded")
        counted = (ConsentDecision.objects, Unweighed.objects, StandingPending.objects, kinds)
        return tuple(each.count() for each in counted)

    deaths = 0
    for _ in each_death(withdraw):
        deaths += 1
        assert told() in {(0, 0, 0, 0), (1, 1, 1, 1)}
    assert told() == (1, 1, 1, 1)
    assert deaths > 5


@contextmanager
def shop(folder: Path) -> Iterator[Path]:
    """Yield a table in which two people are named, registered as a data set of theirs."""
    place = folder / "shop.db"
    with sqlite3.connect(place) as wire:
        wire.execute("CREATE TABLE loans (email TEXT)")
        wire.executemany("INSERT INTO loans VALUES (?)", [(ANN,), (BOB,)])
    storage = register_storage(name="shop", kind="sql", address=f"sqlite:///{place}").thing
    dataset = register_dataset(
        namespace="test", name="loans", storage=storage, location="loans",
        subject_column="email", subject_scheme="email",
    ).thing  # fmt: skip
    take(dataset, [ANN, BOB], mode="replace", scheme="email")
    yield place


def test_an_erasure_goes_on_from_every_statement_at_which_its_worker_died(
    db, tmp_path, settings, monkeypatch
):
    settings.COLOPHON_LEASE_SECONDS = 0  # the next worker takes over at once
    monkeypatch.setattr(claims, "MOST_DEATHS", 1_000)  # and is never given up
    PurposeFactory(key="study")
    ann = registered(("email", ANN))
    registered(("email", BOB))
    with shop(tmp_path) as place:

        def work() -> None:
            request = open_erasure(subject=ann, key=KEY, verified=True)
            planning.plan(request.pk)
            for dataset_id in requests.datasets_to_erase_from():
                erasing.carry_out(dataset_id=dataset_id)
            forgetting.forget(request.pk)
            remediation.observe(request.pk)

        deaths = 0
        for _ in each_death(work):
            deaths += 1
            _holds_together(ann)
        with sqlite3.connect(place) as wire:
            assert wire.execute("SELECT email FROM loans").fetchall() == [(BOB,)]
    assert deaths > 40
    request = RightsRequest.objects.get()
    assert requests.standing_of(request).state is RequestState.COMPLETED
    step = ErasureStep.objects.get()
    assert (step.outcome, step.located_rows) == ("erased", 1)
    kinds = sorted(RequestRecord.objects.values_list("kind", flat=True))
    assert kinds == [
        "erasure.planned", "erasure.step", "request.completed", "request.received",
        "subject.forgotten",
    ]  # fmt: skip


def _holds_together(ann: Subject) -> None:
    """Check that each fact is there with its leaf, and none without."""
    kinds = list(RequestRecord.objects.values_list("kind", flat=True))
    request = RightsRequest.objects.first()
    assert ("request.received" in kinds) == (request is not None)
    if request is None:
        assert kinds == []
        return
    assert ("erasure.planned" in kinds) == (request.planned_at is not None)
    assert ErasureStep.objects.exists() == (request.planned_at is not None)
    done = ErasureStep.objects.filter(state="done").count()
    assert kinds.count("erasure.step") == done
    gone = request.forgotten_at is not None
    assert ("subject.forgotten" in kinds) == gone
    assert SubjectKey.objects.filter(subject=ann).exists() != gone
    assert Tombstone.objects.count() == (1 if gone else 0)
    assert (
        len(kinds)
        == len(set(kinds))
        == LedgerRecord.objects.filter(kind__in=set(kinds))
        .exclude(kind="decision.recorded")
        .count()
    )
