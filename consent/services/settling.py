"""Settle by a person's word a step that no connector can carry out.

The word is kept as one: no batch of evidence stands behind it, so nothing shows it as read back.
It counts all the same. Who says that they erased by hand leaves a new version of the data set that
does not hold the person, so that a training on it can make a model good. An exemption says that
the data stays, so whoever is in it stays in it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar

from django.db import transaction
from django.utils import timezone
from pyroaring import BitMap

from consent.models import ErasureStep, Reappearance
from consent.selectors import membership
from consent.selectors.persons import rows_of
from consent.selectors.subjects import stands_in
from consent.services import reappearances, stays
from consent.services.claims import Batch
from consent.services.subjects import hold_people
from consent.services.telling import record
from governance.errors import ColophonError
from governance.models import Dataset
from lineage.services.versions import record_erasure

Outcome = ErasureStep.Outcome

BY_WORD = (Outcome.BY_HAND, Outcome.NOT_FOUND, Outcome.EXEMPT)
"""What a person can say became of a step; that it was read back only a reading can."""


class StepSettledError(ColophonError):
    """The step has its outcome, or is being worked on."""

    code: ClassVar[str] = "step_not_open"
    status: ClassVar[int] = 409


class EvidenceMissingError(ColophonError):
    """Whoever says that the person is not there says how that is known."""

    code: ClassVar[str] = "evidence_missing"
    status: ClassVar[int] = 422


class PersonIsThereError(ColophonError):
    """A list names the person, or rows of theirs were found: a word is not enough against it."""

    code: ClassVar[str] = "person_is_there"
    status: ClassVar[int] = 409


@transaction.atomic
def settle_step(
    *,
    step: ErasureStep,
    outcome: ErasureStep.Outcome,
    code: str,
    reason: str,
    evidence: str = "",
    document_sha256: str = "",
    by: str = "",
) -> None:
    """Give a blocked step its outcome, one of `BY_WORD`.

    ``evidence`` is what they say of how it was done, and stays inside; ``document_sha256`` is of
    a document that shows it, which they keep. One of the two is needed for whatever says that the
    person is not in the data set any more. Raises the errors of this module, `StepSettledError` to
    the second of two who settle it at the same moment as well.
    """
    outcome, now = Outcome(outcome), timezone.now()
    said = {"said": evidence.strip(), "document_sha256": document_sha256.lower()}
    shown = {name: value for name, value in said.items() if value}
    if outcome is not Outcome.EXEMPT and not shown:
        raise EvidenceMissingError("say how it was done or looked, or name a document's SHA-256")
    hold_people(shared=True)
    _settle(step, outcome, code=code, reason=reason, evidence=shown, at=now)
    if outcome is not Outcome.EXEMPT:
        _end_stays(step, outcome, now)
    facts = {"step": str(step.uuid), "outcome": outcome.value, "by": by}
    facts["document_sha256"] = said["document_sha256"]
    record(step.request, "erasure.settled", {name: each for name, each in facts.items() if each})


def _settle(
    step: ErasureStep,
    outcome: ErasureStep.Outcome,
    *,
    code: str,
    reason: str,
    evidence: Mapping[str, str],
    at: datetime,
) -> None:
    """Settle it in one statement, unless a worker has claimed it or somebody was faster."""
    if outcome not in BY_WORD:
        raise ValueError(outcome)
    waiting = ErasureStep.objects.filter(
        pk=step.pk, state=ErasureStep.State.BLOCKED, released_at__isnull=False
    )
    settled = waiting.update(
        state=ErasureStep.State.DONE, outcome=outcome, code=code, reason=reason,
        evidence=dict(evidence), finished_at=at,
    )  # fmt: skip
    if not settled:
        raise StepSettledError("only a blocked step can be settled by hand")


def _end_stays(step: ErasureStep, outcome: ErasureStep.Outcome, at: datetime) -> None:
    """Let no row of the person be in the data set any more, from a new version on.

    The word is about the data as it is known now, so data that came back ends with it; a list that
    names the person after this is another matter.
    """
    dataset, people = step.dataset_id, BitMap(rows_of(step.request.subject))
    settled = ErasureStep.objects.filter(pk=step.pk)
    version = record_erasure(dataset_id=dataset, at=at)
    # Held as `stays.end` holds it, so that no list comes between looking and ending.
    Dataset.objects.select_for_update(no_key=True).get(pk=dataset)
    if outcome is Outcome.NOT_FOUND:
        if settled.filter(located_rows__gt=0).exists():
            raise PersonIsThereError("rows of the person were found in it: have them erased")
        if _is_named(step):
            raise PersonIsThereError(
                "a list says that the person is in it: hand in or scan one that does not"
            )
    stays.end(dataset_id=dataset, people=people, version=version)
    others = people - BitMap([step.request.subject_id])
    settled.update(version=version, others=list(others))
    one = Batch(dataset, {step.pk: step.token})
    reappearances.look_for(one)
    reappearances.end(one)


def _is_named(step: ErasureStep) -> bool:
    """Say whether a list says that the person is in the data set, and none has said otherwise.

    Nobody knows by name who stands in for an erased person: there the lists are on the tombstones.
    """
    if stands_in(step.request.subject):
        back = Reappearance.objects.filter(request=step.request, dataset=step.dataset_id)
        return back.filter(ended_at=None).exists()
    return membership.datasets_of(step.request.subject).filter(pk=step.dataset_id).exists()
