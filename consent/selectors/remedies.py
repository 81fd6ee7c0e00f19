"""Whether model versions are made good, by the measures that were taken and by the clock.

The rule stands once, in `closing`. Nothing sets that a measure holds: an end that has passed, a
lapse or a new deployment opens the model version again.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from django.db.models import Case, Exists, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Least, Now

from consent.measures import EXEMPT, INTERIM, ON_TWO_WORDS, RECOMPUTED, MeasureKind
from consent.models import Escalation, Remediation, RemediationMeasure
from governance.errors import NotFoundError
from lineage.models import Deployment, ModelVersion, WayBack

SOON = timedelta(days=7)
CHECKED_EVERY = timedelta(hours=1)

Outcome = Remediation.Outcome

OUTCOMES = {
    MeasureKind.UNLEARN_CERTIFIED: Outcome.UNLEARNED,
    MeasureKind.RETIRE: Outcome.RETIRED,
    MeasureKind.EXEMPT_GUARANTEE: Outcome.EXEMPT,
    MeasureKind.EXEMPT_MASKED: Outcome.EXEMPT,
    MeasureKind.EXEMPT_LEGAL: Outcome.EXEMPT,
}


class RemedyState(StrEnum):
    """Where a model version stands."""

    OPEN = "open"
    MITIGATED = "mitigated"
    UNAPPROVED = "unapproved"
    RETIRING = "retiring"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Remedied:
    """A remediation, what was done about it, and where it stands now."""

    remediation: Remediation
    measures: list[RemediationMeasure]
    closing: RemediationMeasure | None
    deployments: list[Deployment]
    in_force: frozenset[int]

    @property
    def pk(self) -> int:
        """Return the remediation's key."""
        return self.remediation.pk

    @property
    def uuid(self) -> UUID:
        """Return the remediation's public name."""
        name: UUID = self.remediation.uuid
        return name

    @property
    def model_version(self) -> ModelVersion:
        """Return the version that holds the data."""
        return self.remediation.model_version

    @property
    def model_version_id(self) -> int:
        """Return its key."""
        return self.remediation.model_version_id

    @property
    def certainty(self) -> str:
        """Return how it is known that it does."""
        return self.remediation.certainty

    @property
    def opened_at(self) -> datetime:
        """Return when that was found."""
        return self.remediation.opened_at

    @property
    def owner(self) -> str:
        """Return who makes it good."""
        return self.remediation.owner

    @property
    def due_at(self) -> datetime:
        """Return by when: never later than the request."""
        request = self.remediation.request.due_at
        return min(self.remediation.due_at or request, request)

    @property
    def closed_by(self) -> ModelVersion | None:
        """Return the later training that was observed."""
        return self.remediation.closed_by

    @property
    def closed_by_id(self) -> int | None:
        """Return its key."""
        return self.remediation.closed_by_id

    @property
    def outcome(self) -> str:
        """Return how it was made good; empty while it is not."""
        if self.closing is not None:
            return OUTCOMES[MeasureKind(self.closing.kind)].value
        return self.remediation.outcome

    @property
    def code(self) -> str:
        """Return what an exemption rests on."""
        closing = self.closing
        if closing is None or closing.kind not in EXEMPT:
            return self.remediation.code
        return str(closing.evidence.get("code", closing.kind))

    @property
    def closed_at(self) -> datetime | None:
        """Return when it was made good."""
        if self.closing is None:
            return self.remediation.closed_at
        ends = [self.closing.taken_at, self.closing.approved_at]
        if self.closing.kind == MeasureKind.RETIRE:
            ends += [each.ended_at for each in self.deployments]
        return max(each for each in ends if each is not None)

    @property
    def running(self) -> list[Deployment]:
        """Return where the version is in use."""
        return [each for each in self.deployments if each.until is None]

    @property
    def interim(self) -> RemediationMeasure | None:
        """Return the measure that mitigates wherever the version is in use, the last to end."""
        found = [
            each for each in self.measures
            if each.pk in self.in_force and each.kind in INTERIM and self._covers(each)
        ]  # fmt: skip
        return max(found, key=lambda each: each.ends_at or each.taken_at, default=None)

    @property
    def waiting(self) -> RemediationMeasure | None:
        """Return the measure in force that would close it, and does not yet."""
        found = [
            each for each in self.measures
            if each.pk in self.in_force and each.kind in (MeasureKind.RETIRE, *ON_TWO_WORDS)
        ]  # fmt: skip
        return found[-1] if found and self.closing is None else None

    @property
    def state(self) -> RemedyState:
        """Return where it stands."""
        if self.outcome:
            return RemedyState.CLOSED
        if self.waiting is not None:
            retiring = self.waiting.kind == MeasureKind.RETIRE and self.running
            return RemedyState.RETIRING if retiring else RemedyState.UNAPPROVED
        return RemedyState.MITIGATED if self.interim else RemedyState.OPEN

    @property
    def outstanding(self) -> str:
        """Say what keeps it open, in a line without its name."""
        waiting, interim = self.waiting, self.interim
        if waiting is not None and self.state is RemedyState.RETIRING:
            places = ", ".join(sorted({each.environment for each in self.running}))
            return f"declared retired, and still in use in {places}"
        if waiting is not None:
            return f"{waiting.kind} waits for a second person"
        if interim is not None and interim.ends_at is not None:
            return f"{interim.kind} until {interim.ends_at:%Y-%m-%d}, waits for a clean training"
        return "waits for a clean training"

    def _covers(self, interim: RemediationMeasure) -> bool:
        named = interim.evidence.get("deployments")
        return named is None or {str(each.uuid) for each in self.running} <= set(named)


