"""What decisions amount to: the table, and that the database agrees with it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consent import rules
from consent.models import ConsentDecision
from consent.rules import DecisionKind, Standing, permitted, standing, standing_within
from consent.selectors import decisions as selectors
from governance.models import LegalBasis
from tests.factories.consent import NOON, ConsentDecisionFactory, SubjectFactory
from tests.factories.governance import PurposeFactory


@dataclass(frozen=True)
class Said:
    pk: int
    kind: str
    decided_at: datetime
    valid_until: datetime | None = None
    source: str = "person"


def hour(number: int) -> datetime:
    return NOON + timedelta(hours=number)


def test_nothing_said_is_no_standing():
    assert standing([], NOON) is Standing.NONE


def test_the_last_decision_stands_by_when_it_was_made():
    said = [Said(1, "given", hour(1)), Said(2, "withdrawn", hour(2)), Said(3, "renewed", hour(3))]
    found = [standing(said, hour(n)) for n in range(4)]
    assert found == [Standing.NONE, Standing.GIVEN, Standing.WITHDRAWN, Standing.GIVEN]


def test_a_yes_recorded_late_never_overrides_a_no_decided_after_it():
    said = [Said(1, "withdrawn", hour(2)), Said(2, "given", hour(1))]
    assert standing(said, hour(3)) is Standing.WITHDRAWN


@pytest.mark.parametrize("order", [("given", "refused"), ("refused", "given")])
def test_at_the_same_instant_a_no_wins(order):
    said = [Said(pk, kind, NOON) for pk, kind in enumerate(order)]
    assert standing(said, NOON) is Standing.REFUSED


def test_a_yes_runs_out_at_the_instant_it_says():
    said = [Said(1, "given", hour(0), valid_until=hour(2))]
    found = [standing(said, hour(n)) for n in (0, 1, 2)]
    assert found == [Standing.GIVEN, Standing.GIVEN, Standing.EXPIRED]


def test_a_wider_yes_covers_a_purpose_on_which_nothing_was_said():
    assert standing_within([[], [Said(1, "given", NOON)]], NOON) is Standing.GIVEN


def test_a_wider_yes_never_overrides_a_narrower_no():
    levels = [[Said(1, "refused", hour(0))], [Said(2, "given", hour(1))]]
    assert standing_within(levels, hour(2)) is Standing.REFUSED


def test_a_wider_no_stops_a_narrower_yes_that_is_not_newer():
    yes = Said(1, "given", hour(1))
    for decided, stands in [(hour(0), Standing.GIVEN), (hour(1), Standing.WITHDRAWN)]:
        assert standing_within([[yes], [Said(2, "withdrawn", decided)]], hour(2)) is stands


def signal(pk: int, decided_at: datetime) -> Said:
    return Said(pk, "objected", decided_at, source="signal")


@pytest.mark.parametrize("when", [-1, 0, 1])
def test_a_signal_never_overrides_what_was_said_whichever_came_first(when):
    said = [Said(1, "given", hour(0)), signal(2, hour(when))]
    assert standing(said, hour(2)) is Standing.GIVEN
    assert standing_within([said[1:], said[:1]], hour(2)) is Standing.GIVEN
    assert standing_within([said[:1], said[1:]], hour(2)) is Standing.GIVEN


def test_a_signal_counts_where_nothing_was_said_until_then():
    said = [signal(1, hour(0)), Said(2, "given", hour(2))]
    found = [standing_within([[], said], hour(n)) for n in range(-1, 3)]
    assert found == [Standing.NONE, Standing.OBJECTED, Standing.OBJECTED, Standing.GIVEN]


def test_a_yes_that_has_run_out_silences_no_signal():
    yes = Said(1, "given", hour(1), valid_until=hour(2))
    for levels in ([[signal(2, hour(0)), yes]], [[yes], [signal(2, hour(0))]]):
        found = [standing_within(levels, hour(n)) for n in range(3)]
        assert found == [Standing.OBJECTED, Standing.GIVEN, Standing.OBJECTED]
    wide = Said(3, "given", hour(0))
    assert standing_within([[yes], [wide, signal(2, hour(0))]], hour(3)) is Standing.EXPIRED


def test_a_standing_rests_on_the_word_that_decides():
    narrow, wide = Said(1, "given", hour(0)), Said(2, "withdrawn", hour(1))
    assert rules.deciding([[narrow], [wide]], hour(0)) is narrow
    assert rules.deciding([[narrow], [wide]], hour(1)) is wide
    assert rules.deciding([[signal(3, hour(2))], [wide]], hour(3)) is wide
    assert rules.deciding([[], []], hour(1)) is None


ALLOWED = {
    LegalBasis.CONSENT: {Standing.GIVEN},
    LegalBasis.PUBLIC_TASK: {Standing.GIVEN, Standing.EXPIRED, Standing.NONE},
    LegalBasis.LEGITIMATE_INTERESTS: {Standing.GIVEN, Standing.EXPIRED, Standing.NONE},
    LegalBasis.CONTRACT: set(Standing),
    LegalBasis.LEGAL_OBLIGATION: set(Standing),
    LegalBasis.VITAL_INTERESTS: set(Standing),
}


@pytest.mark.parametrize("basis", LegalBasis)
def test_what_each_legal_basis_permits(basis):
    assert {each for each in Standing if permitted(basis, each)} == ALLOWED[basis]


SAID = st.lists(
    st.tuples(
        st.integers(0, 2),  # level
        st.sampled_from(list(DecisionKind)),
        st.integers(0, 3),  # hour
        st.one_of(st.none(), st.integers(1, 3)),  # valid for so many hours
        st.sampled_from(["person", "person", "import", "signal"]),
    ),
    max_size=8,
)


@pytest.mark.django_db
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(said=SAID, at=st.integers(-1, 4))
def test_the_database_agrees_with_the_rules(said, at):
    widest = PurposeFactory()
    middle = PurposeFactory(parent=widest)
    levels = [PurposeFactory(parent=middle), middle, widest]
    subject, other = SubjectFactory(), SubjectFactory()
    ConsentDecisionFactory(subject=other, purpose=levels[0])
    for level, meant, decided, valid, source in said:
        kind = DecisionKind.OBJECTED if source == "signal" else meant
        until = hour(decided + valid) if valid and kind.is_yes else None
        ConsentDecisionFactory(
            subject=subject, purpose=levels[level], kind=kind,
            decided_at=hour(decided), valid_until=until, source=source,
        )  # fmt: skip
    now = hour(at)
    for level, purpose in enumerate(levels):
        kept = list(ConsentDecision.objects.filter(subject=subject, purpose=purpose))
        expected = rules.in_force(kept, now)
        in_force = ConsentDecision.objects.in_force(now).filter(subject=subject, purpose=purpose)
        assert list(in_force) == ([expected] if expected else [])
        stands = selectors.standing(subject, purpose, now)
        chain = selectors.chain(purpose)
        assert chain == [each.pk for each in levels[level:]]
        agreed = selectors.agreed(chain, now).filter(subject=subject).exists()
        declined = selectors.declined(chain, now).filter(subject=subject).exists()
        assert agreed == (stands is Standing.GIVEN)
        assert declined == (stands in rules.NO)
        for basis in LegalBasis:
            purpose.legal_basis = basis
            excluded = selectors.excluded_from([subject.pk], purpose, now)
            assert (subject.pk not in excluded) == permitted(basis, stands)
