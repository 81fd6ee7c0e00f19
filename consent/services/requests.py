"""Open rights requests and answer them."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar
from uuid import UUID, uuid5

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from consent.deadlines import Law
from consent.models import (
    AT_ONCE,
    RequestKind,
    RequestSource,
    RightsRequest,
    Subject,
    SubjectKey,
)
from consent.rules import DecisionKind, DecisionSource
from consent.selectors import access
from consent.selectors import requests as known
from consent.selectors.persons import rows_of
from consent.selectors.request_texts import ANSWER, DETAILS, REASON, sealed
from consent.selectors.restrictions import unlifted
from consent.selectors.subjects import SubjectErasedError, SubjectUnregisteredError
from consent.services import decisions, notifying, restricting
from consent.services.clock import end_pause
from consent.services.telling import (
    RequestEndedError,
    Told,
    held,
    held_open,
    record,
    record_many,
)
from governance.constraints import broken_by
from governance.errors import ColophonError
from governance.models import LegalBasis, Purpose
from governance.strictjson import JSON

__all__ = [
    "Told",
    "answer",
    "confirm_identity",
    "correct",
    "open_automatic",
    "open_erasure",
    "open_request",
    "record",
    "record_many",
    "take_back_every_permission",
]

# What two callers who open at the same time can break: the later one looks again, and joins.
_RACES = {
    "consent_request_key_once",
    "consent_request_one_open",
    "consent_restriction_one_in_force",
}
_ATTEMPTS = 5


class DetailsMissingError(ColophonError):
    """Nobody can put right what is not named."""

    code: ClassVar[str] = "details_missing"
    status: ClassVar[int] = 422


class NotToBeAnsweredError(ColophonError):
    """Whoever asks is not known yet, or the request ends otherwise than by an answer."""

    code: ClassVar[str] = "request_not_to_be_answered"
    status: ClassVar[int] = 409


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What is asked for; its texts have no repr, so that they cannot end in a log."""

    subject: Subject
    kind: RequestKind
    key: UUID
    verified: bool
    source: DecisionSource
    law: Law
    purposes: Collection[Purpose] | None
    reason: str = field(repr=False)
    details: str = field(repr=False)


@transaction.atomic
def open_request(
    *,
    subject: Subject,
    kind: RequestKind,
    key: UUID,
    verified: bool,
    source: DecisionSource = DecisionSource.PERSON,
    reason: str = "",
    details: str = "",
    law: Law | None = None,
    purposes: Collection[Purpose] | None = None,
) -> RightsRequest:
    """Receive a request once; the same key again returns the first.

    ``verified`` says that the person's identity is checked, as by signing in. Whoever asks for
    somebody else says by which right (``reason``). ``details`` is what is to be put right, and
    ``purposes`` what is objected to; none means all. A "no" in it counts at once, whoever asks:
    an erasure takes back every permission, an objection and a restriction are complete with it.

    While a request of the same kind is open, this one is joined to it, and confirms its identity.
    What is said on one row counts for all rows of the person. Raises `IdempotencyKeyReusedError`,
    `SubjectErasedError`, and what `_refuse_unusable` and sealing raise.
    """
    asked = _Asked(
        subject=subject, kind=RequestKind(kind), key=key, verified=verified, reason=reason,
        source=DecisionSource(source), law=Law(law or settings.COLOPHON_LAW), details=details,
        purposes=purposes,
    )  # fmt: skip
    for attempt in range(_ATTEMPTS):
        found = RightsRequest.objects.filter(subject=subject, idempotency_key=key).first()
        if found is not None:
            return _same(found, asked)
        try:
            with transaction.atomic():
                return _opened(asked)
        except IntegrityError as error:
            if broken_by(error) not in _RACES or attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError("unreachable")


def open_erasure(*, subject: Subject, key: UUID, verified: bool) -> RightsRequest:
    """Receive the person's own request to be erased, as `open_request` does."""
    return open_request(subject=subject, kind=RequestKind.ERASURE, key=key, verified=verified)


@transaction.atomic
def open_automatic(*, subject: Subject, key: UUID) -> RightsRequest:
    """Open an erasure that nobody has to ask for again, with a clock of its own.

    It is verified, because the first was. The same key again returns the first.
    """
    now = timezone.now()
    request, _ = RightsRequest.objects.get_or_create(
        subject=subject,
        idempotency_key=key,
        defaults={
            "kind": RequestKind.ERASURE, "source": RequestSource.AUTOMATIC,
            "law": settings.COLOPHON_LAW, "received_at": now, "verified_at": now,
            "due_at": known.due_if_asked(now),
        },
    )  # fmt: skip
    return request


def take_back_every_permission(request: RightsRequest) -> None:
    """Let nothing be permitted any more, from when an erasure was received."""
    _take_back(request, Purpose.objects.order_by("pk"), DecisionSource.PERSON)


@transaction.atomic
def confirm_identity(*, request: RightsRequest) -> None:
    """Note that the person is who they say; what follows does so by itself.

    Of a request that was joined to another, it is the other that waited for it. Doing it twice is
    harmless. Raises `RequestEndedError` where the request was refused.
    """
    found = held(request)
    if found.duplicate_of is not None:
        found = held(found.duplicate_of)
    if found.refused_at is not None:
        raise RequestEndedError("the request was refused")
    if found.verified_at is None:
        found.verified_at = timezone.now()
        found.save(update_fields=["verified_at"])
        end_pause(found)
        record(found, "request.verified", {})
        if found.kind == RequestKind.RESTRICTION:
            notifying.open_for(found)


