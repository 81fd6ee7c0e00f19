"""Producers that commit and roll back, and sequencers that compete, on real connections."""

import threading

import pytest
from django.db import connection, transaction

from governance.models import LedgerEntry, LedgerQueued, LedgerRecord
from governance.selectors.ledger_check import verify
from governance.services import ledger

pytestmark = pytest.mark.django_db(transaction=True)

PRODUCERS = 4
EACH = 60


class RolledBackError(Exception):
    pass


def in_threads(*works):
    """Run works at once, each on a connection of its own; raise what any of them raised."""
    failures = []

    def guarded(work):
        try:
            work()
        except Exception as error:  # noqa: BLE001 - it is raised again below
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=guarded, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if failures:
        raise failures[0]


def test_committed_leaves_are_numbered_once_without_gaps_and_others_never():
    committed, producing = [], threading.Event()
    remaining = threading.Semaphore(0)

    def produce():
        for n in range(EACH):
            try:
                with transaction.atomic():
                    name = ledger.append(kind="a.b", facts={"n": n})
                    if n % 10 == 3:
                        raise RolledBackError
            except RolledBackError:
                continue
            committed.append(name)
        remaining.release()

    def sequence():
        while not producing.is_set() or LedgerQueued.objects.exists():
            ledger.sequence(limit=17)

    def watch():
        for _ in range(PRODUCERS):
            remaining.acquire()
        producing.set()

    in_threads(*[produce] * PRODUCERS, sequence, sequence, watch)

    entries = LedgerEntry.objects.order_by("index").values_list("index", "record__uuid")
    assert [index for index, _ in entries] == list(range(PRODUCERS * EACH * 9 // 10))
    assert sorted(name for _, name in entries) == sorted(committed)
    assert LedgerRecord.objects.count() == len(committed)
    assert verify().ok


def test_a_leaf_that_commits_after_a_later_one_is_numbered_next():
    appended, release = threading.Event(), threading.Event()
    slow, fast = [], []

    def slow_producer():
        with transaction.atomic():
            slow.append(ledger.append(kind="a.slow", facts={}))
            appended.set()
            release.wait(30)

    def fast_producer():
        appended.wait(30)
        with transaction.atomic():
            fast.append(ledger.append(kind="a.fast", facts={}))
        assert ledger.sequence() == 1
        release.set()

    in_threads(slow_producer, fast_producer)
    assert ledger.sequence() == 1
    entries = LedgerEntry.objects.order_by("index").values_list("record__uuid", flat=True)
    assert list(entries) == fast + slow


def test_while_one_process_sequences_another_does_nothing():
    with transaction.atomic():
        ledger.append(kind="a.b", facts={})
    answers = []
    with transaction.atomic():
        assert ledger.sequence() == 1
        in_threads(lambda: answers.append(ledger.sequence()))
    assert answers == [0]


def test_a_sequencer_that_dies_midway_leaves_everything_as_it_was():
    with transaction.atomic():
        ledger.append_many([ledger.Happening(kind="a.b", facts={"n": n}) for n in range(3)])

    def die_midway():
        with transaction.atomic():
            assert ledger.sequence() == 3
            raise RolledBackError

    with pytest.raises(RolledBackError):
        die_midway()
    assert (LedgerQueued.objects.count(), LedgerEntry.objects.count()) == (3, 0)
    assert ledger.sequence() == 3
