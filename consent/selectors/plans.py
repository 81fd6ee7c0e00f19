"""What an erasure would do, for people to read before anything is touched.

A plan names every data set that the person's data may have come to: those to erase from, in the
order of the flows, and those that are left as they are, each with its code. What nobody can
answer for is a step too, so that it stays open until somebody has.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.utils import timezone

from consent.models import Subject
from consent.selectors import judging, membership, uses
from consent.selectors.judging import Review
from consent.selectors.places import Obstacle, obstacle
from consent.selectors.subjects import stands_in
from governance.fields import among
from governance.models import Dataset, Model
from lineage.selectors import ancestry, transparency, walk
from lineage.selectors.downstream import Downstream, downstream
from lineage.selectors.identities import identities
from lineage.selectors.transparency import Certainty

MOST_WAYS = 50


class LeftAlone(StrEnum):
    """Why a data set in sight of an erasure is not touched and keeps nothing open."""

    PROVEN_WITHOUT = "proven_without"  # a complete list of its current version leaves them out
    MASKED = "masked"  # every column's path is masked, and nothing in it identifies people
    MODEL = "model"  # a model holds no rows: its versions are followed by themselves
    DERIVED_BEFORE = "derived_before"  # what came back came after it was made


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A data set to erase from; ``position`` follows the flows, sources first.

    What does not flow into each other may have one position: nothing there waits for the other.
    ``code`` is what stands in the way as things are, or empty.
    """

    dataset: Dataset
    certainty: Certainty
    position: int
    code: str


@dataclass(frozen=True, slots=True)
class Left:
    """A data set that is not touched, and why."""

    dataset: Dataset
    certainty: Certainty
    code: LeftAlone


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in the order of the flows, what is left alone, models affected, and who must approve.

    ``truncated``: the flows were too many to follow, so data sets may be missing.
    """

    steps: list[PlannedStep]
    left: list[Left]
    models: list[uses.Use]
    review: Review
    truncated: bool

    def content(self) -> dict[str, Any]:
        """Return all of it as JSON, by names and public ids. It says of nobody whose it is."""
        return {
            "steps": [
                {**_named(each.dataset, each.certainty, each.code), **_place(each.dataset)}
                for each in self.steps
            ],
            "untouched": [_named(each.dataset, each.certainty, each.code) for each in self.left],
            "models": _models(self.models),
            "approvals": self.review.approvals,
            "policies": list(self.review.policies),
            "truncated": self.truncated,
        }


def same_work(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Say whether two plans do the same to the same data sets.

    Models are none of it: a plan does nothing to them, and those that are trained meanwhile are
    found by themselves.
    """
    names = (one.keys() | other.keys()) - {"models"}
    return all(one.get(name) == other.get(name) for name in names)


