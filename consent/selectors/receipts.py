"""What the receipt of a decision rests on: the decision, its text, and its entry in the ledger."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.conf import settings

from consent.models import ConsentDecision, NoticeVersion, Subject
from consent.receipts import Controller, Named, Record, Said, Seen
from consent.rules import DecisionKind, DecisionSource
from consent.selectors import membership
from consent.selectors.persons import rows_of
from consent.selectors.subjects import key_of
from governance.crypto import SealingKey
from governance.errors import NotFoundError
from governance.models import LedgerRecord, LegalBasis, Purpose
from governance.proofs import Opening
from governance.selectors import ledger
from governance.selectors.rules import purposes

RECORDED = "decision.recorded"


@dataclass(frozen=True, slots=True)
class _Known:
    """What all receipts of one row of a person share, read once."""

    decisions: Sequence[ConsentDecision]
    purposes: dict[int, Purpose]
    categories: list[str]


def decision(uuid: UUID) -> ConsentDecision:
    """Return a decision with its person, or raise `NotFoundError`."""
    found = ConsentDecision.objects.select_related("subject").filter(uuid=uuid).first()
    if found is None:
        raise NotFoundError("no such decision is known")
    return found


def record_of(decision: ConsentDecision) -> Record:
    """Return what the receipt of one decision says, with its proof if it has one yet.

    Raises `SubjectErasedError`: after an erasure a decision is nobody's.
    """
    subject = decision.subject
    key = key_of(subject)
    kept = next((each for each in _kept(subject, key) if each[0] == str(decision.uuid)), None)
    return _record(decision, _known(subject), subject, kept[1] if kept else None)


def records_of(subject: Subject) -> list[Record]:
    """Return what the receipts of all of a person's decisions say, in the order of recording.

    Each is about the row that it was decided on, and opened with that row's own key. Raises
    `SubjectErasedError` and `SubjectUnregisteredError`.
    """
    found: dict[int, Record] = {}
    for row in Subject.objects.filter(pk__in=rows_of(subject)):
        known, kept = _known(row), dict(_kept(row, key_of(row)))
        for each in known.decisions:
            found[each.pk] = _record(each, known, row, kept.get(str(each.uuid)))
    return [found[pk] for pk in sorted(found)]


def controller() -> Controller:
    """Return who answers for the processing, as the operator has set it."""
    told: dict[str, Any] = getattr(settings, "COLOPHON_CONTROLLER", {})
    return Controller(**{"name": "The operator of this service", **told})


def _known(subject: Subject) -> _Known:
    said = subject.decisions.select_related("notice_version__notice").order_by("decided_at", "pk")
    held = membership.datasets_of(subject)
    categories = {category for dataset in held for category in dataset.categories}
    return _Known(list(said), {each.pk: each for each in purposes()}, sorted(categories))


def _record(
    decision: ConsentDecision, known: _Known, subject: Subject, proof: dict[str, Any] | None
) -> Record:
    about = [each for each in known.decisions if each.purpose_id == decision.purpose_id]
    said = about[: 1 + [each.pk for each in about].index(decision.pk)]
    chain = [known.purposes[decision.purpose_id]]
    while chain[-1].parent_id is not None:
        chain.append(known.purposes[chain[-1].parent_id])
    notice = said[-1].notice_version
    return Record(
        subject=subject.uuid,
        controller=controller(),
        purposes=[Named(each.key, each.title, each.dpv_iri) for each in chain],
        basis=LegalBasis(chain[0].legal_basis),
        categories=known.categories,
        notice=_seen(notice) if notice else None,
        said=[_said(each) for each in said],
        ledger=proof,
    )


def _said(decision: ConsentDecision) -> Said:
    return Said(
        decision.uuid, DecisionKind(decision.kind), DecisionSource(decision.source),
        decision.decided_at, decision.recorded_at, decision.valid_until,
    )  # fmt: skip


def _seen(version: NoticeVersion) -> Seen | None:
    if version.published_at is None:
        return None
    digest = hashlib.sha256(version.text.encode()).hexdigest()
    return Seen(
        version.uuid, version.notice.key, version.number, version.language, version.title,
        version.published_at, digest,
    )  # fmt: skip


def _kept(subject: Subject, key: SealingKey) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Yield each decision that the ledger keeps of a person, and what proves it.

    No row leads from a decision to its entry: with one, the entry would say whose it is after
    the person's key is gone. So the person's own entries are opened, which only the key can do.
    """
    records = LedgerRecord.objects.filter(sealed_for=subject.uuid, kind=RECORDED).order_by("pk")
    for uuid in records.values_list("uuid", flat=True):
        opening = ledger.opening_of(uuid, key)
        yield json.loads(opening.body)["facts"]["decision"], _evidence(uuid, opening)


def _evidence(record: UUID, opening: Opening) -> dict[str, Any] | None:
    try:
        proof = ledger.proof_of(record).as_json()
    except ledger.NotYetSequencedError:
        return None
    return {"record": str(record), "proof": {**proof, "opening": opening.as_json()}}
