"""A person's own page: where their data is, what it made, and what they allow."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from consent.models import NoticeVersion, Subject
from consent.portal import prose, visits, words
from consent.portal.forms import DecisionForm
from consent.portal.pages import personal, shown
from consent.portal.rights import lines as asked_lines
from consent.portal.visits import Visitor
from consent.rules import NO, DecisionKind, DecisionSource, Standing
from consent.selectors import portal, restrictions, signals
from consent.selectors.portal import ModelUse, Position
from consent.services import decisions
from consent.services import signals as heeding
from governance.errors import ColophonError
from governance.legal import LegalBasis, Need, need_of
from governance.models import Purpose
from governance.selectors import rules
from lineage.selectors import transparency


class NothingToDecideError(ColophonError):
    """The page was outdated, or somebody wrote the form by hand; nothing was changed."""

    code = "nothing_to_decide"
    status = 409


@dataclass(frozen=True, slots=True)
class Button:
    """A decision that one press records."""

    kind: DecisionKind
    label: str
    key: UUID


@dataclass(frozen=True, slots=True)
class Line:
    """One purpose on the page: where the person stands, in words, and what they can press."""

    position: Position
    basis: words.Basis
    standing: str
    notice: list[prose.Block]
    buttons: list[Button]


@dataclass(frozen=True, slots=True)
class Made:
    """One model version on the page."""

    told: ModelUse
    certainty: words.Term
    ending: str


@dataclass(frozen=True, slots=True)
class Signal:
    """What the browser asks, and what that is about: ``heeded`` already, or ``meant`` only.

    ``known`` is whether any policy says what it means.
    """

    heeded: list[Purpose]
    meant: list[Purpose]
    known: bool


@require_safe
@personal
def overview(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    """Show everything that is known of the person, or that nothing is.

    It is also where a browser's privacy signal is heeded: whoever signs in comes here.
    """
    subject = _heeded(request, visitor)
    held = portal.holdings(subject) if subject else []
    asked = portal.requests_of(subject) if subject else []
    under_way = portal.erasure_under_way(asked)
    positions = portal.positions(subject, timezone.now())
    lines = [_line(each, may_agree=under_way is None) for each in positions]
    context = {
        "held": [each for each in held if each.until is None],
        "left": [each for each in held if each.until is not None],
        "made": [_made(each) for each in portal.model_uses(subject)] if subject else [],
        "lines": lines,
        "signal": _signal(request, subject, positions),
        "requests": asked_lines(asked),
        "under_way": under_way,
        "restriction": restrictions.unlifted(subject) if subject else None,
        "pending": not transparency.pending().nothing,
        "certainties": list(words.CERTAINTY.values()),
    }
    return shown(request, "me", context)


def _heeded(request: HttpRequest, visitor: Visitor) -> Subject | None:
    """Record what the browser's signal means, and return the person.

    It is a decision, so somebody who is known from a list is registered for it; for somebody
    whom nobody knows, nothing is written.
    """
    subject, now = visitor.subject, timezone.now()
    if subject and visits.sends_privacy_signal(request) and signals.unheeded(subject, now):
        subject = visits.registered(request, visitor)
        heeding.heed(subject=subject, at=now)
    return subject


def _signal(
    request: HttpRequest, subject: Subject | None, positions: list[Position]
) -> Signal | None:
    if not visits.sends_privacy_signal(request):
        return None
    resting = [each.decision for each in positions if each.decision]
    heeded = {each.purpose for each in resting if each.source == DecisionSource.SIGNAL}
    now = timezone.now()
    return Signal(
        sorted(heeded, key=lambda each: each.title),
        [] if subject else signals.meant(None, now),
        bool(rules.policies_heeding_signals(now)),
    )


@require_POST
@personal
def decide(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    """Record what the person pressed; pressing twice records it once."""
    form = DecisionForm(request.POST)
    if not form.is_valid():
        raise NothingToDecideError("this page was out of date")
    said, now = form.cleaned_data, timezone.now()
    kind = DecisionKind(said["kind"])
    position = portal.position(visitor.subject, said["purpose"], now)
    if position is None or kind not in _sayable(position):
        raise NothingToDecideError("this page was out of date")
    if kind.is_yes:
        _refuse_unread(visitor, position, said["notice"])
    _record(visits.registered(request, visitor), position, kind, said["key"], now)
    messages.success(request, "Your decision is recorded. It counts from now on.")
    return redirect(reverse("portal:me") + f"#purpose-{position.purpose.key}")


def _refuse_unread(visitor: Visitor, position: Position, read: UUID | None) -> None:
    """Refuse a "yes" to another text than the one shown, or while everything is being erased."""
    notice = position.notice
    if notice is not None and notice.uuid != read:
        raise NothingToDecideError("the text that you would agree to has changed meanwhile")
    if visitor.subject and portal.erasure_under_way(portal.requests_of(visitor.subject)):
        raise NothingToDecideError("your data is being deleted")


def _record(
    subject: Subject, position: Position, kind: DecisionKind, key: UUID, now: datetime
) -> None:
    purpose, notice = position.purpose, position.notice
    try:
        decisions.record(
            subject=subject, purpose=purpose, kind=kind, decided_at=now, key=key,
            notice_version=notice if kind.is_yes else _seen(position),
        )  # fmt: skip
    except decisions.IdempotencyKeyReusedError:
        # The same press a second time comes with another instant, and is the same decision.
        if not portal.has_said(subject, key=key, purpose=purpose, kind=kind):
            raise


def _seen(position: Position) -> NoticeVersion | None:
    """Return the text that a "no" is about: the one agreed to, if any, or the one shown."""
    decision = position.decision
    if decision is None or decision.purpose_id != position.purpose.pk:
        return position.notice
    return decision.notice_version or position.notice


def _sayable(position: Position) -> set[DecisionKind]:
    """Return what can be said: a "no" always, a "yes" only to a text that one can read."""
    basis = LegalBasis(position.purpose.legal_basis)
    if need_of(basis) is Need.OBJECTION:
        return {DecisionKind.OBJECTED, DecisionKind.GIVEN}
    if basis != LegalBasis.CONSENT:
        return set()
    said = {DecisionKind.REFUSED, DecisionKind.WITHDRAWN}
    return said | {DecisionKind.GIVEN} if position.notice else said


def _line(position: Position, *, may_agree: bool) -> Line:
    basis = LegalBasis(position.purpose.legal_basis)
    notice = position.notice
    return Line(
        position, words.BASIS[basis], _said(position),
        prose.blocks(notice.text) if notice else [],
        [_button(each, basis) for each in _offered(position) if may_agree or not each.is_yes],
    )  # fmt: skip


def _said(position: Position) -> str:
    """Return what the person has said, or nothing where there is nothing to say."""
    if position.decision and position.decision.source == DecisionSource.SIGNAL:
        return words.SIGNALLED
    silent = position.standing == Standing.NONE and not _sayable(position)
    return "" if silent else words.STANDING[position.standing]


def _offered(position: Position) -> list[DecisionKind]:
    """Return the buttons worth showing: those that would change something, each one press."""
    sayable = _sayable(position)
    if DecisionKind.OBJECTED in sayable:
        return [DecisionKind.GIVEN if position.standing in NO else DecisionKind.OBJECTED]
    if position.standing == Standing.GIVEN:
        offered = [DecisionKind.WITHDRAWN]
    elif position.standing in NO:
        offered = [DecisionKind.GIVEN]
    else:
        offered = [DecisionKind.GIVEN, DecisionKind.REFUSED]
    return [each for each in offered if each in sayable]


def _button(kind: DecisionKind, basis: LegalBasis) -> Button:
    again = kind.is_yes and need_of(basis) is Need.OBJECTION
    return Button(kind, words.PRESS_AGAIN if again else words.PRESS[kind], uuid4())


def _made(told: ModelUse) -> Made:
    return Made(told, words.CERTAINTY[told.use.certainty], words.RUN[told.state])
