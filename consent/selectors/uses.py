"""Which models used my data: a person's memberships, followed to models.

A way from a model version up to a version that holds the person counts, unless it passes a
version that is known not to hold them: one whose manifest leaves them out, one that an erasure
has read back, or one written by a run that left them out on the gate's word, if that was about
this very run.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from django.db.models import QuerySet
from pyroaring import BitMap

from consent.models import ErasureStep, Subject
from consent.selectors import leaning, membership
from governance.models import Dataset
from lineage.models import ModelVersion, Provenance
from lineage.selectors import ancestry, transparency, walk
from lineage.selectors.transparency import Certainty


@dataclass(frozen=True, slots=True)
class Use:
    """One model version that holds a person's data, and how that is known."""

    model_version: ModelVersion
    certainty: Certainty
    _held: frozenset[int] = field(repr=False)
    _stops: frozenset[int] = field(repr=False)

    @property
    def way(self) -> tuple[int, ...]:
        """Look up a shortest way from the model version to a version that holds the person."""
        start = self.model_version.version_id
        return tuple(walk.path(start, self._held, stops=self._stops) or ())


def models_of(subject: Subject) -> list[Use]:
    """Answer which model versions used a person's data, the latest first."""
    holding = membership.versions_holding(subject)
    found = transparency.model_versions_holding(set(walk.datasets_of(holding).values()))
    return _uses(subject, holding, ModelVersion.objects.filter(pk__in=list(found)))


def use_of(subject: Subject, made: ModelVersion) -> Use | None:
    """Answer whether, and how, one model version used a person's data."""
    holding = membership.versions_holding(subject)
    found = _uses(subject, holding, ModelVersion.objects.filter(pk=made.pk))
    return found[0] if found else None


def datasets_ever_holding(subject: Subject) -> set[int]:
    """Return the data sets that hold a person's data or ever did."""
    return set(walk.datasets_of(membership.versions_holding(subject)).values())


def datasets_carrying(subject: Subject, datasets: Collection[int]) -> set[int]:
    """Return those data sets whose content now came, by any way, from what holds a person.

    Where there is too much to look at, a data set is among them.
    """
    holding = membership.versions_holding(subject)
    found = set()
    for version in ancestry.current_versions(datasets):
        above = walk.ancestors([version])
        stops = _stops(subject, BitMap(above.versions))
        way = walk.path(version, holding - stops, stops=stops)
        if above.truncated or way is not None:
            found.add(version)
    return set(walk.datasets_of(found).values()) & set(datasets)


def _uses(subject: Subject, holding: set[int], candidates: "QuerySet[ModelVersion]") -> list[Use]:
    """Return those of some model versions that used a person's data.

    Most are decided by their frozen provenance alone. Only those in which something stands that
    may have held the person back are walked.
    """
    held = BitMap(holding)
    above = _above(candidates, held)
    stops = _stops(subject, BitMap.union(BitMap(), *above.values()))
    targets = frozenset(holding - stops)
    described = candidates.filter(pk__in=list(above)).select_related(
        "model__dataset", "version__run__job"
    )
    made = {each.version_id: each for each in described.order_by("-version__complete_at", "-pk")}
    direct = {child for child, parent in walk.parents(list(made)) if parent in targets}
    uses = []
    for version, each in made.items():
        if version in stops:
            continue
        barred = above[each.pk].intersect(BitMap(stops))
        if barred and walk.path(version, targets, stops=stops) is None:
            continue
        certainty = Certainty.PROVEN if version in direct else Certainty.INFERRED
        uses.append(Use(each, certainty, targets, frozenset(stops)))
    return uses


def _above(candidates: "QuerySet[ModelVersion]", held: BitMap) -> dict[int, BitMap]:
    """Return what each candidate descends from, of those that descend from what is held."""
    found = {}
    rows = Provenance.objects.filter(model_version__in=candidates)
    for key, version, frozen in rows.values_list(
        "model_version_id", "model_version__version_id", "versions"
    ):
        versions = BitMap.deserialize(bytes(frozen))
        if versions.intersect(held):
            versions.add(version)
            found[key] = versions
    return found


def _stops(subject: Subject, versions: BitMap) -> set[int]:
    """Return those of some versions that are known not to hold a person, whatever came in."""
    reached = set(versions)
    return reached & (
        membership.versions_proven_without(subject=subject, version_ids=reached)
        | _erased_from(subject)
        | _left_out_by_the_gate(subject, reached)
    )


def _erased_from(subject: Subject) -> set[int]:
    steps = ErasureStep.objects.filter(request__subject=subject, version__isnull=False)
    return set(steps.values_list("version_id", flat=True))


def _left_out_by_the_gate(subject: Subject, versions: Collection[int]) -> set[int]:
    left_out = leaning.left_out(versions)
    return {version for version, people in left_out.items() if subject.pk in people}


def datasets_holding(subject: Subject) -> list[Dataset]:
    """Answer which data sets hold a person's data now."""
    return list(membership.datasets_of(subject))
