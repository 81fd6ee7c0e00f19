"""What an erasure would do, for people to read before anything is touched.

A plan names every data set that the person's data may have come to: those to erase from, in the
order of the flows, and those that are left as they are, each with its code. What nobody can
answer for is a step too, so that it stays open until somebody has.
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache, partial
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
    """Draw the plan of a person's erasure as things are now; nothing is written."""
    return next(drawn_of([subject], at=at or timezone.now()))


def drawn_of(subjects: Collection[Subject], *, at: datetime) -> Iterator[Plan]:
    """Draw the plans of some people's erasures in turn: all at once might be too many to hold.

    People who are in the same data sets have the same in sight, so that is looked up once.

    Of data that came back after an erasure it is known where and since when. So it is not looked
    for in what was derived before that, nor above.
    """
    in_sight, review = cache(_Sight.of), cache(partial(judging.review, at=at))
    for subject, held in zip(subjects, uses.traced_of(subjects), strict=True):
        if stands_in(subject):
            sight = _Sight.of(uses.datasets_ever_holding(subject), above=False)
        else:
            sight = in_sight(frozenset(held.datasets))
        found = _Found.of(subject, held.datasets, sight)
        steps = found.steps()
        categories = frozenset(each for step in steps for each in step.dataset.categories)
        yield Plan(
            steps=steps,
            left=found.left(),
            models=held.models,
            review=review(categories=categories) if steps else Review(),
            truncated=sight.truncated,
        )


def drawn_late(subject: Subject, datasets: Collection[int], *, at: datetime) -> Plan:
    """Draw what an erasure that has begun has to do in data sets that were written meanwhile.

    Whatever of them came, by any way, from what holds the person or did.
    """
    held = uses.traced(subject)
    sight = _Sight.of(uses.datasets_ever_holding(subject), above=False)
    others = sight.below.depth.keys() - held.datasets
    before = others - uses.datasets_carrying(subject, others & set(datasets))
    without = _proven_without(subject, held.datasets, sight)
    steps = _Found(sight, held.datasets, without, before).steps()
    categories = {each for step in steps for each in step.dataset.categories}
    review = judging.review(categories=categories, at=at) if steps else Review()
    return Plan(steps, [], held.models, review, sight.truncated)


@dataclass(frozen=True, slots=True)
class _Sight:
    """What is in sight of some data sets, whoever is in them; keys are data sets'.

    ``datasets`` are in the order of the flows. ``listed`` are the current versions of which a
    complete list tells who is in them, each with its data set; then ``one`` is the identity of
    each data set.
    """

    below: Downstream
    unknown: Collection[int]
    models: Collection[int]
    datasets: Mapping[int, Dataset]
    listed: Mapping[int, int]
    one: Mapping[int, int]
    truncated: bool

    @classmethod
    def of(cls, starts: Collection[int], *, above: bool = True) -> "_Sight":
        below = downstream(starts)
        reached = set(below.depth)
        sources = ancestry.sources(reached if above else ())
        unknown = transparency.unanswered(sources.dataset_ids) - reached
        found = Dataset.objects.select_related("storage").filter(pk__in=among(reached | unknown))
        known = _ordered(_named_once({each.pk: each for each in found}), below.depth)
        made = Model.objects.filter(dataset_id__in=among(reached))
        models = set(made.values_list("dataset_id", flat=True))
        listed = membership.manifested(ancestry.current_versions(reached | unknown))
        of = walk.datasets_of(listed) if listed else {}
        one = identities({*reached, *unknown, *of.values()}) if listed else {}
        truncated = below.truncated or sources.truncated
        return cls(below, unknown, models, known, of, one, truncated)


@dataclass(frozen=True, slots=True)
class _Found:
    """What is in sight of one person's erasure, by what is known of it; keys are data sets'."""

    sight: _Sight
    holding: Collection[int]
    without: Collection[int]
    before: Collection[int]

    @classmethod
    def of(cls, subject: Subject, holding: Collection[int], sight: _Sight) -> "_Found":
        before: set[int] = set()
        if stands_in(subject):
            reached = sight.below.depth.keys()
            before = reached - holding - uses.datasets_carrying(subject, reached)
        return cls(sight, holding, _proven_without(subject, holding, sight), before)

    def why_left(self, pk: int) -> LeftAlone | None:
        """Return why a data set is left alone; nothing if it is not."""
        if pk in self.holding:
            return None
        if pk in self.sight.models:
            return LeftAlone.MODEL
        if pk in self.without:
            return LeftAlone.PROVEN_WITHOUT
        if pk in self.before:
            return LeftAlone.DERIVED_BEFORE
        masked = pk not in self.sight.unknown and pk not in self.sight.below.clear
        return LeftAlone.MASKED if masked and not self.sight.datasets[pk].subject_column else None

    def certainty(self, pk: int) -> Certainty:
        if pk in self.holding:
            return Certainty.PROVEN
        if pk in self.sight.unknown:
            return Certainty.UNKNOWN
        return Certainty.INFERRED if pk in self.sight.below.clear else Certainty.MASKED

    def steps(self) -> list[PlannedStep]:
        depth = self.sight.below.depth
        return [
            PlannedStep(each, self.certainty(pk), depth.get(pk, 0), self._code(pk, each))
            for pk, each in self.sight.datasets.items()
            if self.why_left(pk) is None
        ]

    def left(self) -> list[Left]:
        told = ((pk, each, self.why_left(pk)) for pk, each in self.sight.datasets.items())
        return [Left(each, self._known_by(pk, why), why) for pk, each, why in told if why]

    def _known_by(self, pk: int, why: LeftAlone) -> Certainty:
        return Certainty.PROVEN if why is LeftAlone.PROVEN_WITHOUT else self.certainty(pk)

    def _code(self, pk: int, dataset: Dataset) -> str:
        found = obstacle(dataset)
        if found is Obstacle.NO_STORAGE and pk in self.sight.unknown:
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


def _proven_without(subject: Subject, holding: Collection[int], sight: _Sight) -> set[int]:
    """Return those other data sets whose current version is known not to hold a person."""
    there = {sight.one[pk] for pk in holding} if sight.one else set()
    others = [each for each, pk in sight.listed.items() if sight.one[pk] not in there]
    if not others:
        return set()
    without = membership.versions_proven_without(subject, others)
    proven = {sight.one[sight.listed[version]] for version in without}
    return {pk for pk, identity in sight.one.items() if identity in proven}


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
    names = dict(zip(steps, walk.described(steps), strict=True)) if steps else {}
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
