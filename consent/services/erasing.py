"""Carry out erasure steps: claim, locate, erase, read back, finish; each safe to lose.

The row is the work. A worker that dies leaves a lease that runs out; the next one erases what is
left and finds the rows that were located first still on record. A worker that wakes after its
lease finds its token outdated and changes nothing.
"""

import logging
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from consent.connectors import connector_for
from consent.connectors.base import Connector, ConnectorError, Place
from consent.identifiers import IdentifierMalformedError
from consent.models import ErasureStep, Membership, RightsRequest, Subject
from consent.selectors.subjects import digest_of
from consent.services import subjects
from consent.services.leases import kept_alive
from consent.services.requests import record
from governance.models import Storage
from governance.selectors.registry import address_of
from lineage.services.versions import record_erasure

logger = logging.getLogger(__name__)

BLOCKED_SECONDS = 60
RETRY_SECONDS = 5
A_DAY_SECONDS = 24 * 3600
A_PERSON_IS_NEEDED = "person_needed"


@dataclass(frozen=True, slots=True)
class Claim:
    """A step that is ours while the lease lasts and nobody has raised the token."""

    step: ErasureStep
    token: int


class LostClaimError(Exception):
    """Another worker has taken the step over: what we did must not be written down as ours."""


def carry_out(*, step_id: int) -> bool:
    """Do one step if it is free; return whether it now has its outcome.

    What stands in the way is written on the step by its code, and the step stays open.
    """
    claim = _claim(step_id)
    if claim is None:
        return False
    try:
        with kept_alive(step_id=step_id, token=claim.token):
            _erase(claim)
    except ConnectorError as error:
        _put_off(claim, error.code, error.message, retryable=error.retryable)
        return False
    except LostClaimError:
        logger.warning("step %s was taken over while its lease had run out", claim.step.uuid)
        return False
    return True


def _claim(step_id: int) -> Claim | None:
    """Take the step in one statement, by the database's clock."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE consent_erasurestep
               SET state = 'running', token = token + 1, attempt = attempt + 1,
                   code = '', reason = '',
                   lease_until = clock_timestamp() + make_interval(secs => %s)
             WHERE id = %s
               AND (state IN ('ready', 'blocked')
                    OR state = 'running' AND lease_until < clock_timestamp())
            RETURNING token
            """,
            [settings.COLOPHON_LEASE_SECONDS, step_id],
        )
        row = cursor.fetchone()
    if row is None:
        return None
    step = ErasureStep.objects.select_related("request__subject", "dataset__storage")
    return Claim(step.get(pk=step_id), row[0])


def _erase(claim: Claim) -> None:
    step = claim.step
    place = _place(step)
    connector = connector_for(place.kind)
    values = _identifiers(step, connector, place)
    located = connector.locate(place, values)
    first_located = _remember_located(claim, located.rows)
    erased = connector.erase(place, values)
    remaining = connector.verify(place, values)
    if remaining:
        raise RowsRemainError(f"{remaining} rows are still there after erasing: it is tried again")
    evidence = {
        "located": first_located, "erased_by_last_attempt": erased.rows, "read_back": remaining,
        "parts": list(located.parts), "storage": dict(erased.evidence),
    }  # fmt: skip
    _finish(claim, first_located, evidence)


class RowsRemainError(ConnectorError):
    """Reading back found rows that should be gone, perhaps because somebody writes them anew."""

    code = "rows_remain"
    retryable = True


class NoStorageError(ConnectorError):
    """Nobody has said where the data set lies."""

    code = "no_storage"


class StorageDisabledError(ConnectorError):
    """An operator has switched the storage off."""

    code = "storage_disabled"


def _place(step: ErasureStep) -> Place:
    dataset = step.dataset
    storage = dataset.storage
    by_hand = storage is not None and storage.kind == Storage.Kind.MANUAL
    if storage is None or not (dataset.subject_column or by_hand):
        raise NoStorageError("register the storage and the subject column, or settle it by hand")
    if not storage.enabled:
        raise StorageDisabledError("the storage is switched off: switch it on again")
    return Place(
        storage.kind, address_of(storage), dataset.location, dataset.subject_column,
        step=str(step.uuid),
    )  # fmt: skip


