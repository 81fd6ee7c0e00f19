"""What waits for whom: the operators' queues, each with how much is in it and since when."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.db.models import Count, Min, Q, QuerySet

from consent.models import (
    ErasureStep,
    Reappearance,
    RightsRequest,
    Violation,
)
from consent.selectors import planned, remedies, request_lists
from consent.selectors.requests import ENDED, RequestState
from governance.models import WebhookDelivery, WebhookEndpoint

AGAIN_AND_AGAIN = 3
# What passes by itself, as the connectors say; all else waits for somebody.
PASSING = (
    "storage_unreachable", "storage_busy", "storage_refused", "rows_remain", "dataset_moved",
)  # fmt: skip


class StepQueue(StrEnum):
    """How operators look at steps."""

    READY = "ready"  # waits for its turn
    RUNNING = "running"
    BLOCKED = "blocked"  # something stands in the way, whatever it is
    PERSON = "person"  # of those: it will not pass by itself
    FAILING = "failing"  # of those: it was tried again and again


@dataclass(frozen=True, slots=True)
class Queue:
    """One queue: how many wait, the oldest since when, and the nearest due date if they have one.

    ``kind`` is what waits, and ``name`` which of it.
    """

    kind: str
    name: str
    count: int
    oldest_at: datetime | None
    due_at: datetime | None = None


def queues() -> list[Queue]:
    """Return every queue, the empty ones too."""
    return [
        *_of_requests(),
        *_of_steps(),
        _queue("dry_runs", "open", planned.looks_open(), "asked_at"),
        _queue("remediations", "open", remedies.open_now(), "opened_at"),
        _queue("violations", "open", Violation.objects.filter(resolved_at=None), "opened_at"),
        _queue(
            "reappearances", "open", Reappearance.objects.filter(ended_at=None),
            "manifest__received_at",
        ),
        _queue("webhooks", "failing", _failing_deliveries(), "message__created_at"),
        _queue(
            "webhooks", "disabled", WebhookEndpoint.objects.filter(disabled_at__isnull=False),
            "disabled_at",
        ),
    ]  # fmt: skip


def requests_in(state: RequestState) -> "QuerySet[RightsRequest]":
    """Return the requests in a state, those due first at the front."""
    return request_lists.listed(state=state).order_by("due_at", "pk")


def steps_in(queue: StepQueue) -> "QuerySet[ErasureStep]":
    """Return the steps in a queue, those due first at the front."""
    described = ErasureStep.objects.select_related("request", "dataset__storage")
    return described.filter(_STEPS[queue]).order_by("request__due_at", "position", "pk")


def _of_requests() -> list[Queue]:
    by_state: QuerySet[Any, Any] = request_lists.with_state().order_by()
    counted = by_state.values("state").annotate(
        count=Count("pk"), oldest=Min("received_at"), due=Min("due_at")
    )
    told = {each["state"]: each for each in counted}
    nothing = {"count": 0, "oldest": None, "due": None}
    found = {each: told.get(each, nothing) for each in RequestState if each not in ENDED}
    return [
        Queue("requests", each, row["count"], row["oldest"], row["due"])
        for each, row in found.items()
    ]


def _of_steps() -> list[Queue]:
    return [
        _queue("steps", each, ErasureStep.objects.filter(_STEPS[each]), "request__planned_at",
               due="request__due_at")
        for each in StepQueue
    ]  # fmt: skip


def _queue(kind: str, name: str, rows: "QuerySet[Any]", since: str, due: str = "") -> Queue:
    wanted = {"count": Count("pk"), "oldest": Min(since)} | ({"due": Min(due)} if due else {})
    told = rows.order_by().aggregate(**wanted)
    return Queue(kind, name, told["count"], told["oldest"], told.get("due"))


def _failing_deliveries() -> "QuerySet[WebhookDelivery]":
    """Return the messages that were sent in vain and are sent again."""
    waiting = WebhookDelivery.objects.filter(delivered_at=None, gave_up_at=None)
    return waiting.filter(attempt__gt=0).exclude(last_code="")


_RELEASED = Q(released_at__isnull=False)
_BLOCKED = _RELEASED & Q(state="blocked")
_STEPS = {
    StepQueue.READY: _RELEASED & Q(state="ready"),
    StepQueue.RUNNING: _RELEASED & Q(state="running"),
    StepQueue.BLOCKED: _BLOCKED,
    StepQueue.PERSON: _BLOCKED & ~Q(code__in=PASSING),
    StepQueue.FAILING: _BLOCKED & Q(code__in=PASSING, attempt__gte=AGAIN_AND_AGAIN),
}