@transaction.atomic
def answer(*, request: RightsRequest, facts: Mapping[str, JSON] | None = None) -> None:
    """Note that the person was given what they asked for: the copy of their data, once.

    It is how whatever prepares the copy completes a request for access or portability, in the
    transaction in which the copy is there to be fetched; ``facts``, which name nobody, go into
    the ledger. Raises `NotToBeAnsweredError`, `RequestJoinedError` and `RequestEndedError`.
    """
    _answer(request, (RequestKind.ACCESS, RequestKind.PORTABILITY), facts or {})


@transaction.atomic
def correct(*, request: RightsRequest, reason: str) -> None:
    """Note what a person has put right, or that there was nothing to; raise as `answer` does."""
    notifying.open_for(_answer(request, (RequestKind.RECTIFICATION,), {}, reason))


def _same(found: RightsRequest, asked: _Asked) -> RightsRequest:
    if found.kind != asked.kind:
        raise decisions.IdempotencyKeyReusedError(
            "this key stands for another request", key=str(asked.key)
        )
    return found


def _opened(asked: _Asked) -> RightsRequest:
    _refuse_unusable(asked)
    now, first = timezone.now(), _first(asked)
    done = now if first is None and asked.kind in AT_ONCE else None
    request = RightsRequest(
        subject=asked.subject, kind=asked.kind, source=asked.source.value, law=asked.law.value,
        idempotency_key=asked.key, received_at=now, verified_at=now if asked.verified else None,
        duplicate_of=first, answered_at=done, completion_recorded_at=done,
        due_at=first.due_at if first else known.due_if_asked(now, asked.law),
    )  # fmt: skip
    request.reason_sealed = sealed(request, REASON, asked.reason)
    request.details_sealed = sealed(request, DETAILS, asked.details)
    request.save(force_insert=True)
    _say_no(request, asked)
    facts: dict[str, JSON] = {"kind": request.kind, "verified": asked.verified}
    facts |= {"source": request.source, "law": request.law}
    if first is not None:
        record(request, "request.joined", {**facts, "first": str(first.uuid)})
        if asked.verified:
            confirm_identity(request=first)
        return request
    told = [Told(request, "request.received", facts)]
    record_many([*told, Told(request, "request.completed", {})] if done else told)
    if asked.kind is RequestKind.RESTRICTION:
        notifying.open_for(request)
    return request


def _refuse_unusable(asked: _Asked) -> None:
    if Subject.objects.filter(pk=asked.subject.pk, erased_at__isnull=False).exists():
        raise SubjectErasedError("the person was erased", subject=str(asked.subject.uuid))
    if asked.kind in access.KINDS and not SubjectKey.objects.filter(subject=asked.subject).exists():
        raise SubjectUnregisteredError("register the person first: a copy is sealed for them")
    if asked.source.needs_reason and not asked.reason.strip():
        raise decisions.ReasonMissingError("say by which right this is asked for the person")
    if (asked.kind is RequestKind.RECTIFICATION) != bool(asked.details.strip()):
        raise DetailsMissingError("say what is wrong, in a rectification and nowhere else")


def _first(asked: _Asked) -> RightsRequest | None:
    """Return the request that this one is joined to, held, if there is one.

    An open one is; of restrictions, one that is in force. What objects anew says something new.
    """
    if asked.kind is RequestKind.RESTRICTION:
        restriction = unlifted(asked.subject)
        return restriction.request if restriction else None
    waiting = known.under_way().filter(subject__in=rows_of(asked.subject), kind=asked.kind)
    return waiting.select_for_update(no_key=True).first()


def _say_no(request: RightsRequest, asked: _Asked) -> None:
    """Do what must not wait: the gate answers by it from now on."""
    if asked.kind is RequestKind.RESTRICTION:
        if request.duplicate_of_id is None:
            restricting.begin(request, since=request.received_at)
        return
    if asked.kind not in {RequestKind.ERASURE, RequestKind.OBJECTION}:
        return
    every = Purpose.objects.order_by("pk") if asked.purposes is None else asked.purposes
    _take_back(request, every, asked.source, asked.reason)


def _take_back(
    request: RightsRequest, every: Iterable[Purpose], source: DecisionSource, reason: str = ""
) -> None:
    withdrawn = request.kind == RequestKind.ERASURE
    said = []
    for purpose in every:
        taken = withdrawn and purpose.legal_basis == LegalBasis.CONSENT
        kind = DecisionKind.WITHDRAWN if taken else DecisionKind.OBJECTED
        said.append(
            decisions.Said(
                purpose=purpose, kind=kind, decided_at=request.received_at, source=source,
                reason=reason, key=_key_for(request, purpose),
            )
        )  # fmt: skip
    decisions.record_each(subject=request.subject, said=said)


def _key_for(request: RightsRequest, purpose: Purpose) -> UUID:
    """Return a key that is the same whenever this request speaks of this purpose."""
    return uuid5(request.uuid, str(purpose.uuid))


def _answer(
    request: RightsRequest,
    kinds: Collection[RequestKind],
    facts: Mapping[str, JSON],
    text: str = "",
) -> RightsRequest:
    found = held_open(request)
    if found.verified_at is None or found.kind not in kinds:
        raise NotToBeAnsweredError("its identity is not confirmed, or it ends otherwise")
    found.answered_at = found.completion_recorded_at = timezone.now()
    found.answer_sealed = sealed(found, ANSWER, text)
    found.save(update_fields=["answered_at", "completion_recorded_at", "answer_sealed"])
    record(found, "request.completed", facts)
    return found
