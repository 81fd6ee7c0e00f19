"""Assess trainings, and settle those that were not permitted.

Nothing here is told by a message: what waits is found by `runs_to_assess`, so a worker that dies
or a message that is lost delays a conclusion and loses none.
"""

import logging
from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.db import DatabaseError, connection, transaction
from django.db.models import Min
from django.utils import timezone

from consent.models import AssessmentDue, Unweighed, UseAssessment, Violation
from consent.selectors import assessments as known
from consent.selectors.assessments import Conclusion
from consent.selectors.membership import spans_of
from consent.selectors.persons import whole
from governance.errors import ColophonError
from governance.locks import Lock
from governance.models import WebhookKind
from governance.services import ledger, webhooks
from governance.strictjson import JSON
from lineage.models import Run
from lineage.selectors import transparency
from lineage.selectors.identities import called

logger = logging.getLogger(__name__)

WEIGHED_TOGETHER = 1_000


class ViolationSettledError(ColophonError):
    """The violation is settled already; what is learned later opens another."""

    code = "violation_settled"
    status = 409


def assess_waiting(*, limit: int) -> int:
    """Weigh what was recorded late, then assess up to ``limit`` runs; return how many."""
    while weigh():
        pass
    done = 0
    for run_id in known.runs_to_assess(limit):
        try:
            done += assess(run_id=run_id) is not None
        except DatabaseError as error:
            # The others must not wait for one that cannot be answered now.
            logger.warning("a run could not be assessed (%s)", type(error).__name__)
    return done


@transaction.atomic
def assess(*, run_id: int) -> UseAssessment | None:
    """Conclude about one run and write it down; nothing if that was said already."""
    _hold(run_id)
    AssessmentDue.objects.filter(run_id=run_id).delete()
    run = Run.objects.filter(pk=run_id).first()
    if run is None:
        return None
    concluded = known.conclude(run)
    last = known.last_of([run_id]).get(run_id)
    if last is not None and _says_the_same(last, concluded):
        return None
    added = UseAssessment.objects.create(
        run=run, run_uuid=run.uuid, number=last.number + 1 if last else 1, **_facts(concluded)
    )
    _into_ledger(added)
    _open_or_withdraw(added)
    return added


@transaction.atomic
def weigh() -> int:
    """Make due the runs that something learned late may speak of; return how much was weighed.

    Only what was assessed can have been concluded without it, and nobody is in the middle of
    concluding: this waits for those who are.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [Lock.ASSESSING])
    rows = list(Unweighed.objects.select_for_update(skip_locked=True)[:WEIGHED_TOGETHER])
    if not rows:
        return 0
    weighed = Unweighed.objects.filter(pk__in=[each.pk for each in rows])
    earliest = weighed.aggregate(Min("decision__decided_at"), Min("restriction__since"))
    instants = [at for at in earliest.values() if at is not None]
    due: set[int] = set()
    if instants:
        since = UseAssessment.objects.filter(read_at__gte=min(instants))
        due |= set(since.values_list("run_id", flat=True))
    for row in weighed.exclude(manifest=None).select_related("manifest__version"):
        assert row.manifest is not None
        due |= _holding([row.manifest.dataset_id], row.manifest.version.visible_from)
    for row in weighed.exclude(merge=None).select_related("merge"):
        assert row.merge is not None
        spans = spans_of(whole([row.merge.one_id, row.merge.other_id]))
        due |= _holding(set(spans.values_list("dataset_id", flat=True)))
    AssessmentDue.objects.bulk_create(
        [AssessmentDue(run_id=each) for each in sorted(due)], ignore_conflicts=True
    )
    weighed.delete()
    return len(rows)


@transaction.atomic
def assign(*, violation: Violation, to: str, by: str) -> Violation:
    """Give an open violation to somebody to settle. Raises `ViolationSettledError`."""
    held = _open(violation)
    held.assigned_to, held.assigned_at = to, timezone.now()
    held.save(update_fields=["assigned_to", "assigned_at"])
    ledger.append(kind="violation.assigned", facts={"violation": str(held.uuid), "by": by})
    return held


@transaction.atomic
def resolve(
    *, violation: Violation, resolution: Violation.Resolution, reason: str, by: str
) -> Violation:
    """Settle an open violation, with the reason. Raises `ViolationSettledError`."""
    held = _open(violation)
    held.resolved_at, held.resolution, held.reason = timezone.now(), resolution, reason
    held.save(update_fields=["resolved_at", "resolution", "reason"])
    ledger.append(
        kind="violation.resolved",
        facts={"violation": str(held.uuid), "resolution": str(held.resolution), "by": by},
    )
    return held


def _open(violation: Violation) -> Violation:
    held = Violation.objects.select_for_update().get(pk=violation.pk)
    if held.resolved_at is not None:
        raise ViolationSettledError("the violation is settled")
    return held


def _hold(run_id: int) -> None:
    """Let nobody else conclude about this run, nor weigh anything, until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s)", [Lock.ASSESSING])
        cursor.execute(
            "SELECT pg_advisory_xact_lock(%s, %s)", [Lock.ASSESSED_RUN, run_id % (1 << 31)]
        )


