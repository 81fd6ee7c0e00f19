"""Whatever people say, in whatever order it comes in: no permitted use contradicts their last word.

A machine lets three people say everything that can be said, dated back, running out, said twice,
on a purpose and on a wider one, while trainings ask the gate and read, or read without asking, and
while some of the three turn out to be one person, or not to be. After each step every answer and
every conclusion is compared with what plain lists of what was said amount to.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import combinations
from uuid import uuid4

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from consent.models import ConsentDecision, SubjectMerge
from consent.rules import DecisionKind, DecisionSource, Standing, standing_within
from consent.selectors import assessments
from consent.selectors import gate as selectors
from consent.selectors.decisions import excluded_from
from consent.selectors.subjects import by_identifier
from consent.services import assessing, decisions, gate, merging, standings
from governance.models import Purpose
from lineage.models import Run
from tests.factories.consent import registered
from tests.factories.events import dataset, run
from tests.factories.governance import PurposeFactory
from tests.factories.training import MODEL, facet, learn, loans_of

WHO = ["ann@example.org", "bob@example.org", "cy@example.org"]
MOST_TRAININGS = 3  # each is concluded about again after each step
KINDS = st.sampled_from(DecisionKind)


@dataclass(frozen=True)
class Said:
    """One thing that somebody said, as the rules read it."""

    pk: int
    kind: str
    decided_at: datetime
    valid_until: datetime | None
    source: str = "person"


@dataclass
class Training:
    """What a training was allowed, and when."""

    asked_at: datetime
    leaned: bool
    used: set[str] = field(default_factory=set)


class Consent(RuleBasedStateMachine):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self.undo = transaction.atomic()
        self.undo.__enter__()
        self.wide = PurposeFactory(key="wide")
        self.purposes = [PurposeFactory(key="study", parent=self.wide), self.wide]
        self.loans = loans_of(*WHO)
        self.now = timezone.now() - timedelta(days=200)
        self.said: dict[tuple[str, int], list[Said]] = {}
        self.trainings: dict[str, Training] = {}
        self.merges: dict[tuple[str, str], SubjectMerge] = {}
        for who in WHO:
            self.say(who=who, level=0, kind=DecisionKind.GIVEN, ago=0, lasts=None, twice=False)

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.undo.__exit__(None, None, None)

    def person(self, who: str) -> frozenset[str]:
        """Everybody who is one person with somebody."""
        found = {who}
        while more := {each for pair in self.merges if found & {*pair} for each in pair} - found:
            found |= more
        return frozenset(found)

    def people(self, who: set[str]) -> int:
        return len({self.person(each) for each in who})

    def allowed(self, who: str, at: datetime) -> bool:
        same = self.person(who)
        levels = [[said for each in same for said in self.said.get((each, level), [])]
                  for level in (0, 1)]  # fmt: skip
        return standing_within(levels, at) is Standing.GIVEN

    @rule(
        who=st.sampled_from(WHO), level=st.integers(0, 1), kind=KINDS,
        ago=st.integers(0, 30), lasts=st.none() | st.integers(1, 30), twice=st.booleans(),
    )  # fmt: skip
    def say(self, *, who, level, kind, ago, lasts, twice, source=DecisionSource.PERSON) -> None:
        self.now += timedelta(hours=1)
        decided_at = self.now - timedelta(hours=ago)
        until = decided_at + timedelta(hours=lasts) if lasts and kind.is_yes else None
        key = uuid4()
        for _ in range(1 + twice):
            made = decisions.record(
                subject=by_identifier("email", who), purpose=self.purposes[level], kind=kind,
                decided_at=decided_at, key=key, valid_until=until, source=source,
            ).decision  # fmt: skip
        said = Said(made.pk, kind.value, decided_at, until, source.value)
        self.said.setdefault((who, level), []).append(said)

    @rule(who=st.sampled_from(WHO), level=st.sampled_from([0, 1]))
    def signal(self, who, level) -> None:
        self.say(
            who=who, level=level, kind=DecisionKind.OBJECTED, ago=0, lasts=None, twice=False,
            source=DecisionSource.SIGNAL,
        )  # fmt: skip

    @rule(pair=st.sampled_from(list(combinations(WHO, 2))))
    def turn_out_to_be_one_person_or_two(self, pair) -> None:
        one, other = (by_identifier("email", who) for who in pair)
        said = {"subject": one, "other": other, "key": uuid4(), "reason": "they share a card"}
        if pair in self.merges:
            merging.undo(merge=self.merges.pop(pair), reason="the card was sold")
        elif pair[1] in self.person(pair[0]):
            with pytest.raises(merging.AlreadyOnePersonError):
                merging.merge(**said)
        else:
            self.merges[pair] = merging.merge(**said).merge

    @rule(hours=st.integers(1, 40), gathered=st.booleans())
    def wait(self, hours, gathered) -> None:
        self.now += timedelta(hours=hours)
        if gathered:
            standings.fold()

    @precondition(lambda self: len(self.trainings) < MOST_TRAININGS)
    @rule(leaning=st.sampled_from([True, True, False]))
    def train(self, leaning) -> None:
        self.now += timedelta(hours=2)
        name = f"run-{len(self.trainings)}"
        asked = self.now - timedelta(minutes=10)
        decision = gate.decide(
            datasets=[self.loans], purpose=self.purposes[0], model=MODEL, at=asked
        )
        may = selectors.permitted(decision=decision, scheme="email", values=WHO, at=asked)
        assert may == [self.allowed(who, asked) for who in WHO]
        left_out = {who for who, ok in zip(WHO, may, strict=True) if not ok}
        assert decision.excluded_count == self.people(left_out)
        leaned = leaning and any(may)
        at = asked if leaned else self.now
        used = {who for who, ok in zip(WHO, may, strict=True) if ok} if leaned else set(WHO)
        self.trainings[name] = Training(at, leaned, used)
        said = facet(decision if leaned else None)
        events = run(
            name, 0, 1, reads=["loans"], writes=[dataset("model", model=True)],
            colophon_training=said, run=name,
        )  # fmt: skip
        for n, event in enumerate(events):
            event["eventTime"] = (self.now + timedelta(minutes=n)).isoformat()
        learn(events)

    @invariant()
    def every_conclusion_follows_from_what_was_said(self) -> None:
        while assessing.assess_waiting(limit=20):
            pass
        found = {each.run_uuid: each for each in assessments.counting()}
        for trained in Run.objects.select_related("job"):
            told = self.trainings[trained.job.name]
            wronged = {who for who in told.used if not self.allowed(who, told.asked_at)}
            concluded = found[trained.uuid]
            assert (concluded.verdict, concluded.without_permission) == (
                ("violation", self.people(wronged)) if wronged else ("compliant", 0)
            )

    @invariant()
    def what_is_gathered_says_the_same_at_once(self) -> None:
        rows, now = {by_identifier("email", who).pk: who for who in WHO}, timezone.now()
        left_out = excluded_from(rows, self.purposes[0], now)
        assert {rows[row] for row in left_out} == {who for who in WHO if not self.allowed(who, now)}

    @invariant()
    def nothing_is_recorded_twice(self) -> None:
        assert ConsentDecision.objects.count() == sum(map(len, self.said.values()))


@pytest.mark.django_db
def test_no_permitted_use_contradicts_anybodys_last_word_at_the_time():
    run_state_machine_as_test(
        Consent,
        settings=settings(
            max_examples=14, stateful_step_count=12, deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )  # fmt: skip
    assert not Purpose.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("first", "second", "last"),
    [
        # The hour that comes twice when clocks go back, and once as two places write it.
        ("2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00", "second"),
        ("2026-10-25T02:30:00+01:00", "2026-10-25T02:30:00+02:00", "first"),
        ("2026-03-29T01:59:59+01:00", "2026-03-29T03:00:00+02:00", "second"),
        ("2026-06-01T00:30:00+14:00", "2026-05-31T10:29:59+00:00", "first"),
        ("2026-06-01T12:00:00-11:00", "2026-06-02T11:00:01+12:00", "second"),
    ],
)
def test_neither_offsets_nor_clocks_that_change_move_a_decision(first, second, last):
    study, person = PurposeFactory(), registered()
    for at, kind in ((first, "given"), (second, "withdrawn")):
        decisions.record(
            subject=person, purpose=study, kind=DecisionKind(kind), key=uuid4(),
            decided_at=datetime.fromisoformat(at),
        )  # fmt: skip
    [stands] = ConsentDecision.objects.in_force(timezone.now())
    assert stands.kind == {"first": "given", "second": "withdrawn"}[last]
