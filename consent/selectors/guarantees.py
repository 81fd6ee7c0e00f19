"""What a model version's exemption can rest on, computed from the facts and never believed.

A person's data reaches a model version along steps from version to version. A training with
differential privacy, whose unit is a person, hides them from there on: what is made of its model
alone is post-processing. All such trainings that read the data unprotected compose, as events; a
way that passes none has no guarantee at all.
"""

import math
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from django.utils import timezone
from pyroaring import BitMap

from consent.measures import MeasureKind
from consent.models import Subject
from consent.selectors import uses
from consent.selectors.decisions import chain
from consent.selectors.judging import PERSON, categories_of, demands_on
from consent.selectors.leaning import TRAINING_FACET, Declared
from governance.errors import ColophonError
from governance.mechanisms import MechanismUnusableError, Noise, composed, mechanism_of
from governance.models import Purpose
from governance.policy_rules import Budget
from lineage.models import DatasetVersion, ModelVersion, Provenance, RunFacet
from lineage.selectors import transparency, walk
from lineage.selectors.transparency import Certainty


class LineageGapError(ColophonError):
    """Something upstream is not known, so nothing can be said of every way."""

    code: ClassVar[str] = "lineage_gap"
    status: ClassVar[int] = 422


class ProvenancePendingError(ColophonError):
    """The provenance is being computed again: ask a moment later."""

    code: ClassVar[str] = "provenance_pending"
    status: ClassVar[int] = 409


class NotPrivateError(ColophonError):
    """The data reaches the model along a way without differential privacy: epsilon is infinite."""

    code: ClassVar[str] = "not_private"
    status: ClassVar[int] = 422


class UnitNotPersonError(ColophonError):
    """A training hides something else than a person's whole contribution."""

    code: ClassVar[str] = "unit_not_person"
    status: ClassVar[int] = 422


class NoBudgetError(ColophonError):
    """No published policy says how much may leak, so nothing is within it."""

    code: ClassVar[str] = "no_budget"
    status: ClassVar[int] = 422


class BudgetExceededError(ColophonError):
    """The trainings together leak more than a published policy allows."""

    code: ClassVar[str] = "budget_exceeded"
    status: ClassVar[int] = 422


class NotMaskedError(ColophonError):
    """Some way from the person's data to the model passes no mask."""

    code: ClassVar[str] = "not_masked"
    status: ClassVar[int] = 422


def ground(kind: MeasureKind, subject: Subject, made: ModelVersion) -> dict[str, Any]:
    """Return what an exemption of a kind rests on, or raise why it does not hold."""
    frozen = _known_in_full(made)
    ways = _Ways.of(uses.uses_of(subject, made), made)
    if kind == MeasureKind.EXEMPT_GUARANTEE:
        return _guarantee(ways, frozen) if ways else {"trainings": [], "budgets": []}
    if kind == MeasureKind.EXEMPT_MASKED and ways:
        return _masked(ways, frozen)
    return {}


@dataclass(frozen=True, slots=True)
class _Ways:
    """Every step from a model version up to what holds the person, by whichever of their rows."""

    made: ModelVersion
    steps: frozenset[tuple[int, int]]
    held: frozenset[int]

    @classmethod
    def of(cls, found: Collection[uses.Use], made: ModelVersion) -> "_Ways | None":
        """Put the ways of all rows together; nothing if no row's data is in the model."""
        if not found:
            return None
        steps = frozenset(step for use in found for step in use.steps())
        return cls(made, steps, frozenset().union(*(use.held for use in found)))


def _known_in_full(made: ModelVersion) -> Provenance:
    frozen = Provenance.objects.filter(model_version=made).first()
    if frozen is None or ModelVersion.objects.filter(pk=made.pk, stale_at__isnull=False).exists():
        raise ProvenancePendingError("the provenance is being computed: try again in a moment")
    certainties = {certainty for _, certainty in transparency.datasets_in(made)}
    if frozen.truncated or Certainty.UNKNOWN in certainties:
        raise LineageGapError("something upstream is unknown, which can never count as a no")
    return frozen


def _masked(ways: _Ways, frozen: Provenance) -> dict[str, Any]:
    held = {parent for _, parent in ways.steps} & ways.held
    sources = BitMap(walk.datasets_of(held).values())
    masked = BitMap.deserialize(bytes(frozen.masked)) if frozen.masked else BitMap()
    if not held or not sources <= masked:
        raise NotMaskedError("some way to the model passes no mask, as far as columns are known")
    return {"data_sets": len(sources)}


@dataclass(slots=True)
class _Reach:
    """How far the person's data goes unprotected, and which trainings read it there."""

    bare: set[int]
    trainings: dict[int, Noise] = field(default_factory=dict)


