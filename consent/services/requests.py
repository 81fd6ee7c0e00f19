"""Open rights requests and settle what only a person can settle."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID, uuid5

from django.db import transaction
from django.utils import timezone

from consent.deadlines import one_month_after
from consent.models import (
    ErasureStep,
    RequestKind,
    RequestRecord,
    RequestSource,
    RightsRequest,
    Subject,
)
from consent.rules import DecisionKind, DecisionSource
from consent.services import decisions
from governance.errors import ColophonError
from governance.models import LegalBasis, Purpose
from governance.services import ledger
from governance.strictjson import JSON


class StepSettledError(ColophonError):
    """The step has its outcome, or is being worked on."""

    code: ClassVar[str] = "step_not_open"
    status: ClassVar[int] = 409


@transaction.atomic
def open_erasure(*, subject: Subject, key: UUID, verified: bool) -> RightsRequest:
    """Receive an erasure request once; the same key again returns the first.

    ``verified`` says that the person's identity is checked, as by signing in. The request takes
    back every permission at once: the gate must not wait for the erasure.
    """
    now = timezone.now()
    request, created = RightsRequest.objects.get_or_create(
        subject=subject,
        idempotency_key=key,
        defaults={
            "kind": RequestKind.ERASURE,
            "due_at": one_month_after(now),
            "verified_at": now if verified else None,
        },
    )
    if created:
        take_back_every_permission(request)
        record(request, "request.received", {"kind": request.kind, "verified": verified})
    return request


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
            "kind": RequestKind.ERASURE,
            "source": RequestSource.AUTOMATIC,
            "due_at": one_month_after(now),
            "verified_at": now,
        },
    )
    return request


@transaction.atomic
def confirm_identity(*, request: RightsRequest) -> None:
    """Note that the person is who they say; the plan follows by itself."""
    found = RightsRequest.objects.filter(pk=request.pk, verified_at=None)
    if found.update(verified_at=timezone.now()):
        record(request, "request.verified", {})


@transaction.atomic
def settle_step(*, step: ErasureStep, outcome: ErasureStep.Outcome, code: str, reason: str) -> None:
    """Give a step that no connector can carry out its outcome, on a person's word."""
    found = ErasureStep.objects.filter(pk=step.pk, state=ErasureStep.State.BLOCKED)
    now = timezone.now()
    settled = found.update(
        state=ErasureStep.State.DONE, outcome=outcome, code=code, reason=reason, finished_at=now
    )
    if not settled:
        raise StepSettledError("only a blocked step can be settled by hand")
    record(step.request, "erasure.settled", {"step": str(step.uuid), "outcome": outcome})


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that happened to a request. The facts name no person, so they stay readable."""

    request: RightsRequest
    kind: str
    facts: Mapping[str, JSON]


def record(request: RightsRequest, kind: str, facts: Mapping[str, JSON]) -> None:
    """Tell the ledger, last in a transaction, and remember which record tells it."""
    record_many([Told(request, kind, facts)])


def record_many(told: Iterable[Told]) -> None:
    """Tell the ledger of many things at once, in their order."""
    told = list(told)
    records = ledger.append_many(
        [
            ledger.Happening(
                kind=each.kind, facts={"request": str(each.request.uuid), **each.facts}
            )
            for each in told
        ]
    )
    RequestRecord.objects.bulk_create(
        RequestRecord(request=each.request, record=record, kind=each.kind)
        for each, record in zip(told, records, strict=True)
    )


def take_back_every_permission(request: RightsRequest) -> None:
    """Let nothing be permitted any more from when the request was received."""
    for purpose in Purpose.objects.order_by("pk"):
        by_consent = purpose.legal_basis == LegalBasis.CONSENT
        decisions.record(
            subject=request.subject,
            purpose=purpose,
            kind=DecisionKind.WITHDRAWN if by_consent else DecisionKind.OBJECTED,
            decided_at=request.received_at,
            source=DecisionSource.PERSON,
            key=_key_for(request, purpose),
        )


def _key_for(request: RightsRequest, purpose: Purpose) -> UUID:
    """Return a key that is the same whenever this request speaks of this purpose."""
    return uuid5(request.uuid, str(purpose.uuid))
