"""What a person who has signed in may see: their own data, uses, decisions and requests."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import F

from consent import rules
from consent.identifiers import EMAIL
from consent.models import (
    ConsentDecision,
    MembershipSpan,
    NoticeVersion,
    RequestKind,
    RightsRequest,
    Subject,
)
from consent.rules import DecisionKind, Standing
from consent.selectors import membership, requests, subjects, uses
from consent.selectors.decisions import decided_by
from consent.selectors.persons import rows_of
from consent.selectors.requests import ENDED
from consent.selectors.restrictions import is_restricted
from governance.models import Dataset, LegalBasis, Purpose
from governance.selectors.rules import chains
from lineage.models import DatasetVersion, Run
from lineage.openlineage import RunState
from lineage.selectors import walk

LANGUAGE = "en"  # what the pages are written in; a notice in it is shown before any other


@dataclass(frozen=True, slots=True)
class Identity:
    """Whom an address stands for: somebody, somebody who was erased, or nobody we know."""

    subject: Subject | None
    erased_at: datetime | None


@dataclass(frozen=True, slots=True)
class Holding:
    """A data set that holds a person, from one version until another or still.

    ``since`` is empty where the person was there before anything was recorded.
    """

    dataset: Dataset
    since: datetime | None
    until: datetime | None


@dataclass(frozen=True, slots=True)
class Step:
    """One station of the way from a person's data to a model; ``job`` wrote it, if one did."""

    namespace: str
    name: str
    job: str


@dataclass(frozen=True, slots=True)
class ModelUse:
    """A use, with its way told from the data to the model, and how the training ended."""

    use: uses.Use
    state: RunState
    way: list[Step]


@dataclass(frozen=True, slots=True)
class Position:
    """Where a person stands on one purpose.

    ``decision`` is the one that this rests on; it may be about a wider purpose. ``notice`` is the
    published text to read before agreeing.
    """

    purpose: Purpose
    standing: Standing
    permitted: bool
    decision: ConsentDecision | None
    notice: NoticeVersion | None


def identity(address: str) -> Identity:
    """Answer whom an e-mail address stands for, or raise `IdentifierMalformedError`."""
    subject = subjects.by_identifier(EMAIL, address)
    if subject is not None:
        return Identity(subject, None)
    return Identity(None, subjects.erased_at(EMAIL, address))


def subject_named(uuid: UUID) -> Subject | None:
    """Return a person by public name, or nobody."""
    return Subject.objects.filter(uuid=uuid).first()


def is_registered(subject: Subject) -> bool:
    """Say whether a person has a key; one who is known from a manifest only has none."""
    return Subject.objects.filter(pk=subject.pk, key__isnull=False).exists()


def holdings(subject: Subject) -> list[Holding]:
    """Answer which data sets hold a person now, and which did, by name."""
    rows = membership.spans_of(rows_of(subject)).select_related("dataset", "since", "until")
    found: list[tuple[MembershipSpan, DatasetVersion | None]] = []
    for row in rows.order_by(
        "dataset__namespace", "dataset__name", "since__complete_at", "since", "pk"
    ):
        last, until = found[-1] if found else (None, None)
        if last and last.dataset == row.dataset and (until is None or _at(row.since) < _at(until)):
            # Another row of the person, in the same data set meanwhile: one stay of theirs.
            ends = None if until is None or row.until is None else max(until, row.until, key=_at)
            found[-1] = (last, ends)
        else:
            found.append((row, row.until))
    return [
        Holding(
            row.dataset,
            None if row.since.kind == DatasetVersion.Kind.ORIGIN else row.since.complete_at,
            until.complete_at if until else None,
        )
        for row, until in found
    ]


def _at(version: DatasetVersion) -> tuple[datetime, int]:
    return version.complete_at, version.pk


def model_uses(subject: Subject) -> list[ModelUse]:
    """Answer which model versions used a person's data, the latest first, each with its way."""
    found = [(use, use.way) for use in uses.models_of(subject)]
    stations = _stations([version for _, way in found for version in way])
    runs = Run.objects.in_bulk({use.model_version.version.run_id for use, _ in found} - {None})
    told = []
    for use, up in found:
        way = [stations[version] for version in reversed(up)]
        run = runs.get(use.model_version.version.run_id)
        told.append(ModelUse(use, RunState(run.state) if run else RunState.HEARD_OF, way))
    return told


def _stations(versions: Sequence[int]) -> dict[int, Step]:
    """Name many versions with two queries."""
    distinct = sorted(set(versions))
    steps = walk.described(distinct)
    runs = Run.objects.filter(uuid__in=[step.run for step in steps if step.run])
    jobs = dict(runs.values_list("uuid", "job__name"))
    return {
        version: Step(step.namespace, step.name, jobs.get(step.run, "") if step.run else "")
        for version, step in zip(distinct, steps, strict=True)
    }


def positions(subject: Subject | None, at: datetime) -> list[Position]:
    """Answer where a person stands on every purpose, wider ones before narrower ones.

    Somebody nobody knows has said nothing yet, and can.
    """
    said: defaultdict[int, list[ConsentDecision]] = defaultdict(list)
    if subject is not None:
        decided = decided_by(rows_of(subject))
        for each in decided.select_related("purpose", "notice_version__notice"):
            said[each.purpose_id].append(each)
    notices = _notices()
    ordered = sorted(chains().values(), key=lambda chain: [each.title for each in chain[::-1]])
    restricted = subject is not None and is_restricted(subject, at)
    return [
        _position(
            chain[0], [said[each.pk] for each in chain], notices.get(chain[0].pk), at, restricted
        )
        for chain in ordered
    ]


def position(subject: Subject | None, key: str, at: datetime) -> Position | None:
    """Answer where a person stands on one purpose, or nothing if there is no such purpose."""
    found = [each for each in positions(subject, at) if each.purpose.key == key]
    return found[0] if found else None


def _position(
    purpose: Purpose,
    levels: list[list[ConsentDecision]],
    notice: NoticeVersion | None,
    at: datetime,
    restricted: bool,
) -> Position:
    standing = rules.standing_within(levels, at)
    basis = LegalBasis(purpose.legal_basis)
    permitted = rules.permitted(basis, standing, restricted=restricted)
    decision = rules.deciding(levels, at)
    return Position(purpose, standing, permitted, decision, notice)


def _notices() -> dict[int, NoticeVersion]:
    """Return for each purpose the text to read: in the pages' language, and of those the latest."""
    published = NoticeVersion.objects.filter(published_at__isnull=False)
    pairs = published.annotate(about=F("purposes")).filter(about__isnull=False)
    ordered = sorted(
        pairs.select_related("notice"),
        key=lambda each: (each.language.partition("-")[0] == LANGUAGE, each.published_at, each.pk),
    )
    return {each.about: each for each in ordered}


def has_said(subject: Subject, *, key: UUID, purpose: Purpose, kind: DecisionKind) -> bool:
    """Say whether a person has said exactly this under this idempotency key before."""
    return subject.decisions.filter(idempotency_key=key, purpose=purpose, kind=kind).exists()


def requests_of(subject: Subject) -> list[requests.Standing]:
    """Return a person's own requests, the latest first."""
    asked = RightsRequest.objects.filter(subject__in=rows_of(subject)).select_related("subject")
    return [requests.standing_of(each) for each in asked.order_by("-received_at", "-pk")]


def erasure_under_way(asked: Iterable[requests.Standing]) -> RightsRequest | None:
    """Return the first erasure among requests that has not ended, if there is one."""
    for each in asked:
        if each.request.kind == RequestKind.ERASURE and each.state not in ENDED:
            return each.request
    return None
