"""Where rights requests stand. The state is read off the facts; nothing sets it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Exists, F, Min, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from consent import deadlines
from consent.deadlines import Law, Pause
from consent.models import (
    AccessPackage,
    CopyAssembly,
    ErasurePlan,
    ErasureStep,
    Remediation,
    RequestKind,
    Restriction,
    RightsRequest,
)
from consent.selectors import recipients, remedies
from consent.selectors.recipients import Notified
from consent.selectors.remedies import Remedied
from governance.errors import NotFoundError
from lineage.models import Provenance


class RequestState(StrEnum):
    """The stations of a request; one that was joined to another has those of the other."""

    RECEIVED = "received"
    VERIFIED = "verified"
    REVIEW = "review"
    REFUSED = "refused"
    ERASING = "erasing"
    VERIFYING = "verifying"
    COMPLETED = "completed"
    JOINED = "joined"


ENDED = frozenset({RequestState.COMPLETED, RequestState.REFUSED, RequestState.JOINED})

WAITS_FOR = {
    RequestKind.ACCESS: "the copy: is being prepared",
    RequestKind.PORTABILITY: "the copy: is being prepared",
    RequestKind.RECTIFICATION: "the correction: waits for a person",
}
STUCK = "the copy: could not be put together yet"


@dataclass(frozen=True, slots=True)
class Standing:
    """A request with its parts, its state, and what keeps it open, by name."""

    request: RightsRequest
    steps: list[ErasureStep]
    remediations: list[Remedied]
    plan_cut: bool = False
    notices: list[Notified] = field(default_factory=list)

    @property
    def waits_for_approval(self) -> bool:
        """Say whether there is a plan that has to be approved before anything is touched."""
        return any(step.released_at is None for step in self.steps)

    @property
    def copy(self) -> AccessPackage | None:
        """Return the copy of their data that was made for the person, if one was.

        What is in it, which is large, is not read; ``emptied`` says whether it is gone.
        """
        made = AccessPackage.objects.filter(request=self.request).defer("content_sealed")
        return made.annotate(emptied=Q(content_sealed=None)).first()

    @property
    def state(self) -> RequestState:
        """Return the state: complete only when answered, or each part has a terminal outcome.

        ``with_state`` says the same of many.
        """
        request = self.request
        if request.duplicate_of_id is not None:
            return RequestState.JOINED
        if request.refused_at is not None:
            return RequestState.REFUSED
        if request.answered_at is not None:
            return RequestState.COMPLETED
        if request.planned_at is None:
            return RequestState.VERIFIED if request.verified_at else RequestState.RECEIVED
        return self._carried_out()

    def _carried_out(self) -> RequestState:
        if self.waits_for_approval:
            return RequestState.REVIEW
        if any(step.state != ErasureStep.State.DONE for step in self.steps):
            return RequestState.ERASING
        return RequestState.VERIFYING if self._parts() else RequestState.COMPLETED

    @property
    def outstanding(self) -> list[str]:
        """Say what is still to be done, one line each, by the names of data sets and models."""
        if self.state in ENDED:
            return []
        kind = RequestKind(self.request.kind)
        if kind is RequestKind.ERASURE:
            return self._parts()
        identity = [] if self.request.verified_at else ["the identity: is not confirmed yet"]
        stuck = CopyAssembly.objects.filter(request=self.request).exclude(code="").exists()
        return [*identity, STUCK if stuck else WAITS_FOR[kind]]

    def _parts(self) -> list[str]:
        steps = [
            f"data set {step.dataset}: {step.code or step.state}"
            for step in self.steps
            if step.state != ErasureStep.State.DONE
        ]
        models = [
            f"model {each.model_version.model.dataset}: {each.outstanding}"
            for each in self.remediations
            if each.closed_at is None
        ]
        told = [each.outstanding for each in self.notices if each.outstanding]
        return self._plan() + steps + models + told + self._keys()

    @property
    def unanswered(self) -> list[str]:
        """Say who was told and has not answered, or could not be told: it keeps nothing open."""
        return [each.unanswered for each in self.notices if each.unanswered]

    def _plan(self) -> list[str]:
        told = ["the plan: waits for approval"] if self.waits_for_approval else []
        cut = "the plan: the flows were too many to follow, so data sets may be missing"
        return [*told, cut] if self.plan_cut else told

    def _keys(self) -> list[str]:
        """Keys stay while data lawfully stays, so that the person can be told of it."""
        kept = any(step.outcome == ErasureStep.Outcome.EXEMPT for step in self.steps)
        gone = self.request.forgotten_at is not None
        return [] if gone or kept else ["the person's keys: not yet destroyed"]

    @property
    def completed_at(self) -> datetime | None:
        """Return when the last part ended, if all have."""
        if self.state != RequestState.COMPLETED:
            return None
        if self.request.answered_at is not None:
            return self.request.answered_at
        ends = [step.finished_at for step in self.steps]
        ends += [each.closed_at for each in self.remediations]
        ends += [each.ended_at for each in self.notices]
        ends += [self.request.forgotten_at, self.request.planned_at]
        return max(end for end in ends if end is not None)

    @property
    def confirm_by(self) -> datetime | None:
        """Return by when the law wants receipt confirmed, if it does."""
        request = self.request
        return deadlines.confirm_by(Law(request.law), request.received_at, zone=zone())

    @property
    def due_on(self) -> date:
        """Return the last day in time."""
        return day_of(self.request.due_at)

    @property
    def paused_since(self) -> datetime | None:
        """Return since when the clock stands still, if it does."""
        return self.request.pauses.filter(until=None).values_list("since", flat=True).first()

    @property
    def overdue(self) -> bool:
        """Say whether it is open, its clock runs, and its time is up."""
        late = self.request.due_at < timezone.now() and self.state not in ENDED
        return late and self.paused_since is None

    @property
    def restriction(self) -> Restriction | None:
        """Return what the request restricts or restricted, if it is one for that."""
        return Restriction.objects.filter(request=self.request).first()


def zone() -> ZoneInfo:
    """Return the place whose days and months count."""
    return ZoneInfo(settings.COLOPHON_LEGAL_ZONE)


def day_of(at: datetime) -> date:
    """Return the day of an instant there, to be told to people."""
    return at.astimezone(zone()).date()


def due_if_asked(at: datetime, law: Law | None = None) -> datetime:
    """Return by when a request would have to be done that is received at an instant."""
    return deadlines.due(law or Law(settings.COLOPHON_LAW), at, zone=zone())


def due_at(request: RightsRequest) -> datetime:
    """Return by when the law wants it done, as it follows from the facts about a request."""
    ended = request.pauses.filter(until__isnull=False).values_list("since", "until")
    return deadlines.due(
        Law(request.law), request.received_at, extended=request.extended_at is not None,
        pauses=[Pause(since, until) for since, until in ended if until is not None],
        zone=zone(),
    )  # fmt: skip


def standing(uuid: UUID) -> Standing:
    """Return a request and where it stands, or raise `NotFoundError`."""
    found = RightsRequest.objects.select_related("subject", "duplicate_of")
    try:
        request = found.get(uuid=uuid)
    except RightsRequest.DoesNotExist:
        raise NotFoundError("no such request is known") from None
    return standing_of(request)


def erasure(uuid: UUID) -> Standing:
    """Return an erasure, or raise `NotFoundError`: nothing else has a certificate.

    Of one that was joined to another, it is the other that is carried out.
    """
    found = standing(uuid)
    if found.request.kind != RequestKind.ERASURE:
        raise NotFoundError("only an erasure has a certificate")
    return found if found.request.duplicate_of is None else standing_of(found.request.duplicate_of)


def standing_of(request: RightsRequest) -> Standing:
    """Return where a request stands."""
    return standings_of([request])[0]


def standings_of(requests: Sequence[RightsRequest]) -> list[Standing]:
    """Return where each of some requests stands."""
    if not requests:
        return []
    steps, models, told = defaultdict(list), defaultdict(list), defaultdict(list)
    parts = ErasureStep.objects.filter(request__in=requests).order_by("position", "pk")
    for step in parts.select_related("dataset__storage", "version"):
        steps[step.request_id].append(step)
    made = Remediation.objects.filter(request__in=requests).order_by("pk")
    for remedied in remedies.standings(made):
        models[remedied.remediation.request_id].append(remedied)
    cut = ErasurePlan.objects.filter(
        request__in=requests, rejection=None, content__truncated=True
    ).values_list("request_id", flat=True)
    for notice in recipients.of_requests(requests):
        told[notice.notice.request_id].append(notice)
    cuts = set(cut)
    return [
        Standing(
            each, steps[each.pk], models[each.pk], plan_cut=each.pk in cuts, notices=told[each.pk]
        )
        for each in requests
    ]


def under_way() -> "QuerySet[RightsRequest]":
    """Return the requests that the ledger does not know to be complete, nor to be refused.

    They are few among all that ever were, and have an index of their own.
    """
    return RightsRequest.objects.filter(
        duplicate_of=None, refused_at=None, completion_recorded_at=None
    )


def to_plan() -> "QuerySet[RightsRequest]":
    """Return verified erasures that have no plan yet, those due first at the front."""
    waiting = under_way().filter(
        kind=RequestKind.ERASURE, verified_at__isnull=False, planned_at=None
    )
    return waiting.order_by("due_at", "pk")


def steps_to_do() -> "QuerySet[ErasureStep]":
    """Return the steps that can be claimed now, nearest due date first.

    Within a request a step waits for those before it, in the order of the flows, so that an
    erased row is not derived anew; a blocked one holds nobody up. None of a plan that waits for
    approval is among them.
    """
    before = ErasureStep.objects.filter(
        request=OuterRef("request"), position__lt=OuterRef("position"),
        state__in=[ErasureStep.State.READY, ErasureStep.State.RUNNING],
    )  # fmt: skip
    free = ~Q(state="running") | Q(lease_until__lt=Now())
    waiting = ErasureStep.objects.filter(
        free, ~Exists(before), retry_at__lte=Now(), released_at__isnull=False
    )
    return waiting.exclude(state="done").order_by("request__due_at", "position", "pk")


def datasets_to_erase_from() -> list[int]:
    """Return the data sets that have steps which can be done now, nearest due date first."""
    waiting = steps_to_do().order_by().values("dataset_id").annotate(due=Min("request__due_at"))
    return [each["dataset_id"] for each in waiting.order_by("due", "dataset_id")]


def to_observe() -> "QuerySet[RightsRequest]":
    """Return planned erasures about which something may have changed since the last look."""
    looked = F("observed_at")
    frozen = Provenance.objects.filter(frozen_at__gt=OuterRef("observed_at"))
    finished = ErasureStep.objects.filter(
        request=OuterRef("pk"), finished_at__gt=OuterRef("observed_at")
    )
    planned = RightsRequest.objects.filter(
        kind=RequestKind.ERASURE, planned_at__isnull=False, refused_at=None, duplicate_of=None
    )
    # A measure that ends opens again what was complete.
    told = remedies.to_tell().values("request_id")
    moved = Q(pk__in=told)
    open_now = planned.filter(pk__in=under_way().values("pk").union(told))
    ready = forgettable() & ~Q(recipients.somebody_untold("subject"))
    unseen = Q(observed_at=None) | Exists(frozen) | Exists(finished) | Q(forgotten_at__gt=looked)
    unseen |= ready | moved | recipients.answered_since("pk", "observed_at")
    return open_now.filter(unseen).order_by("due_at", "pk")


def forgettable() -> Q:
    """Return the condition that a planned erasure has nothing left to erase, and waits for that."""
    parts = ErasureStep.objects.filter(request=OuterRef("pk"))
    kept = parts.filter(outcome=ErasureStep.Outcome.EXEMPT)
    planned = Q(forgotten_at=None, planned_at__isnull=False, refused_at=None)
    return planned & ~Exists(parts.exclude(state="done")) & ~Exists(kept)


def passed_on() -> "QuerySet[RightsRequest]":
    """Return complete erasures of whose models something was made since: it holds the data, too."""
    complete = RightsRequest.objects.filter(completion_recorded_at__isnull=False)
    return complete.filter(pk__in=remedies.passed_on().values("request_id")).order_by("pk")


def step_of(standing: Standing, uuid: UUID) -> ErasureStep:
    """Return a step of a request, or raise `NotFoundError`."""
    for step in standing.steps:
        if step.uuid == uuid:
            return step
    raise NotFoundError("no such step of this request is known")