def _identifiers(step: ErasureStep, connector: Connector, place: Place) -> frozenset[str]:
    """Return the person's identifiers as they are spelled in the data set.

    The subject column is read and each value digested, because only the digest is spelled one
    way; what is found stays in memory.
    """
    scheme = step.dataset.subject_scheme
    known = step.request.subject.identifiers.filter(scheme=scheme)
    digests = {bytes(each) for each in known.values_list("digest", flat=True)}
    if not digests:
        return frozenset()
    return frozenset(
        value
        for values in connector.members(place)
        for value in set(values)
        if _digest_or_nothing(scheme, value) in digests
    )


def _digest_or_nothing(scheme: str, value: str) -> bytes | None:
    """Return a value's digest; one that can identify nobody has none."""
    try:
        return digest_of(scheme, value)
    except IdentifierMalformedError:
        return None


def _remember_located(claim: Claim, rows: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE consent_erasurestep"
            " SET located_rows = greatest(coalesce(located_rows, 0), %s)"
            " WHERE id = %s AND token = %s AND state = 'running' RETURNING located_rows",
            [rows, claim.step.pk, claim.token],
        )
        row = cursor.fetchone()
    if row is None:
        raise LostClaimError
    return int(row[0])


@transaction.atomic
def _finish(claim: Claim, located: int, evidence: dict[str, Any]) -> None:
    """Write outcome, new version, membership and ledger together, if the step is still ours."""
    step, now = claim.step, timezone.now()
    outcome = ErasureStep.Outcome.ERASED if located else ErasureStep.Outcome.NOT_FOUND
    mine = ErasureStep.objects.filter(pk=step.pk, token=claim.token, state="running")
    if not mine.update(
        state=ErasureStep.State.DONE, outcome=outcome, evidence=evidence, finished_at=now,
        lease_until=None,
    ):  # fmt: skip
        raise LostClaimError
    version = record_erasure(dataset_id=step.dataset_id, at=now)
    ErasureStep.objects.filter(pk=step.pk).update(version=version)
    Membership.objects.filter(
        subject=step.request.subject, dataset=step.dataset, until=None
    ).update(until=version)
    record(
        step.request, "erasure.step",
        {
            "step": str(step.uuid), "dataset": str(step.dataset.uuid), "outcome": outcome,
            "rows": located,
        },
    )  # fmt: skip


def _put_off(claim: Claim, code: str, reason: str, *, retryable: bool) -> None:
    """Say what stands in the way; an unreachable storage is tried soon, a missing one later."""
    seconds = RETRY_SECONDS * min(claim.step.attempt, 12) if retryable else BLOCKED_SECONDS
    if code == A_PERSON_IS_NEEDED:
        seconds = A_DAY_SECONDS
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE consent_erasurestep
               SET state = 'blocked', code = %s, reason = %s, lease_until = NULL,
                   retry_at = clock_timestamp() + make_interval(secs => %s)
             WHERE id = %s AND token = %s AND state = 'running'
            """,
            [code, reason, seconds, claim.step.pk, claim.token],
        )


@transaction.atomic
def forget(*, request_id: int) -> bool:
    """Destroy the person's key once nothing of theirs is left to erase; say whether this did."""
    found = RightsRequest.objects.select_for_update().select_related("subject")
    due = found.filter(pk=request_id, planned_at__isnull=False, forgotten_at=None).first()
    if due is None or due.steps.exclude(state=ErasureStep.State.DONE).exists():
        return False
    if _kept_under_exemption(due):
        return False
    subject = Subject.objects.select_for_update().get(pk=due.subject_id)
    if subject.erased_at is None:
        subjects.forget(subject=subject)
    due.forgotten_at = timezone.now()
    due.save(update_fields=["forgotten_at"])
    record(due, "subject.forgotten", {})
    return True


def _kept_under_exemption(request: RightsRequest) -> bool:
    """Say whether some data lawfully stays: then the person must stay known, to be told of it."""
    return request.steps.filter(outcome=ErasureStep.Outcome.EXEMPT).exists()
