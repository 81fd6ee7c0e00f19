"""What published policies ask of a use, as rules that run.

Pure. A policy's ``rules`` are JSON; what stands under ``needs`` is read here, all else is for
people. ``needs`` is a list, each entry saying for which purposes and categories it is (all, if it
names none) and what it asks for::

    {"needs": [{"purposes": ["training"], "categories": ["health"], "consent": true,
                "differential_privacy": {"epsilon": 8, "delta": 1e-5},
                "federated": {"secure_aggregation": true, "smallest_round": 10},
                "people": 20, "retention_days": 365},
               {"categories": ["health"], "approvals": 2}]}

``approvals`` is about erasures, which have no purpose: so many people have to approve the plan of
one before anything of these categories is erased.

``privacy_signal`` is about people and not about data, so it stands without categories: a browser
that sends Global Privacy Control objects to these purposes for whoever uses it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from governance.errors import ColophonError

MOST_APPROVALS = 2


class PolicyRulesUnusableError(ColophonError):
    """The rules cannot be run, or hold a number that has no one canonical form (RFC 8785)."""

    code = "policy_rules_unusable"
    status = 400


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that differential privacy may leak: (epsilon, delta)."""

    epsilon: float
    delta: float


@dataclass(frozen=True, slots=True)
class Federation:
    """How training has to be spread: data stays where it is."""

    secure_aggregation: bool
    smallest_round: int


@dataclass(frozen=True, slots=True)
class Demand:
    """What one entry asks for, of uses for these purposes of data of these categories."""

    purposes: frozenset[str]
    categories: frozenset[str]
    consent: bool
    budget: Budget | None
    federation: Federation | None
    people: int
    retention_days: int
    approvals: int
    privacy_signal: bool

    def applies(self, *, purposes: Collection[str], categories: Collection[str]) -> bool:
        """Say whether it is about a use; ``purposes`` are the one meant and all wider ones."""
        named = not self.purposes or self.purposes & set(purposes)
        return bool(named and not self.approvals and self.is_about(categories))

    def approvals_for(self, categories: Collection[str]) -> int:
        """Return how many people have to approve an erasure of data of these categories."""
        return self.approvals if self.is_about(categories) else 0

    def is_about(self, categories: Collection[str]) -> bool:
        """Say whether it is about data of any of these categories."""
        held = self.categories & {each.casefold() for each in categories}
        return bool(held or not self.categories)

    def sentences(self) -> list[str]:
        """Say in words what it asks for."""
        found = []
        if self.consent:
            found.append("People have to have said yes, whatever the legal ground.")
        if self.budget:
            found.append(
                "Training has to be differentially private, with an epsilon of at most "
                f"{self.budget.epsilon:g} at a delta of at most {self.budget.delta:g}."
            )
        if self.federation:
            aggregated = " and be aggregated securely" if self.federation.secure_aggregation else ""
            found.append(
                f"Training has to go to the data, in rounds of at least "
                f"{self.federation.smallest_round} participants{aggregated}."
            )
        if self.people:
            found.append(f"At least {self.people} people have to be in the data.")
        if self.retention_days:
            found.append(
                f"Data is kept for at most {self.retention_days} days: "
                "what anybody is in for longer is not used."
            )
        if self.privacy_signal:
            found.append(
                "A browser that sends Global Privacy Control says no for the person who uses it, "
                "unless they say something else themselves."
            )
        if self.approvals:
            who = "one person has" if self.approvals == 1 else "two different people have"
            what = f"data about {', '.join(sorted(self.categories))}" if self.categories else "data"
            found.append(f"Before {what} is erased, {who} to approve the plan.")
        return found


def demands(rules: Mapping[str, Any]) -> list[Demand]:
    """Return what a policy asks for, or raise `PolicyRulesUnusableError`."""
    needs = rules.get("needs", [])
    if not isinstance(needs, list):
        raise PolicyRulesUnusableError("needs is not a list")
    return [_demand(each, f"needs[{n}]") for n, each in enumerate(needs)]


