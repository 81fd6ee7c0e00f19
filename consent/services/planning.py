"""Plan an erasure: every data set that holds the person or may, and every model."""

from collections.abc import Collection
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from consent.models import ErasureStep, Subject
from consent.selectors import membership, uses
from consent.selectors.requests import to_plan
from consent.services.remediation import open_for
from consent.services.requests import record
from consent.services.subjects import hold_people
from governance.models import Dataset, Model
from lineage.selectors import ancestry, walk
from lineage.selectors.transparency import Certainty


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One data set in a plan; ``position`` follows the flows, sources first.

    What does not flow into each other has one position: nothing there waits for the other.
    """

    dataset: Dataset
    certainty: Certainty
    position: int


@transaction.atomic
def plan(*, request_id: int) -> bool:
    """Write the plan of a verified erasure, once; say whether this call did.

    It is about all rows of the person, and nobody is merged or parted meanwhile.
    """
    found = to_plan().select_for_update(of=("self",)).select_related("subject")
    due = found.filter(pk=request_id).first()
    if due is None:
        return False
    hold_people(shared=True)
    steps = planned_steps(due.subject)
    ErasureStep.objects.bulk_create(
        ErasureStep(
            request=due, dataset=each.dataset, certainty=each.certainty, position=each.position
        )
        for each in steps
    )
    due.planned_at = timezone.now()
    due.save(update_fields=["planned_at"])
    affected = uses.models_of(due.subject)
    open_for(request=due, affected=affected)
    record(due, "erasure.planned", {"steps": len(steps), "models": len(affected)})
    return True


def planned_steps(subject: Subject) -> list[PlannedStep]:
    """Return the data sets to deal with: those that hold the person, and those derived from them.

    A derived data set whose manifest of its current version leaves the person out is not touched.
    """
    holding = {each.pk for each in uses.datasets_holding(subject)}
    reached = ancestry.descendants(holding).dataset_ids
    models = set(Model.objects.filter(dataset_id__in=reached).values_list("dataset_id", flat=True))
    derived = reached - holding - models
    derived -= _proven_without(subject, derived)
    wanted = holding | derived
    depth = {pk: len(ancestry.ancestors([pk]).dataset_ids & wanted) for pk in wanted}
    datasets = Dataset.objects.filter(pk__in=wanted).select_related("storage")
    ordered = sorted(datasets, key=lambda each: (depth[each.pk], each.namespace, each.name))
    return [
        PlannedStep(
            each,
            Certainty.PROVEN if each.pk in holding else Certainty.INFERRED,
            position=depth[each.pk] - 1,
        )
        for each in ordered
    ]


def _proven_without(subject: Subject, datasets: Collection[int]) -> set[int]:
    current = ancestry.current_versions(datasets)
    without = membership.versions_proven_without(subject=subject, version_ids=current)
    return set(walk.datasets_of(without).values())
