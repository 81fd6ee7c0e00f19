"""What to conclude about a training run, what was concluded, and which runs wait for it."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db import connection
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone
from pyroaring import BitMap

from consent.models import GateDecision, Reappearance, UseAssessment, Violation
from consent.selectors import gate, leaning, tracing
from consent.selectors.decisions import excluded_from
from consent.selectors.judging import Judged, judge
from consent.selectors.leaning import TRAINING_FACET
from consent.selectors.persons import count
from governance.errors import NotFoundError
from governance.mechanisms import Mechanism, MechanismUnusableError, mechanism_of
from governance.models import Purpose
from lineage.models import ModelVersion, Run, RunFacet
from lineage.selectors import versions

Verdict = UseAssessment.Verdict
Reason = UseAssessment.Reason

VIOLATIONS = frozenset(
    {
        Reason.UNKNOWN_PURPOSE,
        Reason.USED_WITHOUT_PERMISSION,
        Reason.ERASED_DATA_USED,
        Reason.POLICY_UNMET,
    }
)
GAPS = frozenset(
    {
        Reason.PURPOSE_UNDECLARED, Reason.INPUTS_UNKNOWN, Reason.UNKNOWN_DATASET,
        Reason.MEMBERS_UNKNOWN, Reason.LINEAGE_TRUNCATED,
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What is concluded about a run, before it is written down."""

    run: Run
    model_version: ModelVersion | None
    reasons: list[UseAssessment.Reason]
    purposes: list[str]
    gate_decision: GateDecision | None
    read_at: datetime
    frozen_at: datetime | None
    facet: bytes
    used: BitMap = field(repr=False)
    without_permission: int = 0

    @property
    def verdict(self) -> UseAssessment.Verdict:
        """Return the gravest verdict that a reason asks for."""
        if VIOLATIONS & set(self.reasons):
            return Verdict.VIOLATION
        return Verdict.GAP if GAPS & set(self.reasons) else Verdict.COMPLIANT


def conclude(run: Run) -> Conclusion:
    """Conclude what a run's use of data was, by what was in force when it read.

    A run that leaned on the gate's word is held to that word: people who said no after it was
    given and before the run began had their rows left out when they were filtered, which nobody
    here can see, so they count as affected and not as wronged. Of a run that leaned on nothing,
    what counts is the instant at which it began.
    """
    made = _model_version_of(run)
    facet = RunFacet.objects.filter(run=run, name=TRAINING_FACET).first()
    said = leaning.Declared.of(facet.value or {}) if facet else leaning.Declared()
    decision, fits = _answer(run, made, said)
    traced = tracing.people_in(versions.read_by(run))
    used, at, purposes = traced.people, run.started_at, list(said.purposes)
    if decision is not None and fits:
        used = used - leaning.excluded_by(decision)
        at = decision.decided_at
        purposes = purposes or ([decision.purpose.key] if decision.purpose else [])
    reasons, unpermitted = _held_to(said, traced, used, purposes, at)
    told = {
        Reason.GATE_ANSWER_DOES_NOT_FIT: said.gate_decision is not None and not fits,
        Reason.ERASED_DATA_USED: not fits and _came_back(traced.versions),
    }
    found = {reason for reason, holds in told.items() if holds} | reasons | _gaps(traced)
    frozen = getattr(made, "provenance", None) if made else None
    return Conclusion(
        run=run, model_version=made, reasons=[each for each in Reason if each in found],
        purposes=purposes, gate_decision=decision, read_at=run.started_at,
        frozen_at=frozen.frozen_at if frozen else None,
        facet=bytes(facet.fingerprint) if facet else b"",
        used=used, without_permission=count(unpermitted),
    )  # fmt: skip


def _held_to(
    said: leaning.Declared,
    traced: tracing.Trace,
    used: BitMap,
    purposes: Collection[str],
    at: datetime,
) -> tuple[set[UseAssessment.Reason], BitMap]:
    """Hold a use to each purpose; return what was wrong, and who had not permitted it."""
    known = {each.key: each for each in Purpose.objects.filter(key__in=purposes)}
    judged = [(each, _judged(each, said, traced, at)) for each in known.values()]
    unpermitted = BitMap.union(
        BitMap(), *(excluded_from(used, each, at, explicit=how.explicit) for each, how in judged)
    )
    told = {
        Reason.PURPOSE_UNDECLARED: not purposes,
        Reason.UNKNOWN_PURPOSE: bool(set(purposes) - known.keys()),
        Reason.USED_WITHOUT_PERMISSION: bool(unpermitted),
        Reason.POLICY_UNMET: any(
            how.unmet or how.cohort_is_too_small(count(used)) for _, how in judged
        ),
    }
    return {reason for reason, holds in told.items() if holds}, unpermitted


def last_of(run_ids: Collection[int]) -> dict[int, UseAssessment]:
    """Return, of each run that was assessed, the conclusion that counts."""
    latest = UseAssessment.objects.filter(run__in=list(run_ids)).order_by("run_id", "-number")
    return {each.run_id: each for each in latest.distinct("run_id")}