def demands_of_published(rules: Mapping[str, Any]) -> list[Demand]:
    """Return what a published policy asks for.

    What was published before rules were run was for people, whatever it looks like: it asks for
    nothing here, and cannot be changed any more.
    """
    try:
        return demands(rules)
    except PolicyRulesUnusableError:
        return []


def _demand(said: Any, place: str) -> Demand:
    known = {
        "purposes", "categories", "consent", "differential_privacy", "federated", "people",
        "retention_days", "approvals", "privacy_signal",
    }  # fmt: skip
    _object(said, known, place)
    asked = said.keys() - {"purposes", "categories"}
    if not asked:
        raise PolicyRulesUnusableError(f"{place} asks for nothing")
    if "privacy_signal" in asked and "categories" in said:
        raise PolicyRulesUnusableError(f"{place}.privacy_signal is about no category of data")
    if "approvals" in said and said.keys() - {"categories", "approvals"}:
        raise PolicyRulesUnusableError(f"{place} asks for approvals, so for nothing of a use")
    return Demand(
        purposes=_names(said, "purposes", place),
        categories=frozenset(each.casefold() for each in _names(said, "categories", place)),
        consent=_flag(said, "consent", place),
        budget=_budget(said.get("differential_privacy"), f"{place}.differential_privacy"),
        federation=_federation(said.get("federated"), f"{place}.federated"),
        people=_count(said, "people", place),
        retention_days=_count(said, "retention_days", place),
        privacy_signal=_flag(said, "privacy_signal", place),
        approvals=_approvals(said, place),
    )


def _approvals(said: Mapping[str, Any], place: str) -> int:
    count = _count(said, "approvals", place)
    if "approvals" in said and not 1 <= count <= MOST_APPROVALS:
        raise PolicyRulesUnusableError(f"{place}.approvals is neither 1 nor {MOST_APPROVALS}")
    return count


def _budget(said: Any, place: str) -> Budget | None:
    if said is None:
        return None
    _object(said, {"epsilon", "delta"}, place)
    epsilon, delta = _number(said, "epsilon", place), _number(said, "delta", place)
    if not (epsilon > 0 and 0 < delta < 1):
        raise PolicyRulesUnusableError(f"{place} needs an epsilon above 0, a delta from 0 to 1")
    return Budget(epsilon, delta)


def _federation(said: Any, place: str) -> Federation | None:
    if said is None:
        return None
    _object(said, {"secure_aggregation", "smallest_round"}, place)
    return Federation(
        _flag(said, "secure_aggregation", place), _count(said, "smallest_round", place)
    )


def _object(said: Any, known: set[str], place: str) -> None:
    if not isinstance(said, Mapping):
        raise PolicyRulesUnusableError(f"{place} is not an object")
    if said.keys() - known:
        raise PolicyRulesUnusableError(f"{place} has a member that is none of its own")


def _names(said: Mapping[str, Any], name: str, place: str) -> frozenset[str]:
    value: Sequence[Any] = said.get(name, [])
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise PolicyRulesUnusableError(f"{place}.{name} is not a list of names")
    return frozenset(value)


def _flag(said: Mapping[str, Any], name: str, place: str) -> bool:
    value = said.get(name, False)
    if not isinstance(value, bool):
        raise PolicyRulesUnusableError(f"{place}.{name} is neither true nor false")
    return value


def _count(said: Mapping[str, Any], name: str, place: str) -> int:
    value = said.get(name, 0)
    if type(value) is not int or not 0 <= value < 1 << 31:
        raise PolicyRulesUnusableError(f"{place}.{name} is not a count")
    return value


def _number(said: Mapping[str, Any], name: str, place: str) -> float:
    value = said.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PolicyRulesUnusableError(f"{place}.{name} is not a number")
    return float(value)