def in_force() -> "QuerySet[RemediationMeasure]":
    """Return the measures that have neither ended nor lapsed, by the database's clock."""
    lasting = Q(ends_at=None) | Q(ends_at__gt=Now())
    return RemediationMeasure.objects.filter(lasting, lapsed_at=None)


def closing() -> "QuerySet[RemediationMeasure]":
    """Return the measures that make their model version good now.

    What is recomputed here needs nobody's word. What people say needs two. A retirement is seen
    in the deployments; where none was ever announced nobody can see it, and it needs two as well.
    """
    places = Deployment.objects.filter(model_version=OuterRef("remediation__model_version"))
    approved = Q(approved_at__isnull=False)
    retired = Q(kind=MeasureKind.RETIRE) & ~Exists(places.filter(until=None))
    return in_force().filter(
        Q(kind__in=RECOMPUTED)
        | Q(kind__in=ON_TWO_WORDS) & approved
        | retired & (Exists(places) | approved)
    )


def to_approve() -> "QuerySet[RemediationMeasure]":
    """Return the measures that would make their model version good on a second word.

    The oldest come first. Nothing needs it where something else makes the version good already,
    nor where it can be seen whether a retired version is in use.
    """
    places = Deployment.objects.filter(model_version=OuterRef("remediation__model_version"))
    unseen = Q(kind=MeasureKind.RETIRE) & ~Exists(places)
    waiting = in_force().filter(Q(kind__in=ON_TWO_WORDS) | unseen, approved_at=None)
    return waiting.filter(remediation__in=open_now().values("pk")).order_by("taken_at", "pk")


def open_now() -> "QuerySet[Remediation]":
    """Return the remediations that nothing makes good now."""
    return Remediation.objects.filter(~Exists(_closing_one()), outcome="")


def closed_now() -> "QuerySet[Remediation]":
    """Return those that a training or a measure makes good now."""
    return Remediation.objects.filter(~Q(outcome="") | Exists(_closing_one()))


def to_tell() -> "QuerySet[Remediation]":
    """Return those of which the ledger knows something else than what holds now.

    What they rest on may have changed, too, if nobody looked for a while.
    """
    own = RemediationMeasure.objects.filter(remediation=OuterRef("pk"))
    unchecked = in_force().filter(
        remediation=OuterRef("pk"), kind__in=EXEMPT, checked_at__lt=Now() - CHECKED_EVERY
    )
    known = Q(closing_recorded_at__isnull=False)
    changed = (Exists(_closing_one()) & ~known) | (~Exists(_closing_one()) & known)
    return Remediation.objects.filter(Exists(own), changed | Exists(unchecked), outcome="")


def passed_on() -> "QuerySet[Remediation]":
    """Return those of whose model something was made after the request was looked at last."""
    later = WayBack.objects.filter(
        dataset=OuterRef("model_version__model__dataset"),
        last_trained_at__gt=OuterRef("request__observed_at"),
        last_trained_at__lte=Now(),
    )
    return Remediation.objects.filter(Exists(later))


