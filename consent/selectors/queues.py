"""What waits for whom: the operators' queues, each with how much is in it and since when."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.db.models import Count, Min, Q, QuerySet

from consent.models import (
    CopyAssembly,
    ErasureStep,
    MembershipScan,
    Reappearance,
    RecipientNotice,
    RightsRequest,
)
from consent.selectors import (
    access,
    assessments,
    planned,
    recipients,
    remedies,
    request_lists,
    scans,
)
from consent.selectors.requests import ENDED, RequestState
from governance.models import WebhookDelivery, WebhookEndpoint
from governance.selectors import webhooks

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


class ScanQueue(StrEnum):
    """How operators look at readings of storages."""

    OPEN = "open"  # waits, is being read, or is tried again
    FAILED = "failed"  # the last of its data set took nothing


class CopyQueue(StrEnum):
    """How operators look at copies of people's data that could not be put together."""

    FAILING = "failing"  # is tried again by itself
    GIVEN_UP = "given_up"  # is tried again on a person's word


class DeliveryQueue(StrEnum):
    """How operators look at messages that did not arrive."""

    FAILING = "failing"  # is sent again by itself
    GIVEN_UP = "given_up"  # is sent again on a person's word


class NoticeQueue(StrEnum):
    """How operators look at what recipients are told."""

    GIVEN_UP = "given_up"  # is told again on a person's word, or ends by itself
    UNANSWERED = "unanswered"  # arrived, and ends by itself
    LAPSED = "lapsed"  # has ended by itself, and nobody knows more


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
        *(_queue("copies", each, copies_in(each), "begun_at", due="request__due_at")
          for each in CopyQueue),
        _queue("dry_runs", "open", planned.looks_open(), "asked_at"),
        _queue("reappearances", "open", reappearances_open(), "manifest__received_at"),
        *(_queue("scans", each, scans_in(each), _SINCE[each]) for each in ScanQueue),
        _queue("remediations", "open", remedies.open_now(), "opened_at"),
        _queue("measures", "unapproved", remedies.to_approve(), "taken_at",
               due="remediation__request__due_at"),
        _queue("violations", "open", assessments.violations(open_only=True), "opened_at"),
        *(_queue("recipients", each, notices_in(each), "opened_at") for each in NoticeQueue),
        *(_queue("webhooks", each, _DELIVERIES[each](), "message__created_at")
          for each in DeliveryQueue),
        _queue("webhooks", "disabled", webhooks.disabled(), "disabled_at"),
    ]  # fmt: skip


def requests_in(state: RequestState) -> "QuerySet[RightsRequest]":
    """Return the requests in a state, those due first at the front."""
    return request_lists.listed(state=state).order_by("due_at", "pk")


def steps_in(queue: StepQueue) -> "QuerySet[ErasureStep]":
    """Return the steps in a queue, those due first at the front."""
    described = ErasureStep.objects.select_related("request", "dataset__storage")
    return described.filter(_STEPS[queue]).order_by("request__due_at", "position", "pk")


def copies_in(queue: CopyQueue) -> "QuerySet[CopyAssembly]":
    """Return the copies in a queue, those due first at the front."""
    found = access.stuck().filter(retry_at__isnull=queue is CopyQueue.GIVEN_UP)
    return found.select_related("request").order_by("request__due_at", "pk")


def reappearances_open() -> "QuerySet[Reappearance]":
    """Return the data that came back and is not out again, the oldest first."""
    found = Reappearance.objects.filter(ended_at=None).select_related("dataset", "request")
    return found.select_related("manifest").order_by("manifest__received_at", "pk")


def scans_in(queue: ScanQueue) -> "QuerySet[MembershipScan]":
    """Return the readings of storages in a queue, the oldest first."""
    found = scans.open_now() if queue is ScanQueue.OPEN else scans.failed()
    return found.select_related("dataset__storage").order_by(_SINCE[queue], "pk")


def notices_in(queue: NoticeQueue) -> "QuerySet[RecipientNotice]":
    """Return what recipients are told in a queue, the oldest first."""
    if queue is NoticeQueue.LAPSED:
        found = recipients.lapsed()
    else:
        told = Q(delivered_at__isnull=False)
        asked = told if queue is NoticeQueue.UNANSWERED else ~told & Q(gave_up_at__isnull=False)
        found = recipients.unanswered().filter(asked, request__refused_at=None)
    return found.select_related("recipient", "request").order_by("opened_at", "pk")


def deliveries_in(queue: DeliveryQueue) -> "QuerySet[WebhookDelivery]":
    """Return the messages in a queue, the oldest first."""
    return _described(_DELIVERIES[queue]())


def undelivered_to(endpoint: WebhookEndpoint) -> "QuerySet[WebhookDelivery]":
    """Return the messages that did not arrive at one endpoint, the oldest first."""
    late = webhooks.failing() | WebhookDelivery.objects.filter(gave_up_at__isnull=False)
    return _described(late.filter(endpoint=endpoint))


def _described(found: "QuerySet[WebhookDelivery]") -> "QuerySet[WebhookDelivery]":
    described = found.select_related("message", "endpoint__client")
    return described.order_by("message__created_at", "pk")


def _of_requests() -> list[Queue]:
    some = request_lists.with_state().filter(pk__in=request_lists.perhaps_open())
    by_state: QuerySet[Any, Any] = some.order_by()
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


_RELEASED = Q(released_at__isnull=False)
_BLOCKED = _RELEASED & Q(state="blocked")
_STEPS = {
    StepQueue.READY: _RELEASED & Q(state="ready"),
    StepQueue.RUNNING: _RELEASED & Q(state="running"),
    StepQueue.BLOCKED: _BLOCKED,
    StepQueue.PERSON: _BLOCKED & ~Q(code__in=PASSING),
    StepQueue.FAILING: _BLOCKED & Q(code__in=PASSING, attempt__gte=AGAIN_AND_AGAIN),
}
_SINCE = {ScanQueue.OPEN: "requested_at", ScanQueue.FAILED: "finished_at"}
_DELIVERIES = {
    DeliveryQueue.FAILING: webhooks.failing,
    DeliveryQueue.GIVEN_UP: webhooks.given_up,
}
