"""The legal clock of a request: let it stand still, extend it, and remind of it in time.

``due_at`` follows from the facts, and is written anew in the transaction that adds one.
"""

from datetime import datetime
from typing import ClassVar

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from consent.deadlines import RULES, Law
from consent.grounds import Extension
from consent.models import RequestLetter, RequestPause, RightsRequest
from consent.selectors import requests as known
from consent.selectors.request_lists import reminder_for
from consent.services import letters
from consent.services.telling import held_open, record
from governance.errors import ColophonError
from governance.models import WebhookKind
from governance.services import webhooks


class ClockCannotPauseError(ColophonError):
    """The clock stands still only while it is checked who asks, and only where the law says so."""

    code: ClassVar[str] = "clock_cannot_pause"
    status: ClassVar[int] = 409


class ClockNotPausedError(ColophonError):
    """The clock runs."""

    code: ClassVar[str] = "clock_not_paused"
    status: ClassVar[int] = 409


class ExtensionImpossibleError(ColophonError):
    """The person has to be told before the first period ends, and once."""

    code: ClassVar[str] = "extension_impossible"
    status: ClassVar[int] = 409


@transaction.atomic
def extend(*, request: RightsRequest, code: Extension, text: str = "") -> None:
    """Take longer, and tell the person why: on the request's page, and by mail.

    ``text`` is what is added to the code's sentence, in the mail alone. Raises
    `ExtensionImpossibleError`, and `RequestJoinedError` or `RequestEndedError`.
    """
    found, now = held_open(request), timezone.now()
    time_is_up = found.due_at < now and not found.pauses.filter(until=None).exists()
    if found.extended_at is not None or time_is_up:
        raise ExtensionImpossibleError("it was extended already, or its time is up")
    found.extended_at, found.extension_code = now, Extension(code).value
    found.save(update_fields=["extended_at", "extension_code"])
    due_at = _set_due(found)
    letters.write(found, RequestLetter.Kind.EXTENDED, code=found.extension_code, text=text)
    record(found, "request.extended", {"code": found.extension_code, "due_at": due_at.isoformat()})


@transaction.atomic
def pause(*, request: RightsRequest) -> None:
    """Let the clock stand still while the person is asked who they are.

    Doing it twice is harmless. Raises `ClockCannotPauseError`, and as `extend` does.
    """
    found = held_open(request)
    if found.verified_at is not None or not RULES[Law(found.law)].pauses:
        raise ClockCannotPauseError("the identity is confirmed, or the law knows no pause")
    _, paused = RequestPause.objects.get_or_create(
        request=found, until=None, defaults={"since": timezone.now()}
    )
    if paused:
        record(found, "request.paused", {})


@transaction.atomic
def resume(*, request: RightsRequest) -> None:
    """Let the clock run on. Raises `ClockNotPausedError`, and as `extend` does."""
    if not end_pause(held_open(request)):
        raise ClockNotPausedError("the clock is running")


def end_pause(request: RightsRequest) -> bool:
    """Let the clock of a held request run on, if it stands still; say whether it did."""
    if not request.pauses.filter(until=None).update(until=timezone.now()):
        return False
    due_at = _set_due(request)
    record(request, "request.resumed", {"due_at": due_at.isoformat()})
    return True


@transaction.atomic
def remind(*, request_id: int) -> bool:
    """Remind operators, subscribers and the ledger of a request, if it is time to.

    Each reminder is given once for a due date; it names the request and nothing else.
    """
    found = RightsRequest.objects.select_for_update(no_key=True).get(pk=request_id)
    reminder = reminder_for(found)
    if reminder is None or known.standing_of(found).state in known.ENDED:
        return False
    letters.write(found, RequestLetter.Kind(reminder.value), due_at=found.due_at)
    webhooks.announce(kind=WebhookKind.REQUEST_DUE, facts={"request": str(found.uuid)})
    record(found, "request.reminded", {"of": reminder.value, "due_at": found.due_at.isoformat()})
    return True


def _set_due(request: RightsRequest) -> datetime:
    """Write down what follows from the facts now, for those too that were joined to it."""
    request.due_at = known.due_at(request)
    both = RightsRequest.objects.filter(Q(pk=request.pk) | Q(duplicate_of=request))
    both.update(due_at=request.due_at)
    return request.due_at