def counting() -> "QuerySet[UseAssessment]":
    """Return the conclusions that count: of each run the last."""
    later = UseAssessment.objects.filter(run=OuterRef("run"), number__gt=OuterRef("number"))
    found = UseAssessment.objects.filter(~Exists(later))
    return found.select_related("model_version__model__dataset", "gate_decision")


def affected(assessments: Iterable[UseAssessment], *, at: datetime | None = None) -> set[int]:
    """Return those conclusions of whose people somebody does not permit the use now.

    A "no" that came after the training does not make it wrong; it tells that the model version
    holds what it would not be given today.
    """
    now = at or timezone.now()
    purposes = {each.key: each for each in Purpose.objects.all()}
    found = set()
    for each in assessments:
        used = BitMap.deserialize(bytes(each.used))
        known = [purposes[key] for key in each.purposes if key in purposes]
        if any(excluded_from(used, purpose, now) for purpose in known):
            found.add(each.pk)
    return found


def violations(*, open_only: bool = False) -> "QuerySet[Violation]":
    """Return the violations with what they rest on, in the order of opening."""
    found = Violation.objects.select_related(
        "assessment__model_version__model__dataset", "assessment__gate_decision", "withdrawn_by"
    )
    return (found.filter(resolved_at=None) if open_only else found).order_by("pk")


def violation(uuid: UUID) -> Violation:
    """Return one violation, or raise `NotFoundError`."""
    found = violations().filter(uuid=uuid).first()
    if found is None:
        raise NotFoundError("no such violation is known")
    return found


def runs_to_assess(limit: int) -> list[int]:
    """Return runs that train and were not assessed as they are known now, the due ones first.

    A run trains if it made a model version, or says so of itself. It waits if nothing was
    concluded yet, if its model's provenance was computed again since, if it says something else
    of itself now, or if something that was learned late makes it due.
    """
    with connection.cursor() as cursor:
        cursor.execute(_TO_ASSESS, {"limit": limit, "facet": TRAINING_FACET})
        return [row[0] for row in cursor.fetchall()]


def _model_version_of(run: Run) -> ModelVersion | None:
    made = ModelVersion.objects.filter(version__run=run).order_by("pk")
    return made.select_related("model__dataset", "version", "provenance").first()


def _answer(
    run: Run, made: ModelVersion | None, said: leaning.Declared
) -> tuple[GateDecision | None, bool]:
    """Return the gate's answer that a run names, and whether it was about this run."""
    if said.gate_decision is None:
        return None, False
    decision = leaning.decisions_named([said.gate_decision]).get(said.gate_decision)
    if decision is None:
        return None, False
    model = (made.model.dataset.namespace, made.model.dataset.name) if made else None
    return decision, not leaning.misfit(decision, run=run, model=model, purposes=said.purposes)


def _judged(
    purpose: Purpose, said: leaning.Declared, traced: tracing.Trace, at: datetime
) -> Judged:
    """Judge by the mechanism that the run declared; what cannot be read protects nobody."""
    try:
        mechanism = mechanism_of(said.mechanism)
    except MechanismUnusableError:
        mechanism = Mechanism()
    datasets = set(traced.versions.values())
    return judge(purpose=purpose, dataset_ids=datasets, mechanism=mechanism, at=at)


def _gaps(traced: tracing.Trace) -> set[UseAssessment.Reason]:
    """Return what is not known of what was read, or of what lies behind it."""
    silent = gate.sources_without_people(set(traced.versions.values())).values()
    found = {Reason(why.value) for why in silent}
    if traced.truncated:
        found.add(Reason.LINEAGE_TRUNCATED)
    return found if traced.versions else {Reason.INPUTS_UNKNOWN}


def _came_back(version_ids: Collection[int]) -> bool:
    """Say whether a list of one of these versions named somebody who had been erased."""
    back = Reappearance.objects.filter(ended_at=None, manifest__version__in=list(version_ids))
    return back.exists()


# Each of the three finds what an answer is missing for; the outer query drops runs that are gone.
_TO_ASSESS = """
    SELECT waiting.id FROM (
        (SELECT run_id AS id, 0 AS place FROM consent_assessmentdue ORDER BY run_id LIMIT %(limit)s)
        UNION ALL
        (SELECT v.run_id, 1 FROM lineage_provenance p
           JOIN lineage_modelversion m ON m.id = p.model_version_id
           JOIN lineage_datasetversion v ON v.id = m.version_id
          WHERE v.run_id IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM consent_useassessment a
                             WHERE a.run_id = v.run_id AND a.frozen_at = p.frozen_at)
          ORDER BY p.frozen_at LIMIT %(limit)s)
        UNION ALL
        (SELECT f.run_id, 2 FROM lineage_runfacet f
          WHERE f.name = %(facet)s
            AND NOT EXISTS (SELECT 1 FROM consent_useassessment a
                             WHERE a.run_id = f.run_id AND a.facet = f.fingerprint)
          LIMIT %(limit)s)) AS waiting
     WHERE EXISTS (SELECT 1 FROM lineage_run r WHERE r.id = waiting.id)
     GROUP BY waiting.id ORDER BY min(waiting.place), waiting.id LIMIT %(limit)s
"""