def _guarantee(ways: _Ways, frozen: Provenance) -> dict[str, Any]:
    graph = _Graph(ways.steps)
    reach = graph.reach(ways.held)
    if ways.made.version_id in reach.bare:
        if graph.other_units:
            raise UnitNotPersonError("a training on the way hides less than a whole person")
        raise NotPrivateError("a way to the model passes no differentially private training")
    noises = tuple(reach.trainings[run] for run in sorted(reach.trainings))
    datasets = {*BitMap.deserialize(bytes(frozen.datasets)), ways.made.version.dataset_id}
    budgets = _budgets(graph.purposes(reach.trainings), datasets, timezone.now())
    if not budgets:
        raise NoBudgetError("no policy in force says how much such a training may leak")
    told = []
    for policy, budget in budgets:
        reached = composed(noises, budget.delta)
        if math.isinf(reached):
            raise NotPrivateError("a training on the way adds no noise")
        if reached > budget.epsilon:
            raise BudgetExceededError(
                f"epsilon is {reached:.4g} at delta {budget.delta:g}; {policy} allows"
                f" {budget.epsilon:g}",
                epsilon=reached, delta=budget.delta, policy=policy,
            )  # fmt: skip
        told.append(
            {"policy": policy, "delta": budget.delta, "epsilon": reached, "most": budget.epsilon}
        )
    return {"trainings": graph.names(reach.trainings), "budgets": told}


def _budgets(
    purposes: frozenset[str] | None, datasets: Collection[int], at: datetime
) -> list[tuple[str, Budget]]:
    """Return the budgets that apply; where a purpose was not declared, those of every purpose."""
    known = Purpose.objects.all() if purposes is None else Purpose.objects.filter(key__in=purposes)
    widened = {pk for each in known for pk in chain(each)}
    keys = set(Purpose.objects.filter(pk__in=widened).values_list("key", flat=True))
    asked = demands_on(keys, categories_of(datasets), at)
    return [(policy, each.budget) for policy, each in asked if each.budget is not None]


class _Graph:
    """The versions between a model version and what holds the person, and what wrote them."""

    def __init__(self, steps: Collection[tuple[int, int]]) -> None:
        self._above: defaultdict[int, set[int]] = defaultdict(set)
        for child, parent in steps:
            self._above[child].add(parent)
        met = {each for step in steps for each in step}
        found = DatasetVersion.objects.filter(pk__in=met).select_related("run")
        self._versions: Mapping[int, DatasetVersion] = found.in_bulk()
        models = ModelVersion.objects.filter(version__in=met)
        self._models = set(models.values_list("version_id", flat=True))
        runs = {each.run_id for each in self._versions.values() if each.run_id is not None}
        facets = RunFacet.objects.filter(name=TRAINING_FACET, run__in=runs)
        self._said = {
            run: Declared.of(value or {}) for run, value in facets.values_list("run_id", "value")
        }
        self._noise = {run: noise for run in self._said if (noise := self._noise_of(run))}
        self.other_units = any(each.unit != PERSON for each in self._noise.values())

    def reach(self, held: Collection[int]) -> _Reach:
        """Follow the data down to where a training protects it, until nothing new is reached."""
        reach = _Reach(set(held))
        grown = True
        while grown:
            grown = False
            for child, parents in self._above.items():
                bare = parents & reach.bare
                if not bare or child in reach.bare:
                    continue
                run, noise = self._versions[child].run_id, self._protection(child, bare)
                if noise is None or run is None:
                    reach.bare.add(child)
                    grown = True
                else:
                    reach.trainings[run] = noise
        return reach

    def purposes(self, runs: Collection[int]) -> frozenset[str] | None:
        """Return for what runs said that they train; nothing if one of them did not say."""
        said = [self._said[run].purposes for run in runs]
        return frozenset(key for each in said for key in each) if all(said) else None

    def names(self, runs: Collection[int]) -> list[str]:
        """Return the public ids of runs."""
        known = {each.run_id: each.run for each in self._versions.values() if each.run}
        return sorted(str(known[run].uuid) for run in runs)

    def _protection(self, child: int, bare: Collection[int]) -> Noise | None:
        """Return the noise behind which the data is hidden in a version, if it is.

        What a version carries on from the one before it passed no training.
        """
        version = self._versions[child]
        noise = self._noise.get(version.run_id) if version.run_id is not None else None
        if noise is None or noise.unit != PERSON:
            return None
        whole = child in self._models or version.replaces
        carried = any(self._versions[each].identity == version.identity for each in bare)
        return None if carried and not whole else noise

    def _noise_of(self, run: int) -> Noise | None:
        try:
            return mechanism_of(self._said[run].mechanism).noise
        except MechanismUnusableError:
            return None
