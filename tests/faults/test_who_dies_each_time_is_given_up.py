"""What kills every process that reads it costs a few of them, then waits for a person."""

import os
import signal
import sqlite3
import time
from pathlib import Path
from uuid import uuid4

import pytest
import redis

from consent.models import ErasureStep
from consent.selectors import requests
from consent.services import erasing, planning
from consent.services.claims import MOST_DEATHS
from consent.services.requests import open_erasure
from consent.services.retrying import retry_step
from deploy.sweeper import Sweeper
from governance.models import Dataset
from governance.services.registry import register_dataset, register_storage
from tests.factories.consent import parquet_of, registered, take
from tests.factories.processes import killed
from tests.faults.test_a_killed_worker_loses_nothing import wait_for

ANN, BOB = "ann@example.org", "bob@example.org"
WHOLE = parquet_of(email=[ANN, BOB], note=["x", "y"])
# The schema says how often a note may be there, by a number that means nothing: identifiers can
# be read, and whoever would write the file anew is ended by the library.
FATAL = WHOLE.replace(b"\x25\x02\x18\x04note", b"\x25\x7e\x18\x04note")

pytestmark = pytest.mark.django_db(transaction=True)


def held(folder: Path) -> tuple[Dataset, Dataset]:
    """Register a file and a table in which Ann and Bob are."""
    with sqlite3.connect(folder / "cards.db") as wire:
        wire.execute("CREATE TABLE cards (email TEXT)")
        wire.executemany("INSERT INTO cards VALUES (?)", [(ANN,), (BOB,)])
    lake = register_storage(name="lake", kind="files", address=str(folder)).thing
    table = register_storage(name="sql", kind="sql", address=f"sqlite:///{folder}/cards.db").thing
    of = {"namespace": "test", "subject_column": "email", "subject_scheme": "email"}
    loans = register_dataset(name="loans", storage=lake, location="loans.parquet", **of).thing
    cards = register_dataset(name="cards", storage=table, location="cards", **of).thing
    for each in (loans, cards):
        take(each, [ANN, BOB], mode="replace", scheme="email")
    return loans, cards


def leaves(person: str) -> list[ErasureStep]:
    """Open and plan the erasure; return the steps on the file and on the table."""
    request = open_erasure(subject=registered(("email", person)), key=uuid4(), verified=True)
    planning.plan(request.pk)
    return [request.steps.get(dataset__name=name) for name in ("loans", "cards")]


def now(*steps: ErasureStep) -> list[tuple[str, str, str]]:
    found = {each.pk: each for each in ErasureStep.objects.all()}
    return [(found[s.pk].state, found[s.pk].code, found[s.pk].outcome) for s in steps]


def test_a_file_that_aborts_its_reader_is_given_up_while_the_rest_is_done(staff, tmp_path):
    assert FATAL != WHOLE
    held(tmp_path)
    file = tmp_path / "loans.parquet"
    file.write_bytes(FATAL)
    poisoned, fine = leaves(ANN)
    # It has cost a few workers before, so that these need not be waited for.
    ErasureStep.objects.filter(pk=poisoned.pk).update(deaths=MOST_DEATHS - 2, attempt=9)
    redis.from_url(os.environ["REDIS_URL"]).flushall()  # what another test's worker left there
    staff.environment["COLOPHON_LEASE_SECONDS"] = "1"
    staff.start("worker")
    sweeper = Sweeper(sign_at=time.monotonic() + 3600)

    def swept_until(state: str, *of: ErasureStep) -> None:
        def settled() -> bool:
            sweeper.quiet_until.clear()  # its patience between two words is not what is tried here
            sweeper.sweep()
            time.sleep(0.2)
            return all(found[0] == state for found in now(*of))

        wait_for(settled, lambda: f"{now(*of)} {staff.log.read_text()[-2000:]}")

    swept_until("blocked", poisoned)
    poisoned.refresh_from_db()
    assert (poisoned.code, poisoned.deaths, poisoned.attempt) == ("workers_lost", MOST_DEATHS, 11)
    assert "signal 6 (SIGABRT)" in staff.log.read_text()
    swept_until("done", fine)
    # Who asks now is told the same at the cost of one worker; everybody's other data goes.
    later, theirs = leaves(BOB)
    swept_until("done", theirs)
    swept_until("blocked", later)
    later.refresh_from_db()
    assert (later.code, later.attempt) == ("workers_lost", 1)
    assert poisoned.dataset_id not in requests.datasets_to_erase_from()
    assert file.read_bytes() == FATAL

    file.write_bytes(WHOLE)
    assert retry_step(step=poisoned, by="staff:1") == 2
    swept_until("done", poisoned, later)
    assert now(poisoned, later, fine, theirs) == [("done", "", "erased")] * 4
    assert not list(tmp_path.glob(".colophon-*"))


def test_a_connector_that_kills_its_process_is_given_up_and_its_table_left(
    tmp_path, settings, monkeypatch
):
    settings.COLOPHON_LEASE_SECONDS = 0
    loans, _ = held(tmp_path)
    (tmp_path / "loans.parquet").write_bytes(WHOLE)
    poisoned, fine = leaves(ANN)
    chosen = erasing.connector_for

    def connector_for(kind: str):
        if kind == "files":
            os.kill(os.getpid(), signal.SIGKILL)
        return chosen(kind)

    deaths = 0
    with monkeypatch.context() as patched:
        patched.setattr(erasing, "connector_for", connector_for)
        for _ in range(MOST_DEATHS + 3):
            for dataset_id in requests.datasets_to_erase_from():
                deaths += killed(lambda pk=dataset_id: erasing.carry_out(dataset_id=pk))
    assert deaths == MOST_DEATHS
    assert now(poisoned, fine) == [("blocked", "workers_lost", ""), ("done", "", "erased")]
    assert requests.datasets_to_erase_from() == []

    retry_step(step=poisoned, by="staff:1")
    assert erasing.carry_out(dataset_id=loans.pk) == 1
    assert now(poisoned) == [("done", "", "erased")]
