"""Which models used my data: a person's memberships, followed to models.

A way from a model version up to a version that holds the person counts, unless it passes a
version that is known not to hold them: one whose manifest leaves them out, one that an erasure
has read back, or one written by a run that left them out on the gate's word, if that was about
this very run. A person in several rows is followed row by row: an erasure and the gate's word are
about the rows that were looked for, a complete manifest about the person.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from django.db.models import QuerySet
from pyroaring import BitMap

from consent.models import ErasureStep, Subject
from consent.selectors import leaning, membership
from consent.selectors.persons import rows_of
from governance.models import Dataset
from lineage.models import ModelVersion, Provenance
from lineage.selectors import ancestry, transparency, walk
from lineage.selectors.identities import identities
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

    @property
    def held(self) -> frozenset[int]:
        """Return the versions that hold the person, and are not known to hold them no more."""
        return self._held

    def steps(self) -> list[tuple[int, int]]:
        """Return every step, as (child, parent), up from the model version to what is held."""
        walls = self._held | self._stops
        seen, edge = set[int](), {self.model_version.version_id} - walls
        found = []
        while edge:
            seen |= edge
            above = [step for step in walk.parents(list(edge)) if step[1] not in self._stops]
            found += above
            edge = {parent for _, parent in above} - seen - walls
        return found


def models_of(subject: Subject) -> list[Use]:
    """Answer which model versions used a person's data, the latest first."""
    rows = rows_of(subject)
    return _together([use for row in rows for use in _models_of(row, rows)])


def use_of(subject: Subject, made: ModelVersion) -> Use | None:
    """Answer whether, and how, one model version used a person's data."""
    found = _together(uses_of(subject, made))
    return found[0] if found else None


def uses_of(subject: Subject, made: ModelVersion) -> list[Use]:
    """Answer the same for each row of the person by which it did."""
    rows, only = rows_of(subject), ModelVersion.objects.filter(pk=made.pk)
    return [use for row in rows for use in _uses(row, rows, membership.versions_of([row]), only)]


def datasets_ever_holding(subject: Subject) -> set[int]:
    """Return the data sets that hold a person's data or ever did."""
    return set(walk.datasets_of(membership.versions_holding(subject)).values())


def datasets_carrying(subject: Subject, datasets: Collection[int]) -> set[int]:
    """Return those data sets whose content now came, by any way, from what holds a person.

    Where there is too much to look at, a data set is among them.
    """
    rows, found = rows_of(subject), set()
    for version in ancestry.current_versions(datasets):
        above = walk.ancestors([version])
        if above.truncated or any(_carries(version, row, rows, above.versions) for row in rows):
            found.add(version)
    carrying = set(identities(set(walk.datasets_of(found).values())).values())
    one = identities(datasets)
    return {pk for pk in datasets if one[pk] in carrying}


def _carries(version: int, row: int, rows: Collection[int], above: Collection[int]) -> bool:
    stops = _stops(row, rows, BitMap(above))
    return walk.path(version, membership.versions_of([row]) - stops, stops=stops) is not None


def _together(found: list[Use]) -> list[Use]:
    """Keep of each model version the surest way that any row shows, the latest version first."""
    surest: dict[int, Use] = {}
    for use in found:
        known = surest.get(use.model_version.pk)
        if known is None or known.certainty is not Certainty.PROVEN:
            surest[use.model_version.pk] = use
    made = surest.values()
    return sorted(
        made,
        key=lambda use: (use.model_version.version.complete_at, use.model_version.pk),
        reverse=True,
    )


def _models_of(row: int, rows: Collection[int]) -> list[Use]:
    holding = membership.versions_of([row])
    found = transparency.model_versions_holding(set(walk.datasets_of(holding).values()))
    return _uses(row, rows, holding, ModelVersion.objects.filter(pk__in=list(found)))


def _uses(
    row: int, rows: Collection[int], holding: set[int], candidates: "QuerySet[ModelVersion]"
) -> list[Use]:
    """Return those of some model versions that used the data of one row of a person.

    Most are decided by their frozen provenance alone. Only those in which something stands that
    may have held the person back are walked.
    """
    held = BitMap(holding)
    above = _above(candidates, held)
    if not above:
        return []
    stops = _stops(row, rows, BitMap.union(BitMap(), *above.values()))
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


def _stops(row: int, rows: Collection[int], versions: BitMap) -> set[int]:
    """Return those of some versions that are known not to hold a row, whatever came in."""
    reached = set(versions)
    return reached & (
        membership.proven_without(rows, reached)
        | _erased_from(row)
        | _left_out_by_the_gate(row, reached)
    )


def _erased_from(row: int) -> set[int]:
    steps = ErasureStep.objects.filter(version__isnull=False).values_list("version_id", flat=True)
    beside = steps.exclude(others=[]).filter(others__contains=[row])
    return set(steps.filter(request__subject=row).union(beside))


def _left_out_by_the_gate(row: int, versions: Collection[int]) -> set[int]:
    return {version for version, people in leaning.left_out(versions).items() if row in people}


def datasets_holding(subject: Subject) -> list[Dataset]:
    """Answer which data sets hold a person's data now."""
    return list(membership.datasets_of(subject))
