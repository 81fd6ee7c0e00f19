"""Which models used my data: a person's memberships, followed to models.

A way from a model version up to a version that holds the person counts, unless it passes a
version that is known not to hold them: one whose manifest leaves them out, one that an erasure
has read back, or one written by a run that left them out on the gate's word, if that was about
this very run.
"""

from collections.abc import Collection
from dataclasses import dataclass

from pyroaring import BitMap

from consent.models import ErasureStep, Subject
from consent.selectors import leaning, membership
from governance.models import Dataset
from lineage.models import DatasetVersion, ModelVersion
from lineage.selectors import transparency, walk
from lineage.selectors.transparency import Certainty


@dataclass(frozen=True, slots=True)
class Use:
    """One model version that holds a person's data, how that is known, and the shortest way."""

    model_version: ModelVersion
    certainty: Certainty
    way: tuple[int, ...]


def models_of(subject: Subject) -> list[Use]:
    """Answer which model versions used a person's data, the latest first."""
    holding = membership.versions_holding(subject)
    candidates = _candidates(holding)
    uses = [use_of(subject, each, holding=holding) for each in candidates]
    return [use for use in uses if use is not None]


def use_of(
    subject: Subject, made: ModelVersion, *, holding: Collection[int] | None = None
) -> Use | None:
    """Answer whether, and how, one model version used a person's data."""
    targets = set(membership.versions_holding(subject) if holding is None else holding)
    frozen = getattr(made, "provenance", None)
    reached = set(BitMap.deserialize(bytes(frozen.versions))) if frozen else set()
    reached.add(made.version_id)
    stops = (
        membership.versions_proven_without(subject=subject, version_ids=reached)
        | _erased_from(subject)
        | _left_out_by_the_gate(subject, reached)
    )
    way = walk.path(made.version_id, targets - stops, stops=stops)
    if way is None:
        return None
    # Two versions: the training itself read one whose manifest names the person.
    certainty = Certainty.PROVEN if len(way) == 2 else Certainty.INFERRED
    return Use(made, certainty, tuple(way))


def _candidates(versions: Collection[int]) -> list[ModelVersion]:
    held = DatasetVersion.objects.filter(pk__in=list(versions))
    datasets = set(held.values_list("dataset_id", flat=True))
    found = ModelVersion.objects.filter(pk__in=list(transparency.model_versions_holding(datasets)))
    described = found.select_related("model__dataset", "version__run__job", "provenance")
    return list(described.order_by("-version__complete_at", "-pk"))


def _erased_from(subject: Subject) -> set[int]:
    steps = ErasureStep.objects.filter(request__subject=subject, version__isnull=False)
    return set(steps.values_list("version_id", flat=True))


def _left_out_by_the_gate(subject: Subject, versions: Collection[int]) -> set[int]:
    left_out = leaning.left_out(versions)
    return {version for version, people in left_out.items() if subject.pk in people}


def datasets_holding(subject: Subject) -> list[Dataset]:
    """Answer which data sets hold a person's data now."""
    return list(membership.datasets_of(subject))
