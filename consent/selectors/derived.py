"""Data sets that were made from a person's data, so that they may hold it though no list says so.

An erasure finds them by the flows, and so does a copy: what the one would look into, the other
does. Left out is what an erasure leaves alone: models, what a complete list says is without the
person, and what is masked. What nobody is known to have written is not said to be made of anything.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass

from consent import copies as words
from consent.models import Subject
from consent.selectors import plans
from consent.selectors.places import obstacle
from consent.selectors.plans import Left, Plan, PlannedStep
from governance.models import Dataset
from lineage.selectors.inputs import inputs
from lineage.selectors.transparency import Certainty

_MADE_OF_THEM = (Certainty.PROVEN, Certainty.INFERRED)


@dataclass(frozen=True, slots=True)
class Derived:
    """One such data set, and from which it was made; ``code`` is why it cannot be read, or empty.

    ``made_from`` begins with those that hold the person.
    """

    dataset: Dataset
    made_from: list[Dataset]
    code: str


@dataclass(frozen=True, slots=True)
class Derivations:
    """Such data sets, the nearest to what holds the person first; ``more`` are too many to name.

    ``truncated``: the flows were too many to follow, so that more may be missing.
    """

    found: list[Derived]
    more: int
    truncated: bool

    def readable(self) -> list[Dataset]:
        """Return those whose rows can be looked for."""
        return [each.dataset for each in self.found if not each.code]


NONE = Derivations([], 0, truncated=False)


def derived_of(subject: Subject) -> Derivations:
    """Return the data sets that may hold a person by the flows alone, as things are now.

    Some that can be read are read, and of the others as many are named.
    """
    plan = plans.drawn(subject)
    steps = [each for each in plan.steps if each.certainty is Certainty.INFERRED]
    steps.sort(key=lambda each: (each.position, each.dataset.namespace, each.dataset.name))
    taken, kept = Counter[bool](), []
    for each in steps:
        code = _code(each.dataset)
        if taken[bool(code)] < words.MOST_DERIVED:
            taken[bool(code)] += 1
            kept.append((each, code))
    return Derivations(_made(kept, plan), len(steps) - len(kept), plan.truncated)


def _made(told: Collection[tuple[PlannedStep, str]], plan: Plan) -> list[Derived]:
    # What is left alone is on the way as well: a model, or what a list says is without them now.
    found: list[PlannedStep | Left] = [*plan.steps, *plan.left]
    seen = {each.dataset.pk: each.dataset for each in found if each.certainty in _MADE_OF_THEM}
    holding = {each.dataset.pk for each in plan.steps if each.certainty is Certainty.PROVEN}
    above = inputs([each.dataset.pk for each, _ in told], among=seen)

    def sources(pk: int) -> list[Dataset]:
        mine = [seen[each] for each in above[pk]]
        mine.sort(key=lambda each: (each.pk not in holding, each.namespace, each.name))
        return mine[: words.MOST_SOURCES]

    return [Derived(each.dataset, sources(each.dataset.pk), code) for each, code in told]


def _code(dataset: Dataset) -> str:
    found = obstacle(dataset)
    if found is not None:
        return str(found)
    return words.KEPT_OUT if words.is_kept_out(dataset.erasure_options) else ""
