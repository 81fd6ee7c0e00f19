"""Many requests at once: their states by one query, lists of them, and what to remind of."""

from typing import Any

from django.db.models import (
    Case,
    Exists,
    Expression,
    ExpressionWrapper,
    OuterRef,
    Q,
    QuerySet,
    Value,
    When,
)
from django.db.models.fields import BooleanField, DateTimeField, TextField
from django.db.models.functions import Now

from consent.deadlines import REMIND_BEFORE, Reminder
from consent.models import (
    ErasurePlan,
    ErasureStep,
    RequestLetter,
    RequestPause,
    RightsRequest,
)
from consent.selectors import recipients, remedies
from consent.selectors.requests import ENDED, RequestState, under_way


def with_state() -> "QuerySet[RightsRequest]":
    """Return every request with its ``state``, as its ``Standing`` says, and ``is_overdue``."""
    steps = ErasureStep.objects.filter(request=OuterRef("pk"))
    undone = Exists(steps.exclude(state=ErasureStep.State.DONE))
    kept = Exists(steps.filter(outcome=ErasureStep.Outcome.EXEMPT))
    unmade = Q(Exists(remedies.open_now().filter(request=OuterRef("pk"))))
    unmade |= Q(Exists(recipients.unanswered().filter(request=OuterRef("pk"))))
    plans = ErasurePlan.objects.filter(request=OuterRef("pk"), rejection=None)
    cut = Exists(plans.filter(content__truncated=True))
    stations = [
        (Q(duplicate_of__isnull=False), RequestState.JOINED),
        (Q(refused_at__isnull=False), RequestState.REFUSED),
        (Q(answered_at__isnull=False), RequestState.COMPLETED),
        (Q(planned_at=None, verified_at=None), RequestState.RECEIVED),
        (Q(planned_at=None), RequestState.VERIFIED),
        (Exists(steps.filter(released_at=None)), RequestState.REVIEW),
        (undone, RequestState.ERASING),
        (unmade | cut | (Q(forgotten_at=None) & ~kept), RequestState.VERIFYING),
    ]
    state = Case(
        *(When(condition, then=Value(each.value)) for condition, each in stations),
        default=Value(RequestState.COMPLETED.value),
        output_field=TextField(),
    )
    late = Q(due_at__lt=Now()) & ~Q(state__in=[each.value for each in ENDED]) & ~_paused()
    found = RightsRequest.objects.select_related("subject", "duplicate_of")
    return found.annotate(state=state).annotate(
        is_overdue=ExpressionWrapper(late, output_field=BooleanField())
    )


def listed(
    *, kind: str | None = None, state: str | None = None, overdue: bool | None = None
) -> "QuerySet[RightsRequest]":
    """Return requests of a kind, in a state, late or not."""
    asked = {"kind": kind, "state": state, "is_overdue": overdue}
    found = with_state().filter(
        **{name: value for name, value in asked.items() if value is not None}
    )
    open_ones = overdue or (state is not None and state not in ENDED)
    return found.filter(pk__in=perhaps_open()) if open_ones else found


def perhaps_open() -> "QuerySet[Any, Any]":
    """Return the keys of few requests among which is every one that has not ended.

    What the ledger knows to be complete can have a step or a model that is open again. A notice
    that comes later opens it again in the ledger, too, unless the person has asked anew. Asking
    these first spares weighing all that have ended.
    """
    steps = ErasureStep.objects.exclude(state=ErasureStep.State.DONE).values("request_id")
    return under_way().values("pk").union(steps, remedies.open_now().values("request_id"))


def to_remind() -> "QuerySet[RightsRequest]":
    """Return the open requests of which operators have to be told, and the ``reminder`` to give.

    Of a request that was overlooked, only the most urgent one counts.
    """
    urgent = Case(
        *(When(due_at__lte=_from_now(each), then=Value(each.value)) for each in reversed(Reminder)),
        output_field=TextField(),
    )
    told = RequestLetter.objects.filter(
        request=OuterRef("pk"), kind=OuterRef("reminder"), due_at=OuterRef("due_at")
    )
    running = under_way().filter(~_paused(), due_at__lte=_from_now(Reminder.WEEK_LEFT))
    waiting = running.annotate(reminder=urgent).filter(~Exists(told))
    return waiting.order_by("due_at", "pk")


def reminder_for(request: RightsRequest) -> Reminder | None:
    """Return which reminder to give of a request now, if any."""
    found: Any = to_remind().filter(pk=request.pk).first()
    return Reminder(found.reminder) if found else None


def _from_now(reminder: Reminder) -> Expression:
    return ExpressionWrapper(Now() + REMIND_BEFORE[reminder], output_field=DateTimeField())


def _paused() -> Exists:
    return Exists(RequestPause.objects.filter(request=OuterRef("pk"), until=None))
