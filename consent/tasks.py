"""What the worker does for people; a message carries an id and may be lost or doubled."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from celery import shared_task
from django.db.models import Manager

from consent.journal import JournalDamagedError, JournalUnavailableError
from consent.models import RightsRequest
from consent.selectors import requests
from consent.services import (
    assessing,
    clock,
    copying,
    erasing,
    escalating,
    forgetting,
    lapsing,
    letters,
    looking,
    notifying,
    packages,
    planning,
    reappearances,
    remediation,
    rotating,
    scanning,
    standings,
)
from governance.errors import ColophonError
from governance.models import Dataset

logger = logging.getLogger(__name__)

COMPLAIN_SECONDS = 60.0

SECONDS_A_MESSAGE = 20.0
STEP = 50


@dataclass(slots=True)
class Complaint:
    """That nobody can be forgotten: said now and then, though it is tried for each person."""

    next_at: float = 0.0

    def say(self, error: ColophonError) -> None:
        """Put it into the log, unless it was just said."""
        if time.monotonic() >= self.next_at:
            self.next_at = time.monotonic() + COMPLAIN_SECONDS
            logger.error("nobody can be forgotten (%s): %s", error.code, error.message)


_complaint = Complaint()


def _is_there(rows: "Manager[Any]", key: int) -> bool:
    """Say whether there is what a message is about: after a restore the broker knows of more."""
    return rows.filter(pk=key).exists()


def _together(work: Callable[..., int], ids: Sequence[int]) -> int:
    """Do something for many at once; where that fails, for each alone, so that one stops nobody.

    What failed is raised at the end. A journal that cannot be written stops everybody.
    """
    try:
        return work(*ids)
    except (JournalUnavailableError, JournalDamagedError):
        raise
    except Exception:
        if len(ids) == 1:
            raise
        logger.warning("%d together failed: each is done alone", len(ids))
    done, failed = 0, list[Exception]()
    for each in ids:
        try:
            done += work(each)
        except Exception as error:  # noqa: BLE001 it is raised once the others are done
            failed.append(error)
    if failed:
        raise ExceptionGroup(f"{len(failed)} of {len(ids)} failed", failed)
    return done


@shared_task(name="consent.reopen")
def reopen(tombstone_id: int) -> bool:
    """Open the erasure of somebody whose data came back, if nothing sees to that yet."""
    return reappearances.reopen(tombstone_id=tombstone_id) is not None


@shared_task(name="consent.plan")
def plan(*request_ids: int) -> int:
    """Plan verified erasures that still need a plan."""
    return _together(planning.plan, request_ids)


# A batch may take long: what ends one whose worker has died is its leases, not a time limit.
@shared_task(name="consent.carry_out")
def carry_out(dataset_id: int) -> int:
    """Do the erasure steps of a data set that are free, until none is or the time is up.

    Some storages take one step at a time; each must not cost a message.
    """
    if not _is_there(Dataset.objects, dataset_id):
        return 0
    ends, done = time.monotonic() + SECONDS_A_MESSAGE, 0
    while time.monotonic() < ends:
        step = erasing.carry_out(dataset_id=dataset_id)
        if not step:
            break
        done += step
    return done


@shared_task(name="consent.scan")
def scan(scan_id: int) -> bool:
    """Read who is in a data set from its storage; what ends it too is its lease."""
    return scanning.carry_out(scan_id=scan_id)


@shared_task(name="consent.look")
def look(dry_run_id: int) -> bool:
    """Look at one data set for a dry run, if nobody does."""
    return looking.look(dry_run_id=dry_run_id)


@shared_task(name="consent.follow")
def follow(*request_ids: int) -> int:
    """Destroy the keys where nothing is left to erase, and look at the models again.

    Where the journal of erasures cannot be written nobody is forgotten; the sweeper sends again.
    """
    try:
        _together(forgetting.forget, request_ids)
    except (JournalUnavailableError, JournalDamagedError) as error:
        _complaint.say(error)
    return _together(remediation.observe, request_ids)


@shared_task(name="consent.prepare")
def prepare(request_id: int) -> bool:
    """Put down what to read for a copy, or make the one that a request still waits for."""
    return packages.prepare(request_id=request_id)


# A storage may be large: what ends one whose worker has died is its lease, as for a scan.
@shared_task(name="consent.read_rows")
def read_rows(reading_id: int) -> bool:
    """Read one data set for a copy, if nobody does."""
    return copying.read(reading_id=reading_id)


@shared_task(name="consent.let_go")
def let_go() -> int:
    """Empty the copies that have expired, and what nobody waits for."""
    return packages.let_go()


@shared_task(name="consent.remind")
def remind(request_id: int) -> bool:
    """Remind of a request whose time is running out, if that was not done."""
    return _is_there(RightsRequest.objects, request_id) and clock.remind(request_id=request_id)


@shared_task(name="consent.send_letter")
def send_letter(letter_id: int) -> bool:
    """Mail what somebody has to be told of a request, if it still waits."""
    return letters.send(letter_id=letter_id)


@shared_task(name="consent.assess")
def assess() -> int:
    """Assess trainings until none waits or the time is up."""
    ends, done = time.monotonic() + SECONDS_A_MESSAGE, 0
    while time.monotonic() < ends:
        step = assessing.assess_waiting(limit=STEP)
        if not step:
            break
        done += step
    return done


@shared_task(name="consent.fold")
def fold() -> int:
    """Gather what people say, until nothing waits or the time is up."""
    ends, done = time.monotonic() + SECONDS_A_MESSAGE, 0
    while time.monotonic() < ends:
        step = standings.fold()
        if not step:
            break
        done += step
    return done


@shared_task(name="consent.tell")
def tell(notice_id: int) -> bool:
    """Tell a recipient of a request, if that is due and nobody else is at it."""
    return notifying.deliver(notice_id=notice_id)


@shared_task(name="consent.watch")
def watch() -> int:
    """Tell of what is late, end what nobody answers, and look at what affected models became."""
    done = escalating.escalate(limit=STEP) + lapsing.let_lapse(limit=STEP)
    for pk in requests.passed_on().values_list("pk", flat=True)[:STEP]:
        done += remediation.observe(pk)
    return done


@shared_task(name="consent.move_up")
def move_up() -> int:
    """Move people up to the newest key, until nothing waits, another is at it or time is up."""
    ends, done, after = time.monotonic() + SECONDS_A_MESSAGE, 0, 0
    while time.monotonic() < ends:
        moved = rotating.move_up(after=after)
        if moved is None or not moved.rows:
            break
        done, after = done + moved.rows, moved.last
    return done