def digest_of(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a plan's content as canonical JSON (RFC 8785), in hexadecimal.

    Its names are ASCII and its numbers whole. Of such the standard library writes the canonical
    form itself, in a twentieth of the time.
    """
    canonical = json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def drawn(subject: Subject, *, at: datetime | None = None) -> Plan:
    """Draw the plan of a person's erasure as things are now; nothing is written.

    Of data that came back after an erasure it is known where and since when. So it is not looked
    for in what was derived before that, nor above.
    """
    traced, back = uses.traced(subject), stands_in(subject)
    below = downstream(uses.datasets_ever_holding(subject) if back else traced.datasets)
    found = _Found.of(subject, traced.datasets, below, back=back)
    steps = found.steps()
    categories = {each for step in steps for each in step.dataset.categories}
    review = judging.review(categories=categories, at=at or timezone.now()) if steps else Review()
    return Plan(
        steps=steps,
        left=found.left(),
        models=traced.models,
        review=review,
        truncated=below.truncated or found.truncated,
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """Every data set in sight of an erasure, by what is known of it; keys are data sets'.

    ``datasets`` are in the order of the flows.
    """

    holding: Collection[int]
    below: Downstream
    without: Collection[int]
    models: Collection[int]
    unknown: Collection[int]
    before: Collection[int]
    truncated: bool
    datasets: Mapping[int, Dataset]

    @classmethod
    def of(cls, subject: Subject, holding: set[int], below: Downstream, *, back: bool) -> "_Found":
        reached = set(below.depth)
        before = reached - holding - uses.datasets_carrying(subject, reached) if back else set()
        above = ancestry.sources(() if back else reached)
        unknown = transparency.unanswered(above.dataset_ids) - reached
        found = Dataset.objects.select_related("storage").filter(pk__in=among(reached | unknown))
        known = _named_once({each.pk: each for each in found})
        models = Model.objects.filter(dataset_id__in=among(reached))
        return cls(
            holding, below, _proven_without(subject, (reached | unknown) - holding),
            set(models.values_list("dataset_id", flat=True)),
            unknown, before, above.truncated, _ordered(known, below.depth),
        )  # fmt: skip

    def why_left(self, pk: int) -> LeftAlone | None:
        """Return why a data set is left alone; nothing if it is not."""
        if pk in self.holding:
            return None
        if pk in self.models:
            return LeftAlone.MODEL
        if pk in self.without:
            return LeftAlone.PROVEN_WITHOUT
        if pk in self.before:
            return LeftAlone.DERIVED_BEFORE
        masked = pk not in self.unknown and pk not in self.below.clear
        return LeftAlone.MASKED if masked and not self.datasets[pk].subject_column else None

    def certainty(self, pk: int) -> Certainty:
        if pk in self.holding:
            return Certainty.PROVEN
        if pk in self.unknown:
            return Certainty.UNKNOWN
        return Certainty.INFERRED if pk in self.below.clear else Certainty.MASKED

    def steps(self) -> list[PlannedStep]:
        return [
            PlannedStep(each, self.certainty(pk), self.below.depth.get(pk, 0), self._code(pk, each))
            for pk, each in self.datasets.items()
            if self.why_left(pk) is None
        ]

    def left(self) -> list[Left]:
        told = ((pk, each, self.why_left(pk)) for pk, each in self.datasets.items())
        return [Left(each, self._known_by(pk, why), why) for pk, each, why in told if why]

    def _known_by(self, pk: int, why: LeftAlone) -> Certainty:
        return Certainty.PROVEN if why is LeftAlone.PROVEN_WITHOUT else self.certainty(pk)

    def _code(self, pk: int, dataset: Dataset) -> str:
        found = obstacle(dataset)
        if found is Obstacle.NO_STORAGE and pk in self.unknown:
            return Obstacle.UNKNOWN_UPSTREAM
        return found or ""


def _ordered(found: Mapping[int, Dataset], depth: Mapping[int, int]) -> dict[int, Dataset]:
    """Return the data sets as the data flows; what nobody knows comes first."""

    def place(pair: tuple[int, Dataset]) -> tuple[int, str, str]:
        return depth.get(pair[0], -1), pair[1].namespace, pair[1].name

    return dict(sorted(found.items(), key=place))


def _named_once(found: dict[int, Dataset]) -> dict[int, Dataset]:
    """Leave out names of a data set that lead nowhere, where another of its names does."""
    one = identities(found)
    stored = {one[pk] for pk, each in found.items() if each.storage_id is not None}
    nowhere = {pk: one[pk] for pk, each in found.items() if each.storage_id is None}
    twice = {pk for pk, each in nowhere.items() if each in stored}
    twice |= transparency.other_names({pk: each for pk, each in nowhere.items() if pk not in twice})
    return {pk: each for pk, each in found.items() if pk not in twice}


def _proven_without(subject: Subject, datasets: Collection[int]) -> set[int]:
    """Return those data sets whose current version is known not to hold a person."""
    current = ancestry.current_versions(datasets)
    without = membership.versions_proven_without(subject=subject, version_ids=current)
    if not without:
        return set()
    proven = set(identities(set(walk.datasets_of(without).values())).values())
    one = identities(datasets)
    return {pk for pk in datasets if one[pk] in proven}


def _named(dataset: Dataset, certainty: Certainty, code: str) -> dict[str, Any]:
    return {
        "dataset": str(dataset.uuid),
        "namespace": dataset.namespace,
        "name": dataset.name,
        "certainty": str(certainty),
        "code": str(code),
    }


def _place(dataset: Dataset) -> dict[str, Any]:
    """Return where a step goes; the options change what is done there, so they count as well.

    They are kept as text: a number in them need not have a canonical form.
    """
    storage = dataset.storage
    return {
        "storage": storage.name if storage else "",
        "kind": storage.kind if storage else "",
        "location": dataset.location,
        "subject_column": dataset.subject_column,
        "subject_scheme": dataset.subject_scheme,
        "options": json.dumps(dataset.erasure_options, sort_keys=True),
    }


def _models(affected: list[uses.Use]) -> list[dict[str, Any]]:
    """Name the model versions, the latest first, with a shortest way from the data to them.

    Of each model the latest version has its way told: those of the others are much the same, and
    each can be asked for.
    """
    latest: dict[int, uses.Use] = {}
    for each in affected:
        latest.setdefault(each.model_version.model_id, each)
    ways = {each.model_version.pk: each.way[::-1] for each in list(latest.values())[:MOST_WAYS]}
    steps = sorted({pk for way in ways.values() for pk in way})
    names = dict(zip(steps, walk.described(steps), strict=True))
    return [
        {
            "model_version": str(made.uuid),
            "namespace": made.model.dataset.namespace,
            "name": made.model.dataset.name,
            "version": made.version.declared,
            "certainty": str(each.certainty),
            "way": [names[pk].name for pk in ways.get(made.pk, ())],
        }
        for each in affected
        for made in [each.model_version]
    ]