def to_escalate(limit: int) -> dict[int, Escalation.Kind]:
    """Return the keys of those that are late and of which that was not told yet, and which delay.

    Overdue is overdue whatever was done; a week before, it is told only if nothing was.
    """
    told = Escalation.objects.filter(remediation=OuterRef("pk"))
    progress = in_force().filter(remediation=OuterRef("pk"))
    overdue = Q(due__lt=Now())
    soon = Q(due__gte=Now(), due__lt=Now() + SOON) & ~Exists(progress)
    kinds = Escalation.Kind
    delay = Case(
        When(overdue, then=Value(kinds.OVERDUE.value)), default=Value(kinds.DUE_SOON.value)
    )
    late = (
        open_now()
        .filter(request__refused_at=None)
        .annotate(due=Least("due_at", "request__due_at"), delay=delay)
    )
    untold = late.filter(overdue | soon, ~Exists(told.filter(kind=OuterRef("delay"))))
    found = untold.order_by("due", "pk").values_list("pk", "delay")[:limit]
    return {pk: kinds(which) for pk, which in found}


def listed(
    *, state: str = "any", owner: str = "", due_before: datetime | None = None
) -> "QuerySet[Remediation]":
    """Return remediations: open or closed ones, of an owner, due before an instant."""
    by_state = {"open": open_now, "closed": closed_now}
    found = by_state.get(state, Remediation.objects.all)()
    if owner:
        found = found.filter(owner=owner)
    if due_before is not None:
        due = Least("due_at", "request__due_at")
        found = found.annotate(due=due).filter(due__lt=due_before)
    return found.order_by("uuid")


def remediation(uuid: UUID) -> Remedied:
    """Return one remediation as it stands, or raise `NotFoundError`."""
    found = Remediation.objects.filter(uuid=uuid)
    if not found:
        raise NotFoundError("no such remediation is known")
    return standings(found)[0]


def of_measure(uuid: UUID) -> Remedied:
    """Return the remediation that a measure is part of, as it stands, or raise `NotFoundError`."""
    found = Remediation.objects.filter(measures__uuid=uuid)
    if not found:
        raise NotFoundError("no such measure is known")
    return standings(found)[0]


def measure(of: Remedied, uuid: UUID) -> RemediationMeasure:
    """Return one of the measures of a remediation, or raise `NotFoundError`."""
    for each in of.measures:
        if each.uuid == uuid:
            return each
    raise NotFoundError("no such measure of this remediation is known")


def standings(found: "QuerySet[Remediation] | Iterable[Remediation]") -> list[Remedied]:
    """Return remediations as they stand, in their order, with three queries for all."""
    keys = [each.pk for each in found]
    if not keys:
        return []
    rows = (
        Remediation.objects.filter(pk__in=keys)
        .annotate(closing_measure=Subquery(_closing_one().order_by("pk").values("pk")[:1]))
        .select_related(
            "request", "model_version__model__dataset", "model_version__version",
            "closed_by__model__dataset", "closed_by__version",
        )
    ).in_bulk()  # fmt: skip
    measures: defaultdict[int, list[RemediationMeasure]] = defaultdict(list)
    taken = RemediationMeasure.objects.filter(remediation__in=keys).select_related(
        "by", "approved_by"
    )
    for each in taken.order_by("pk"):
        measures[each.remediation_id].append(each)
    holding = frozenset(in_force().filter(remediation__in=keys).values_list("pk", flat=True))
    places = _deployments([each.model_version_id for each in rows.values()])
    return [
        Remedied(
            rows[pk], measures[pk],
            next((m for m in measures[pk] if m.pk == rows[pk].closing_measure), None),
            places[rows[pk].model_version_id], holding,
        )
        for pk in keys
    ]  # fmt: skip


def _closing_one() -> "QuerySet[RemediationMeasure]":
    return closing().filter(remediation=OuterRef("pk"))


def _deployments(model_versions: Collection[int]) -> defaultdict[int, list[Deployment]]:
    found: defaultdict[int, list[Deployment]] = defaultdict(list)
    for each in Deployment.objects.filter(model_version__in=model_versions).order_by("since", "pk"):
        found[each.model_version_id].append(each)
    return found
