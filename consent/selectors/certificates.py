"""The certificate of erasure: what was erased and read back, and what is still outstanding."""

from typing import Any
from uuid import UUID

from consent.models import ErasureStep, RemediationMeasure
from consent.selectors.recipients import Notified
from consent.selectors.remedies import Remedied
from consent.selectors.requests import Standing
from governance.keys import organisation_key
from governance.selectors import ledger

FORMAT = "colophon-erasure-certificate-2"


def certificate(standing: Standing) -> dict[str, Any]:
    """Return the certificate as JSON. It names no person, so it can be kept and shown.

    Every ledger record of the request comes with its inclusion proof and with what it commits to,
    or with nothing where the record has no number yet.
    """
    request = standing.request
    return {
        "format": FORMAT,
        "request": str(request.uuid),
        "kind": request.kind,
        "source": request.source,
        "received_at": request.received_at,
        "due_at": request.due_at,
        "state": standing.state,
        "completed_at": standing.completed_at,
        "keys_destroyed_at": request.forgotten_at,
        "datasets": [_dataset(step) for step in standing.steps],
        "models": [_model(each) for each in standing.remediations],
        "recipients": [_recipient(each) for each in standing.notices],
        "outstanding": standing.outstanding,
        "unanswered": standing.unanswered,
        "ledger": [
            {"kind": told.kind, "record": str(told.record), "proof": _proof(told.record)}
            for told in request.records.order_by("pk")
        ],
    }


def _dataset(step: ErasureStep) -> dict[str, Any]:
    return {
        "step": str(step.uuid),
        "dataset": str(step.dataset.uuid),
        "namespace": step.dataset.namespace,
        "name": step.dataset.name,
        "certainty": step.certainty,
        "state": step.state,
        "outcome": step.outcome,
        "read_back": step.read_back,
        "code": step.code,
        "rows": step.located_rows,
        "finished_at": step.finished_at,
        "evidence": _evidence(step),
    }


def _evidence(step: ErasureStep) -> dict[str, Any]:
    """Return which proof there is; its figures are of everybody who left then, so not shown.

    What people said who settled it by hand is not shown either: they write whom they please.
    """
    made = step.batch
    if made is None:
        return {name: each for name, each in step.evidence.items() if name != "said"}
    return {"batch": str(made.uuid), "sha256": made.digest(), "parts": made.evidence["parts"]}


def _model(each: Remedied) -> dict[str, Any]:
    made = each.model_version
    return {
        "model_version": str(made.uuid),
        "namespace": made.model.dataset.namespace,
        "name": made.model.dataset.name,
        "certainty": each.certainty,
        "outcome": each.outcome or "open",
        "code": each.code,
        "closed_at": each.closed_at,
        "closed_by": str(each.closed_by.uuid) if each.closed_by else None,
        "measures": [_measure(taken, each) for taken in each.measures],
    }


def _measure(taken: RemediationMeasure, of: Remedied) -> dict[str, Any]:
    """Return what was done, with the digest of its evidence; what people wrote stays here."""
    return {
        "measure": str(taken.uuid),
        "kind": taken.kind,
        "taken_at": taken.taken_at,
        "approved_at": taken.approved_at,
        "ends_at": taken.ends_at,
        "in_force": taken.pk in of.in_force,
        "evidence_sha256": taken.digest(),
    }


def _recipient(each: Notified) -> dict[str, Any]:
    notice, answer = each.notice, each.answer
    return {
        "notice": str(notice.uuid),
        "recipient": notice.recipient.name,
        "state": each.state,
        "told_at": notice.delivered_at,
        "answer": answer.answer if answer else "",
        "code": answer.code if answer else "",
        "answered_at": answer.at if answer else None,
        "lapse": notice.lapse,
        "lapsed_at": notice.lapsed_at,
    }


def _proof(record: UUID) -> dict[str, Any] | None:
    """Return a record's proof and opening; a request's own records say nothing of a person."""
    try:
        proof = ledger.proof_of(record).as_json()
        opening = ledger.opening_of(record, organisation_key())
    except ledger.NotYetSequencedError:
        return None
    return {**proof, "opening": opening.as_json()}
