"""Take measures for model versions that hold a person's data, and tell when they hold no more."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from consent import measures
from consent.measures import EXEMPT, ON_TWO_WORDS, MeasureKind
from consent.models import Remediation, RemediationMeasure, RightsRequest
from consent.selectors import guarantees, remedies
from consent.selectors.remedies import Remedied
from consent.services.colleagues import PersonNeededError, is_person
from consent.services.telling import record
from governance.errors import ColophonError
from governance.models import ApiClient, WebhookKind
from governance.services import webhooks
from governance.strictjson import JSON
from lineage.models import Deployment


class RetrainingIsObservedError(ColophonError):
    """Nobody can say that a model was retrained: its training is seen here, or was not clean."""

    code: ClassVar[str] = "retraining_is_observed"
    status: ClassVar[int] = 422


class DeploymentUnknownError(ColophonError):
    """A deployment that is named is none of this model version."""

    code: ClassVar[str] = "deployment_unknown"
    status: ClassVar[int] = 422


class RemediationClosedError(ColophonError):
    """A clean training has made the model good; nothing is left to do."""

    code: ClassVar[str] = "remediation_closed"
    status: ClassVar[int] = 409


class DueDateUnusableError(ColophonError):
    """A due date can be brought forward, and never be put behind the request's."""

    code: ClassVar[str] = "due_date_unusable"
    status: ClassVar[int] = 422


class MeasureKeyReusedError(ColophonError):
    """The idempotency key stands for another measure."""

    code: ClassVar[str] = "idempotency_key_reused"
    status: ClassVar[int] = 409


class NothingToApproveError(ColophonError):
    """The measure needs no second word, has it, or does not hold any more."""

    code: ClassVar[str] = "nothing_to_approve"
    status: ClassVar[int] = 409


@transaction.atomic
def assign(*, remediation: Remedied, owner: str, due_at: datetime | None = None) -> None:
    """Give a model version to somebody to make good, by the request's due date or before.

    Raises `DueDateUnusableError` and `RemediationClosedError`.
    """
    held = _held(remediation)
    if due_at is not None and due_at > held.request.due_at:
        raise DueDateUnusableError("the request is due before that")
    held.owner, held.due_at = owner, due_at
    held.save(update_fields=["owner", "due_at"])
    due = due_at.isoformat() if due_at else None
    record(held.request, "remediation.assigned", {"remediation": str(held.uuid), "due_at": due})


@transaction.atomic
def take(
    *,
    remediation: Remedied,
    kind: str,
    evidence: Mapping[str, Any],
    key: UUID,
    by: ApiClient,
    ends_at: datetime | None = None,
) -> RemediationMeasure:
    """Record a measure with its evidence, once; the same key again returns the first.

    Raises what is missing or wrong: `RetrainingIsObservedError`, those of `consent.measures` and,
    for an exemption, those of `consent.selectors.guarantees`.
    """
    if kind == "retrain":
        raise RetrainingIsObservedError("a later training without the data closes it by itself")
    chosen, now = MeasureKind(kind), timezone.now()
    held = _held(remediation)
    known = held.measures.filter(idempotency_key=key).first()
    if known is not None:
        if known.kind != chosen or known.by_id != by.pk:
            raise MeasureKeyReusedError("this key stands for another measure", key=str(key))
        return known
    measures.check(chosen, evidence)
    measures.check_end(chosen, ends_at, now)
    _check_places(held, evidence.get("deployments", ()))
    shown = dict(evidence)
    if chosen in EXEMPT:
        shown |= _ground(held, chosen)
    taken = RemediationMeasure.objects.create(
        remediation=held, idempotency_key=key, kind=chosen, evidence=shown, by=by, ends_at=ends_at
    )
    record(held.request, "remediation.measure_taken", _facts(taken))
    _tell(held)
    return taken


