"""Recording what people decide."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from consent.models import ConsentDecision, DecisionImport, NoticeVersion, Subject, Unweighed
from consent.rules import DecisionKind, DecisionSource
from consent.selectors.subjects import key_of
from consent.services import standings
from governance.crypto import SealingKey
from governance.errors import ColophonError
from governance.models import Purpose, WebhookKind
from governance.services import ledger, webhooks


class IdempotencyKeyReusedError(ColophonError):
    """The key stands for something else that was said; nothing was changed."""

    code = "idempotency_key_reused"
    status = 409


class DecidedInTheFutureError(ColophonError):
    """The decision is dated more than five minutes ahead of the database's clock."""

    code = "decided_in_the_future"
    status = 422


class ValidityImpossibleError(ColophonError):
    """Only a "yes" can run out, and only after it was said."""

    code = "validity_impossible"
    status = 422


class ReasonMissingError(ColophonError):
    """Whoever speaks for somebody else says by which right; an operator says why."""

    code = "reason_missing"
    status = 422


class NoticeNotPublishedError(ColophonError):
    """Nobody can have seen a draft."""

    code = "notice_not_published"
    status = 409


class NoticeWithoutPurposeError(ColophonError):
    """The notice does not say that data is used for this purpose."""

    code = "notice_without_purpose"
    status = 422


@dataclass(frozen=True, slots=True)
class Recorded:
    """A decision, and whether it had been recorded before."""

    decision: ConsentDecision
    replayed: bool


@transaction.atomic
def record(
    *,
    subject: Subject,
    purpose: Purpose,
    kind: DecisionKind,
    decided_at: datetime,
    key: UUID,
    source: DecisionSource = DecisionSource.PERSON,
    notice_version: NoticeVersion | None = None,
    valid_until: datetime | None = None,
    reason: str = "",
    imported_by: DecisionImport | None = None,
) -> Recorded:
    """Record a decision once; the same key and facts again return the first outcome.

    Raises `SubjectErasedError`, `SubjectUnregisteredError` and the errors of this module.
    """
    facts = {
        "purpose": purpose,
        "kind": DecisionKind(kind).value,
        "decided_at": decided_at,
        "source": DecisionSource(source).value,
        "notice_version": notice_version,
        "valid_until": valid_until,
    }
    if DecisionSource(source).needs_reason and not reason.strip():
        raise ReasonMissingError("say by which right this is said for the person, or why")
    sealing = key_of(subject)
    if notice_version is not None:
        _refuse_unseen(notice_version, purpose)
    sealed = sealing.seal(reason.encode(), _reason_place(subject, key)) if reason else None
    extra = {"reason_sealed": sealed, "imported_by": imported_by}
    decision, created = _kept_once(subject, key, {**facts, **extra})
    if created:
        _tell(decision, sealing)
    elif _differs(decision, facts) or reason_of(decision, sealing) != reason:
        raise IdempotencyKeyReusedError("this key stands for another decision", key=str(key))
    return Recorded(decision, replayed=not created)


def _kept_once(
    subject: Subject, key: UUID, facts: Mapping[str, Any]
) -> tuple[ConsentDecision, bool]:
    try:
        return subject.decisions.get_or_create(idempotency_key=key, defaults=facts)
    except IntegrityError as error:
        _explain(error)
        raise


def _tell(decision: ConsentDecision, sealing: SealingKey) -> None:
    """Leave it to be weighed against trainings, tell pipelines of a "no", and tell the ledger."""
    Unweighed.objects.create(decision=decision)
    standings.leave_word(decision)
    if not DecisionKind(decision.kind).is_yes:
        about = decision.purpose.key
        webhooks.announce(
            kind=WebhookKind.PERMISSION_CHANGED, facts={"purpose": about}, about=about
        )
    ledger.append(
        kind="decision.recorded",
        facts=decision.evidence(),
        key=sealing,
        sealed_for=decision.subject.uuid,
    )


def reason_of(decision: ConsentDecision, key: SealingKey) -> str:
    """Return why a decision was written down for somebody else, or by which right."""
    if decision.reason_sealed is None:
        return ""
    place = _reason_place(decision.subject, decision.idempotency_key)
    return key.open(bytes(decision.reason_sealed), place).decode()


def _reason_place(subject: Subject, key: UUID) -> str:
    return f"consent_consentdecision/{subject.uuid}/{key}/reason"


def _differs(decision: ConsentDecision, facts: Mapping[str, Any]) -> bool:
    return any(getattr(decision, name) != value for name, value in facts.items())


def _refuse_unseen(notice_version: NoticeVersion, purpose: Purpose) -> None:
    if notice_version.published_at is None:
        raise NoticeNotPublishedError("the notice is a draft")
    if not notice_version.purposes.filter(pk=purpose.pk).exists():
        raise NoticeWithoutPurposeError("the notice does not name this purpose")


def _explain(error: IntegrityError) -> None:
    """Raise our error for a constraint that a caller can break."""
    broken = getattr(getattr(error.__cause__, "diag", None), "constraint_name", None)
    if broken == "consent_decision_not_in_the_future":
        raise DecidedInTheFutureError("the decision is dated in the future") from None
    if broken == "consent_decision_only_a_yes_expires":
        raise ValidityImpossibleError("only a yes expires, and after it was given") from None
