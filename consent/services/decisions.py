"""Recording what people decide."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from consent.models import ConsentDecision, DecisionImport, NoticeVersion, Subject, Unweighed
from consent.rules import DecisionKind, DecisionSource
from consent.selectors.subjects import key_of
from consent.services import standings
from governance.constraints import broken_by
from governance.crypto import SealingKey
from governance.errors import ColophonError
from governance.models import Purpose, WebhookKind
from governance.services import ledger, webhooks

KEY_ONCE = "consent_decision_key_once"
ATTEMPTS = 3


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a person says of a purpose. ``key`` is the same whenever the same is said again."""

    purpose: Purpose
    kind: DecisionKind
    decided_at: datetime
    key: UUID
    source: DecisionSource = DecisionSource.PERSON
    notice_version: NoticeVersion | None = None
    valid_until: datetime | None = None
    reason: str = field(default="", repr=False)
    imported_by: DecisionImport | None = None

    def facts(self) -> dict[str, Any]:
        """Return what is the same whenever it is said again."""
        return {
            "purpose": self.purpose,
            "kind": DecisionKind(self.kind).value,
            "decided_at": self.decided_at,
            "source": DecisionSource(self.source).value,
            "notice_version": self.notice_version,
            "valid_until": self.valid_until,
        }


@dataclass(frozen=True, slots=True)
class Recorded:
    """A decision, and whether it had been recorded before."""

    decision: ConsentDecision
    replayed: bool


def record(*, subject: Subject, **said: Any) -> Recorded:
    """Record one thing that a person says, a `Said`, as `record_each` does."""
    return record_each(subject=subject, said=[Said(**said)])[0]


@transaction.atomic
def record_each(*, subject: Subject, said: Sequence[Said]) -> list[Recorded]:
    """Record what a person says, each thing once; the same again returns the first outcome.

    All of it is recorded, or nothing. Raises `SubjectErasedError`, `SubjectUnregisteredError` and
    the errors of this module.
    """
    if not said:
        return []
    if any(DecisionSource(each.source).needs_reason and not each.reason.strip() for each in said):
        raise ReasonMissingError("say by which right this is said for the person, or why")
    sealing = key_of(subject)
    for each in said:
        if each.notice_version is not None:
            _refuse_unseen(each.notice_version, each.purpose)
    known, made = _kept_once(subject, said, sealing)
    for each in said:
        if each.key in known:
            _refuse_another(known[each.key], each, sealing)
    _tell(list(made.values()), sealing)
    return [
        Recorded(known.get(each.key) or made[each.key], replayed=each.key in known) for each in said
    ]


Kept = dict[UUID, ConsentDecision]


def _kept_once(subject: Subject, said: Sequence[Said], sealing: SealingKey) -> tuple[Kept, Kept]:
    """Return, by key, what was recorded before, and what is now."""
    for attempt in range(ATTEMPTS):
        before = subject.decisions.filter(idempotency_key__in=[each.key for each in said])
        known = {
            each.idempotency_key: each
            for each in before.select_related("purpose", "notice_version")
        }
        new = [_decision(subject, each, sealing) for each in said if each.key not in known]
        try:
            with transaction.atomic():
                made = ConsentDecision.objects.bulk_create(new)
        except IntegrityError as error:
            # Who says the same at the same time is known when we look again.
            if broken_by(error) != KEY_ONCE or attempt == ATTEMPTS - 1:
                _explain(error)
                raise
        else:
            return known, {each.idempotency_key: each for each in made}
    raise AssertionError("unreachable")


def _decision(subject: Subject, said: Said, sealing: SealingKey) -> ConsentDecision:
    place = _reason_place(subject, said.key)
    return ConsentDecision(
        subject=subject, idempotency_key=said.key, imported_by=said.imported_by,
        reason_sealed=sealing.seal(said.reason.encode(), place) if said.reason else None,
        **said.facts(),
    )  # fmt: skip


def _refuse_another(decision: ConsentDecision, said: Said, sealing: SealingKey) -> None:
    facts = said.facts()
    differs = any(getattr(decision, name) != value for name, value in facts.items())
    if differs or reason_of(decision, sealing) != said.reason:
        raise IdempotencyKeyReusedError("this key stands for another decision", key=str(said.key))


def _tell(decisions: Sequence[ConsentDecision], sealing: SealingKey) -> None:
    """Leave it to be weighed against trainings, tell pipelines of a "no", and tell the ledger."""
    if not decisions:
        return
    Unweighed.objects.bulk_create(Unweighed(decision=each) for each in decisions)
    standings.leave_word(decisions)
    refused = [each.purpose.key for each in decisions if not DecisionKind(each.kind).is_yes]
    announce_change(refused)
    ledger.append_many(
        [
            ledger.Happening(
                kind="decision.recorded", facts=each.evidence(), key=sealing,
                sealed_for=each.subject.uuid,
            )
            for each in decisions
        ]
    )  # fmt: skip


def announce_change(purposes: Iterable[str]) -> None:
    """Tell pipelines that for some purposes the gate may answer otherwise now, and not of whom."""
    webhooks.announce_each(
        kind=WebhookKind.PERMISSION_CHANGED, told=[({"purpose": each}, each) for each in purposes]
    )


def reason_of(decision: ConsentDecision, key: SealingKey) -> str:
    """Return why a decision was written down for somebody else, or by which right."""
    if decision.reason_sealed is None:
        return ""
    place = _reason_place(decision.subject, decision.idempotency_key)
    return key.open(bytes(decision.reason_sealed), place).decode()


def _reason_place(subject: Subject, key: UUID) -> str:
    return f"consent_consentdecision/{subject.uuid}/{key}/reason"


def _refuse_unseen(notice_version: NoticeVersion, purpose: Purpose) -> None:
    if notice_version.published_at is None:
        raise NoticeNotPublishedError("the notice is a draft")
    if not notice_version.purposes.filter(pk=purpose.pk).exists():
        raise NoticeWithoutPurposeError("the notice does not name this purpose")


def _explain(error: IntegrityError) -> None:
    """Raise our error for a constraint that a caller can break."""
    broken = broken_by(error)
    if broken == "consent_decision_not_in_the_future":
        raise DecidedInTheFutureError("the decision is dated in the future") from None
    if broken == "consent_decision_only_a_yes_expires":
        raise ValidityImpossibleError("only a yes expires, and after it was given") from None
