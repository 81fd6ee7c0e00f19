"""How a training protects people, as facts; what they guarantee is computed and never believed.

Pure. An epsilon that somebody states says nothing. From the noise, the sampling and the number of
steps it follows, by Renyi accounting (Mironov 2017; Wang, Balle, Kasiviswanathan 2019), which
bounds it from above. The facts, as JSON::

    {"differential_privacy": {"noise_multiplier": 1.1, "sampling_probability": 0.01,
                              "steps": 1000, "unit": "person"},
     "federated": {"rounds": 50, "smallest_round": 24, "secure_aggregation": true}}
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from governance.errors import ColophonError

MOST_STEPS = 10**9


class MechanismUnusableError(ColophonError):
    """The facts are not those of a training; which one is named."""

    code = "mechanism_unusable"
    status = 400


@dataclass(frozen=True, slots=True)
class Noise:
    """Gaussian noise on sums that were clipped to one, on batches drawn by chance (DP-SGD).

    ``unit`` is whose single contribution is hidden; only that of a person protects people.
    """

    multiplier: float
    sampling_probability: float
    steps: int
    unit: str


@dataclass(frozen=True, slots=True)
class Federation:
    """Rounds in which data stayed where it was; never who took part."""

    rounds: int
    smallest_round: int
    secure_aggregation: bool


@dataclass(frozen=True, slots=True)
class Mechanism:
    """How a training protects people; neither part is a training that does not."""

    noise: Noise | None = None
    federation: Federation | None = None


def mechanism_of(facts: Mapping[str, Any] | None) -> Mechanism:
    """Read the facts, or raise `MechanismUnusableError`."""
    said = _object(facts or {}, {"differential_privacy", "federated"}, "mechanism")
    private, federated = said.get("differential_privacy"), said.get("federated")
    return Mechanism(
        None if private is None else _noise(private),
        None if federated is None else _federation(federated),
    )


def epsilon(noise: Noise, delta: float) -> float:
    """Return the epsilon that a training's facts guarantee at a delta; infinite without noise."""
    return composed((noise,), delta)


@lru_cache(maxsize=1024)
def composed(trainings: tuple[Noise, ...], delta: float) -> float:
    """Return the epsilon of several trainings on the same people: their events, not their sums."""
    if any(each.multiplier == 0 for each in trainings):
        return math.inf
    noisy = [each for each in trainings if each.steps]
    if not noisy:
        return 0.0
    from dp_accounting import GaussianDpEvent, PoissonSampledDpEvent, SelfComposedDpEvent
    from dp_accounting.rdp import RdpAccountant

    accountant = RdpAccountant()
    for each in noisy:
        step = PoissonSampledDpEvent(each.sampling_probability, GaussianDpEvent(each.multiplier))
        accountant.compose(SelfComposedDpEvent(step, each.steps))
    return float(accountant.get_epsilon(delta))


def _noise(said: Any) -> Noise:
    place = "differential_privacy"
    found = _object(said, {"noise_multiplier", "sampling_probability", "steps", "unit"}, place)
    multiplier = _number(found, "noise_multiplier", place)
    probability = _number(found, "sampling_probability", place)
    unit = found.get("unit")
    if not 0 < probability <= 1 or multiplier < 0 or not isinstance(unit, str):
        raise MechanismUnusableError(
            f"{place} needs noise of 0 or more, a sampling probability up to 1, and a unit"
        )
    return Noise(multiplier, probability, _count(found, "steps", place), unit)


def _federation(said: Any) -> Federation:
    place = "federated"
    found = _object(said, {"rounds", "smallest_round", "secure_aggregation"}, place)
    secure = found.get("secure_aggregation", False)
    if not isinstance(secure, bool):
        raise MechanismUnusableError(f"{place}.secure_aggregation is neither true nor false")
    return Federation(
        _count(found, "rounds", place), _count(found, "smallest_round", place), secure
    )


def _object(said: Any, known: set[str], place: str) -> Mapping[str, Any]:
    if not isinstance(said, Mapping) or said.keys() - known:
        raise MechanismUnusableError(f"{place} is not an object of {', '.join(sorted(known))}")
    return said


def _number(said: Mapping[str, Any], name: str, place: str) -> float:
    value = said.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise MechanismUnusableError(f"{place}.{name} is not a number")
    return float(value)


def _count(said: Mapping[str, Any], name: str, place: str) -> int:
    value = said.get(name)
    if type(value) is not int or not 0 <= value <= MOST_STEPS:
        raise MechanismUnusableError(f"{place}.{name} is not a count")
    return value
