"""Rules that run are read strictly, and said in words; a guarantee is computed from facts."""

import math

import pytest

from governance.mechanisms import MechanismUnusableError, Noise, epsilon, mechanism_of
from governance.policy_rules import PolicyRulesUnusableError, demands

WHOLE = {
    "purposes": ["training"], "categories": ["Health"], "consent": True,
    "differential_privacy": {"epsilon": 8, "delta": 1e-5},
    "federated": {"secure_aggregation": True, "smallest_round": 10},
    "people": 20, "retention_days": 365,
}  # fmt: skip


def test_every_part_is_read_and_said_in_words():
    [asked] = demands({"needs": [WHOLE], "note": "for people"})
    assert asked.applies(purposes=["training", "all"], categories=["health"])
    assert not asked.applies(purposes=["training"], categories=["loans"])
    assert not asked.applies(purposes=["other"], categories=["health"])
    said = " ".join(asked.sentences())
    assert said == (
        "People have to have said yes, whatever the legal ground. Training has to be "
        "differentially private, with an epsilon of at most 8 at a delta of at most 1e-05. "
        "Training has to go to the data, in rounds of at least 10 participants and be aggregated "
        "securely. At least 20 people have to be in the data. Data is kept for at most 365 days: "
        "what anybody is in for longer is not used."
    )


def test_a_privacy_signal_is_asked_for_by_itself_or_beside_others():
    [alone, beside] = demands(
        {"needs": [{"privacy_signal": True}, {"privacy_signal": True, "people": 2}]}
    )
    assert (alone.privacy_signal, alone.purposes, beside.people) == (True, frozenset(), 2)
    [said] = alone.sentences()
    assert said == (
        "A browser that sends Global Privacy Control says no for the person who uses it, unless "
        "they say something else themselves."
    )
    assert not demands({"needs": [WHOLE]})[0].privacy_signal


def test_what_is_for_people_asks_for_nothing():
    assert demands({}) == demands({"keep_days": 30}) == []


@pytest.mark.parametrize(
    "needs",
    [
        {}, "x", [1], [{}], [{"purposes": ["a"]}], [{"people": 1, "persons": 2}],
        [{"people": -1}], [{"people": True}], [{"people": 1.5}], [{"consent": "yes"}],
        [{"people": 1, "purposes": "a"}], [{"people": 1, "categories": [1]}],
        [{"differential_privacy": 8}], [{"differential_privacy": {"epsilon": 8}}],
        [{"differential_privacy": {"epsilon": 0, "delta": 1e-5}}],
        [{"differential_privacy": {"epsilon": 1, "delta": 1}}],
        [{"federated": {"smallest_round": 1, "x": 1}}],
        [{"privacy_signal": 1}], [{"privacy_signal": True, "categories": ["health"]}],
    ],
)  # fmt: skip
def test_rules_that_cannot_be_run_are_refused(needs):
    with pytest.raises(PolicyRulesUnusableError):
        demands({"needs": needs})


def test_a_guarantee_follows_from_noise_sampling_and_steps():
    noise = Noise(1.1, 0.01, 1000, "person")
    at_thousand = epsilon(noise, 1e-5)
    assert 1.0 < at_thousand < 3.0
    assert epsilon(Noise(1.1, 0.01, 10_000, "person"), 1e-5) > at_thousand
    assert epsilon(Noise(2.2, 0.01, 1000, "person"), 1e-5) < at_thousand
    assert epsilon(Noise(1.1, 0.01, 0, "person"), 1e-5) == 0
    assert epsilon(Noise(0, 0.01, 1000, "person"), 1e-5) == math.inf


@pytest.mark.parametrize(
    "facts",
    [
        {"epsilon": 1}, {"differential_privacy": 1}, {"differential_privacy": {}},
        {"differential_privacy": {"noise_multiplier": -1, "sampling_probability": 0.1, "steps": 1,
                                  "unit": "person"}},
        {"differential_privacy": {"noise_multiplier": 1, "sampling_probability": 0, "steps": 1,
                                  "unit": "person"}},
        {"differential_privacy": {"noise_multiplier": 1, "sampling_probability": 0.1,
                                  "steps": 10**10, "unit": "person"}},
        {"differential_privacy": {"noise_multiplier": float("nan"), "sampling_probability": 0.1,
                                  "steps": 1, "unit": "person"}},
        {"federated": {"rounds": 1}},
        {"federated": {"rounds": 1, "smallest_round": 1, "secure_aggregation": 1}},
        {"federated": {"rounds": 1, "smallest_round": 1, "clients": ["a"]}},
    ],
)  # fmt: skip
def test_facts_that_are_none_are_refused(facts):
    with pytest.raises(MechanismUnusableError):
        mechanism_of(facts)
