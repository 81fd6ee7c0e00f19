"""Putting a copy together, as work that may fail: claim it, put it off, give it up, try again.

The row is the work, as a step is. It is claimed before anything is done, and that is committed:
so whoever dies at it, for want of memory or in a library, is counted by the next who claims it. A
lease that runs out unanswered and an error of our own count alike. After a few in a row it is
given up until a person looks; the legal clock runs on.
"""

import logging
from datetime import timedelta
from typing import ClassVar

from django.conf import settings
from django.db import transaction
from django.db.models import Case, F, Value, When
from django.db.models.functions import Now

from consent import copies as words
from consent.models import CopyAssembly, RightsRequest
from consent.selectors import access
from consent.services.claims import MOST_DEATHS
from consent.services.telling import record
from governance.errors import ColophonError

logger = logging.getLogger(__name__)

# Between tries that ended with an error, in seconds; the last of them again and again.
SCHEDULE = [60, 300, 1800, 7200]
_REASONS = {
    words.WORKERS_LOST: "whoever put the copy together died each time",
    words.NOT_MADE: "the program broke off: see the workers' log",
}


class CopyNotStuckError(ColophonError):
    """Nothing stands in the way of the copy, it is being made now, or nobody waits for it."""

    code: ClassVar[str] = "copy_not_stuck"
    status: ClassVar[int] = 409


@transaction.atomic
def claim(request_id: int) -> CopyAssembly | None:
    """Take the copy of a request, by the database's clock, if it is due and nobody is at it."""
    # Locked before it is looked at: who waits for the lock has to see what the other has done.
    list(RightsRequest.objects.select_for_update(no_key=True).filter(pk=request_id))
    request = access.to_prepare().filter(pk=request_id).first()
    if request is None:
        return None
    CopyAssembly.objects.bulk_create([CopyAssembly(request=request)], ignore_conflicts=True)
    about = CopyAssembly.objects.filter(request=request)
    lost = about.filter(lease_until__isnull=False, failures__gte=MOST_DEATHS - 1)
    if lost.update(**_given_up(words.WORKERS_LOST)):
        logger.error("a copy is given up: workers were lost")
        return None
    died = Case(When(lease_until__isnull=False, then=Value(1)), default=Value(0))
    lease = Now() + timedelta(seconds=settings.COLOPHON_LEASE_SECONDS)
    about.update(
        token=F("token") + 1, attempt=F("attempt") + 1, failures=F("failures") + died,
        lease_until=lease,
    )  # fmt: skip
    return about.select_related("request__subject").get()


def renew(due: CopyAssembly) -> None:
    """Keep it ours for another lease, if it still is."""
    _ours(due, lease_until=Now() + timedelta(seconds=settings.COLOPHON_LEASE_SECONDS))


def release(due: CopyAssembly) -> bool:
    """Let it go without a fault, so that the count begins anew; say whether it was still ours."""
    return _ours(due, lease_until=None, failures=0, code="", reason="")


def failed(due: CopyAssembly) -> None:
    """Put it off after an error, or give it up after so many in a row."""
    if due.failures + 1 >= MOST_DEATHS:
        logger.error("a copy is given up: it could not be made")
        _ours(due, **_given_up(words.NOT_MADE))
        return
    pause = SCHEDULE[min(due.failures, len(SCHEDULE) - 1)]
    _ours(
        due, failures=F("failures") + 1, code=words.NOT_MADE, reason=_REASONS[words.NOT_MADE],
        lease_until=None, retry_at=Now() + timedelta(seconds=pause),
    )  # fmt: skip


@transaction.atomic
def try_again(*, request: RightsRequest, by: str) -> None:
    """Have a copy that failed tried again at once, as if it never had; the attempts stay.

    Raises `CopyNotStuckError`, to the second of two who press at the same moment as well.
    """
    waiting = access.stuck().filter(request=request)
    if not waiting.update(failures=0, code="", reason="", retry_at=Now()):
        raise CopyNotStuckError("only a copy that could not be made can be tried again")
    record(request, "copy.retried", {"by": by})


def _given_up(code: str) -> dict[str, object]:
    return {
        "failures": F("failures") + 1, "code": code, "reason": _REASONS[code],
        "lease_until": None, "retry_at": None,
    }  # fmt: skip


def _ours(due: CopyAssembly, **told: object) -> bool:
    """Write something down, if nobody has taken it over."""
    held = CopyAssembly.objects.filter(pk=due.pk, token=due.token, lease_until__isnull=False)
    return bool(held.update(**told))
