"""The sweeper: it finds the rows that still need work and tells the workers of them.

It needs PostgreSQL alone. A message is only "sooner": when none can be sent for a while, the
sweeper does the work itself, a step at a time. What is due is decided by the rows and the
database's clock; what it has told of lately it merely remembers, and forgetting is harmless.
"""

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from celery import Task
from django.db.models import QuerySet
from django.utils import timezone
from kombu.exceptions import OperationalError as BrokerError
from redis.exceptions import RedisError

from consent import tasks as consent_tasks
from consent.selectors import access, copies, identifier_keys, planned, recipients, requests, scans
from consent.selectors.letters import to_send
from consent.selectors.membership import to_reopen
from consent.selectors.request_lists import to_remind
from consent.selectors.standings import to_fold
from deploy.celery import application
from governance import tasks as governance_tasks
from governance.errors import ColophonError
from governance.selectors import webhooks
from governance.services import checkpoints, ledger
from lineage import tasks as lineage_tasks
from lineage.selectors.inbox import work_waits

logger = logging.getLogger(__name__)

# How long a worker gets before it is told of the same thing again.
NUDGE_SECONDS = 1.0
STEP_NUDGE_SECONDS = 5.0
ASSESS_SECONDS = 2.0
WATCH_SECONDS = 60.0
ALONE_AFTER_SECONDS = 30.0
STEP = 200
TOGETHER = 50  # requests in a message, where doing many at once is cheaper
SIGN_SECONDS = 10.0
UNSIGNED_SECONDS = 60.0
DAY_SECONDS = 24 * 3600.0
_PAUSES = {
    consent_tasks.carry_out.name: STEP_NUDGE_SECONDS,
    consent_tasks.look.name: STEP_NUDGE_SECONDS,
    consent_tasks.read_rows.name: STEP_NUDGE_SECONDS,
    lineage_tasks.let_go.name: DAY_SECONDS,
    consent_tasks.assess.name: ASSESS_SECONDS,
    consent_tasks.watch.name: WATCH_SECONDS,
    consent_tasks.move_up.name: STEP_NUDGE_SECONDS,
}


@dataclass(slots=True)
class Sweeper:
    """Tells the workers what is due; remembers what it told and since when nobody listens."""

    quiet_until: dict[tuple[str, tuple[int, ...]], float] = field(default_factory=dict)
    silent_since: float | None = None
    sign_at: float = 0.0

    def sweep(self) -> int:
        """Look once at everything; return how many things were told of or done."""
        found = ledger.sequence()
        self._sign()
        if work_waits():
            found += self._tell(lineage_tasks.catch_up, [()])
        found += self._tell(lineage_tasks.let_go, [()])
        found += self._tell(consent_tasks.assess, [()])
        found += self._tell(consent_tasks.watch, [()])
        if to_fold(timezone.now()):
            found += self._tell(consent_tasks.fold, [()])
        if identifier_keys.current().under_way:
            found += self._tell(consent_tasks.move_up, [()])
        if access.expired(timezone.now()).exists() or copies.left_over().exists():
            found += self._tell(consent_tasks.let_go, [()])
        erasable = requests.datasets_to_erase_from()
        found += self._tell(consent_tasks.carry_out, [(pk,) for pk in erasable[:STEP]])
        back = dict.fromkeys(to_reopen().values_list("tombstone_id", flat=True)[:STEP])
        found += self._tell(consent_tasks.reopen, [(pk,) for pk in back])
        for task, rows in (
            (governance_tasks.deliver_webhook, webhooks.to_deliver()),
            (consent_tasks.tell, recipients.to_tell()),
            (consent_tasks.scan, scans.to_scan()),
            (consent_tasks.look, planned.looks_to_do()),
            (consent_tasks.read_rows, copies.readings_to_do()),
            (consent_tasks.prepare, access.to_prepare()),
            (consent_tasks.remind, to_remind()),
            (consent_tasks.send_letter, to_send()),
        ):
            found += self._tell(task, _keys(rows))
        found += self._tell(consent_tasks.plan, _keys(requests.to_plan()), together=TOGETHER)
        found += self._tell(consent_tasks.follow, _keys(requests.to_observe()), together=TOGETHER)
        return found

    def _sign(self) -> None:
        """Sign the ledger's head now and then; what it cannot sign it says, and goes on."""
        now = time.monotonic()
        if now < self.sign_at:
            return
        self.sign_at = now + SIGN_SECONDS
        try:
            checkpoints.publish()
        except ColophonError as error:
            self.sign_at = now + UNSIGNED_SECONDS
            logger.error("the ledger is not signed (%s): %s", error.code, error.message)

    def _tell(
        self, task: "Task[Any, Any]", due: Iterable[tuple[int, ...]], *, together: int = 1
    ) -> int:
        """Send what was not told lately, ``together`` things in a message."""
        now, pause = time.monotonic(), _PAUSES.get(task.name, NUDGE_SECONDS)
        told = [ids for ids in due if self.quiet_until.get((task.name, ids), now) <= now]
        for start in range(0, len(told), together):
            some = told[start : start + together]
            self._send(task, tuple(chain.from_iterable(some)))
            self.quiet_until |= {(task.name, ids): now + pause for ids in some}
        self.quiet_until = {what: at for what, at in self.quiet_until.items() if at > now}
        return len(told)

    def _send(self, task: "Task[Any, Any]", ids: tuple[int, ...]) -> None:
        try:
            application.send_task(task.name, args=ids, retry=False)
        except (BrokerError, RedisError, OSError):
            self._alone(task, ids)
        else:
            self.silent_since = None

    def _alone(self, task: "Task[Any, Any]", ids: tuple[int, ...]) -> None:
        now = time.monotonic()
        if self.silent_since is None:
            self.silent_since = now
            logger.warning("the broker does not answer; work waits in PostgreSQL")
        if now - self.silent_since >= ALONE_AFTER_SECONDS:
            task(*ids)


def _keys(rows: "QuerySet[Any]") -> list[tuple[int]]:
    return [(pk,) for pk in rows.values_list("pk", flat=True)[:STEP]]
