"""What the law and the policies in force ask of a use, and what of it is not met.

The gate asks it before a training, the assessment afterwards for the instant of the reading.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from consent.models import GateDecision
from consent.selectors.decisions import chain
from consent.selectors.membership import held_since
from governance.legal import special
from governance.mechanisms import Mechanism, epsilon
from governance.models import Dataset, Purpose
from governance.policy_rules import Demand, demands_of_published
from governance.selectors.rules import policies_in_force

Reason = GateDecision.Reason
PERSON = "person"


@dataclass(frozen=True, slots=True)
class Judged:
    """What a use has to meet. ``explicit``: a "yes" is needed whatever the legal ground.

    ``unmet`` is what the mechanism does not meet, ``people`` how many have to be left, and
    ``policies`` are the versions that ask for something, as key and number.
    """

    explicit: bool = False
    unmet: tuple[GateDecision.Reason, ...] = ()
    people: int = 0
    policies: tuple[str, ...] = ()

    def cohort_is_too_small(self, left: int) -> bool:
        """Say whether fewer people are left than a policy asks for."""
        return left < self.people


def judge(
    *, purpose: Purpose, dataset_ids: Collection[int], mechanism: Mechanism, at: datetime
) -> Judged:
    """Judge a use of data sets, those that they come from among them, as of an instant."""
    categories = categories_of(dataset_ids)
    keys = Purpose.objects.filter(pk__in=chain(purpose)).values_list("key", flat=True)
    demands = demands_on(set(keys), categories, at)
    asked = [each for _, each in demands]
    unmet = {reason for each in asked for reason in _unmet(each, mechanism)}
    if _keeps_too_long(asked, dataset_ids, at):
        unmet.add(Reason.KEPT_TOO_LONG)
    return Judged(
        explicit=any(each.consent for each in asked)
        or bool(special(categories) and not purpose.special_basis),
        unmet=tuple(each for each in Reason if each in unmet),
        people=max((each.people for each in asked), default=0),
        policies=tuple(dict.fromkeys(policy for policy, _ in demands)),
    )


def demands_on(
    purposes: Collection[str], categories: Collection[str], at: datetime
) -> list[tuple[str, Demand]]:
    """Return what the policies in force ask of a use, each with its policy's key and number."""
    return [
        (f"{version.policy.key} {version.number}", each)
        for version in policies_in_force(at)
        for each in demands_of_published(version.rules)
        if each.applies(purposes=purposes, categories=categories)
    ]


def categories_of(dataset_ids: Collection[int]) -> set[str]:
    """Return the categories of some data sets."""
    listed = Dataset.objects.filter(pk__in=list(dataset_ids)).values_list("categories", flat=True)
    return {each for some in listed for each in some}


@dataclass(frozen=True, slots=True)
class Review:
    """How many people have to approve an erasure, and which policy versions ask for it."""

    approvals: int = 0
    policies: tuple[str, ...] = ()


def review(*, categories: Collection[str], at: datetime) -> Review:
    """Judge an erasure of data of these categories as of an instant, by the strictest policy."""
    asked = {
        f"{version.policy.key} {version.number}": max(
            (each.approvals_for(categories) for each in demands_of_published(version.rules)),
            default=0,
        )
        for version in policies_in_force(at)
    }
    policies = tuple(name for name, approvals in asked.items() if approvals)
    return Review(max(asked.values(), default=0), policies)


def _keeps_too_long(asked: Collection[Demand], dataset_ids: Collection[int], at: datetime) -> bool:
    """Say whether anybody is in a data set for longer than is asked of data like it."""
    limits = [each for each in asked if each.retention_days]
    if not limits:
        return False
    since = held_since(dataset_ids, at)
    held = Dataset.objects.filter(pk__in=list(since)).values_list("pk", "categories")
    return any(
        each.is_about(categories) and since[pk] < at - timedelta(days=each.retention_days)
        for pk, categories in held
        for each in limits
    )


def _unmet(asked: Demand, mechanism: Mechanism) -> set[GateDecision.Reason]:
    found = set()
    noise, federation = mechanism.noise, mechanism.federation
    if asked.budget is not None:
        if noise is None or noise.unit != PERSON:
            found.add(Reason.NEEDS_DIFFERENTIAL_PRIVACY)
        elif epsilon(noise, asked.budget.delta) > asked.budget.epsilon:
            found.add(Reason.BUDGET_EXCEEDED)
    if asked.federation is not None:
        if federation is None:
            found.add(Reason.NEEDS_FEDERATION)
        elif federation.smallest_round < asked.federation.smallest_round:
            found.add(Reason.COHORT_TOO_SMALL)
        elif asked.federation.secure_aggregation and not federation.secure_aggregation:
            found.add(Reason.NEEDS_SECURE_AGGREGATION)
    return found
