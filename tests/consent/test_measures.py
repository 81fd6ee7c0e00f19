"""Each way to make a model good has something to show; all else is refused with its code."""

from copy import deepcopy
from datetime import UTC, datetime, timedelta

import pytest

from consent import measures
from consent.measures import MeasureKind
from tests.factories.remedies import ENDING, EVIDENCE

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def members(value, place=()):
    """Yield the place of every member, however deep."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for name, each in pairs:
        yield (*place, name)
        if isinstance(each, dict | list):
            yield from members(each, (*place, name))


def replaced(kind: str, place, *value):
    """Return the right evidence with one member replaced, or taken out."""
    evidence = deepcopy(EVIDENCE[kind])
    holder = evidence
    for name in place[:-1]:
        holder = holder[name]
    if value:
        holder[place[-1]] = value[0]
    else:
        del holder[place[-1]]
    return evidence


EVERY = [(kind, place) for kind in EVIDENCE for place in members(EVIDENCE[kind])]
NEEDED = [(kind, place) for kind, place in EVERY if "parameters" not in place[:-1]
          and not isinstance(place[-1], int)]  # fmt: skip


@pytest.mark.parametrize("kind", MeasureKind)
def test_the_right_evidence_is_taken(kind):
    evidence = deepcopy(EVIDENCE[kind])
    if "deployments" in evidence:
        evidence["deployments"] = ["x"]
    measures.check(kind, evidence)


@pytest.mark.parametrize(("kind", "place"), NEEDED, ids=str)
def test_a_member_that_is_missing_is_named(kind, place):
    evidence = replaced(kind, place)
    if evidence.get("deployments") == []:
        evidence["deployments"] = ["x"]
    with pytest.raises(measures.EvidenceMissingError) as refused:
        measures.check(MeasureKind(kind), evidence)
    assert (refused.value.status, refused.value.code) == (422, "evidence_missing")
    said = ".".join(str(name) for name in place).replace(".0", "[0]")
    assert refused.value.facts == {"member": said}


@pytest.mark.parametrize(("kind", "place"), EVERY, ids=str)
def test_a_member_of_another_shape_is_refused(kind, place):
    for wrong in (None, [], "", " ", True if "parameters" not in place[:-1] else None, -1.5e300,
                  float("nan"), "x" * 2001, {"a": [1]}):  # fmt: skip
        with pytest.raises(measures.EvidenceUnusableError) as refused:
            measures.check(MeasureKind(kind), replaced(kind, place, wrong))
        assert (refused.value.status, refused.value.code) == (422, "evidence_unusable")


@pytest.mark.parametrize("kind", MeasureKind)
def test_a_member_too_many_is_refused_so_no_epsilon_can_be_claimed(kind):
    with pytest.raises(measures.EvidenceUnusableError) as refused:
        measures.check(kind, {**EVIDENCE[kind], "epsilon": 0.1})
    assert refused.value.facts == {"member": "epsilon"}


@pytest.mark.parametrize(
    ("kind", "place", "value"),
    [
        ("unlearn_certified", ("test", "after"), 0.56),
        ("unlearn_approximate", ("test", "after"), 0.56),
        ("unlearn_certified", ("test", "before"), 0.5),
        ("suppress", ("probes", "leaked"), 1),
    ],
)
def test_a_result_that_shows_no_effect_is_refused(kind, place, value):
    evidence = replaced(kind, place, value)
    if "deployments" in evidence:
        evidence["deployments"] = ["x"]
    with pytest.raises(measures.EffectNotShownError):
        measures.check(MeasureKind(kind), evidence)


@pytest.mark.parametrize("kind", MeasureKind)
def test_only_what_is_interim_or_legal_ends_and_within_a_year(kind):
    good = NOW + timedelta(days=366)
    never = [None, NOW, NOW - timedelta(1), good + timedelta(seconds=1)]
    if kind not in ENDING:
        measures.check_end(kind, None, NOW)
        never = [good]
    else:
        measures.check_end(kind, good, NOW)
    for wrong in never:
        with pytest.raises(measures.EndUnusableError):
            measures.check_end(kind, wrong, NOW)