@transaction.atomic
def approve(*, measure: RemediationMeasure, by: str) -> None:
    """Stand for a measure besides whoever recorded it, as somebody of the staff.

    Raises `PersonNeededError`, `RemediationClosedError` and `NothingToApproveError`.
    """
    if not is_person(by):
        raise PersonNeededError("a key brings evidence; a person at the desk stands for it")
    held = _held(remedies.remediation(measure.remediation.uuid))
    needing = (*ON_TWO_WORDS, MeasureKind.RETIRE)
    open_one = remedies.in_force().filter(pk=measure.pk, kind__in=needing, approved_at=None)
    if not open_one.update(approved_by_staff=by, approved_at=timezone.now()):
        raise NothingToApproveError("the measure needs no second word, or does not hold any more")
    facts = {**_facts(measure), "by": by}
    record(held.request, "remediation.measure_approved", facts)
    _tell(held)


def follow(request: RightsRequest) -> int:
    """Look again at what exemptions rest on, and tell what was closed or opened since.

    It belongs into the caller's transaction, which holds the request.
    """
    for each in remedies.in_force().filter(remediation__request=request, kind__in=EXEMPT):
        _look_again(each)
    waiting = remedies.to_tell().filter(request=request)
    return sum(_tell(each) for each in waiting)


def _look_again(measure: RemediationMeasure) -> None:
    mine = RemediationMeasure.objects.filter(pk=measure.pk)
    try:
        _ground(measure.remediation, MeasureKind(measure.kind))
    except guarantees.ProvenancePendingError:
        return
    except ColophonError as error:
        mine.update(lapsed_at=timezone.now(), lapsed_code=error.code)
        facts = {**_facts(measure), "code": error.code}
        record(measure.remediation.request, "remediation.measure_lapsed", facts)
    else:
        mine.update(checked_at=timezone.now())


def _tell(remediation: Remediation) -> int:
    """Tell the ledger, once, that a model version is made good, or that it is no longer."""
    [now] = remedies.standings([remediation])
    closed, known = now.closed_at is not None, remediation.closing_recorded_at is not None
    if closed == known or remediation.outcome:
        return 0
    untold = Remediation.objects.filter(pk=remediation.pk, closing_recorded_at__isnull=closed)
    if not untold.update(closing_recorded_at=timezone.now() if closed else None):
        return 0
    request, made = remediation.request, str(remediation.model_version.uuid)
    if closed:
        facts: dict[str, JSON] = {"model_version": made, "outcome": now.outcome, "code": now.code}
        record(request, "remediation.closed", facts)
    else:
        named = {"model_version": made, "request": str(request.uuid)}
        webhooks.announce(kind=WebhookKind.REMEDIATION_REOPENED, facts=named)
        record(request, "remediation.reopened", {"model_version": made})
    return 1


def _held(remediation: Remedied) -> Remediation:
    """Hold it, so that no clean training closes it meanwhile: its request first, as observing."""
    RightsRequest.objects.select_for_update().get(pk=remediation.remediation.request_id)
    found = Remediation.objects.select_related("request__subject", "model_version")
    held = found.select_for_update(of=("self",)).get(pk=remediation.pk)
    if held.outcome:
        raise RemediationClosedError("a later training without the data has made it good")
    return held


def _check_places(remediation: Remediation, named: Any) -> None:
    places = Deployment.objects.filter(model_version=remediation.model_version)
    known = {str(uuid) for uuid in places.values_list("uuid", flat=True)}
    if not set(named) <= known:
        raise DeploymentUnknownError("a deployment that is named is none of this model version")


def _ground(remediation: Remediation, kind: MeasureKind) -> dict[str, Any]:
    subject, made = remediation.request.subject, remediation.model_version
    return guarantees.ground(kind, subject, made)


def _facts(measure: RemediationMeasure) -> dict[str, JSON]:
    return {
        "measure": str(measure.uuid),
        "remediation": str(measure.remediation.uuid),
        "kind": str(measure.kind),
        "evidence_sha256": measure.digest(),
    }