def _holding(dataset_ids: Collection[int], since: datetime | None = None) -> set[int]:
    """Return the assessed runs that ended after an instant and may have used some data sets.

    Those that made no model yet are few; each of them may.
    """
    made = transparency.model_versions_holding(called(dataset_ids))
    found = UseAssessment.objects.filter(model_version__in=list(made))
    if since is not None:
        found = found.filter(model_version__version__complete_at__gte=since)
    unmade = UseAssessment.objects.filter(model_version=None)
    return set(found.values_list("run_id", flat=True)) | set(
        unmade.values_list("run_id", flat=True)
    )


def _facts(concluded: Conclusion) -> dict[str, Any]:
    return {
        "model_version": concluded.model_version,
        "verdict": concluded.verdict,
        "reasons": [each.value for each in concluded.reasons],
        "purposes": concluded.purposes,
        "gate_decision": concluded.gate_decision,
        "used": concluded.used.serialize(),
        "without_permission": concluded.without_permission,
        "read_at": concluded.read_at,
        "frozen_at": concluded.frozen_at,
        "facet": concluded.facet,
    }


def _says_the_same(last: UseAssessment, concluded: Conclusion) -> bool:
    facts = _facts(concluded)
    binary = {"used", "facet"}
    return all(
        (bytes(getattr(last, name)) if name in binary else getattr(last, name)) == value
        for name, value in facts.items()
    )


def _open_or_withdraw(added: UseAssessment) -> None:
    """Open a violation, or take one back that is none by what is known now."""
    waiting = Violation.objects.filter(run=added.run_id, resolved_at=None).first()
    if added.verdict != UseAssessment.Verdict.VIOLATION:
        if waiting is not None:
            _withdraw(waiting, added)
    elif waiting is None and not _settled_before(added):
        opened = Violation.objects.create(run=added.run, assessment=added)
        facts: dict[str, JSON] = {
            "violation": str(opened.uuid), "assessment": str(added.uuid),
            "run": str(added.run_uuid), "reasons": [str(each) for each in added.reasons],
        }  # fmt: skip
        webhooks.announce(kind=WebhookKind.VIOLATION_OPENED, facts=facts)
        ledger.append(kind="violation.opened", facts=facts)


def _withdraw(violation: Violation, by: UseAssessment) -> None:
    violation.resolved_at, violation.withdrawn_by = timezone.now(), by
    violation.save(update_fields=["resolved_at", "withdrawn_by"])
    facts = {"violation": str(violation.uuid), "assessment": str(by.uuid)}
    ledger.append(kind="violation.withdrawn", facts=facts)


def _settled_before(added: UseAssessment) -> bool:
    """Say whether a person settled the same already: no more people, and no other reasons."""
    settled = Violation.objects.filter(run=added.run_id, withdrawn_by=None)
    return any(
        each.assessment.reasons == added.reasons
        and each.assessment.without_permission >= added.without_permission
        for each in settled.select_related("assessment")
    )


def _into_ledger(added: UseAssessment) -> None:
    made = added.model_version
    ledger.append(
        kind="use.assessed",
        facts={
            "assessment": str(added.uuid), "run": str(added.run_uuid), "number": added.number,
            "model_version": str(made.uuid) if made else None,
            "verdict": str(added.verdict), "reasons": [str(each) for each in added.reasons],
            "purposes": list(added.purposes),
            "gate_decision": str(added.gate_decision.uuid) if added.gate_decision else None,
            "without_permission": added.without_permission,
        },
    )  # fmt: skip
