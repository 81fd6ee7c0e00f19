"""Whatever people say, in whatever order it comes in: no permitted use contradicts their last word.

A machine lets three people say everything that can be said, dated back, running out, said twice,
on a purpose and on a wider one, while trainings ask the gate and read, or read without asking.
After each step every answer and every conclusion is compared with what plain lists of what was
said amount to.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from consent.models import ConsentDecision
from consent.rules import DecisionKind, DecisionSource, Standing, standing_within
from consent.selectors import assessments
from consent.selectors import gate as selectors
from consent.selectors.subjects import by_identifier
from consent.services import assessing, decisions, gate, standings
from governance.models import Purpose
from lineage.models import Run
from tests.factories.consent import registered
from tests.factories.events import dataset, run
from tests.factories.governance import PurposeFactory
from tests.factories.training import MODEL, facet, learn, loans_of

WHO = ["ann@example.org", "bob@example.org", "cy@example.org"]
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
        for who in WHO:
            self.say(who=who, level=0, kind=DecisionKind.GIVEN, ago=0, lasts=None, twice=False)

    def teardown(self) -> None:
        transaction.set_rollback(True)
        self.undo.__exit__(None, None, None)

    def allowed(self, who: str, at: datetime) -> bool:
        levels = [self.said.get((who, level), []) for level in (0, 1)]
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

    @rule(hours=st.integers(1, 40))
    def wait(self, hours) -> None:
        self.now += timedelta(hours=hours)

    @rule()
    def gather(self) -> None:
        standings.fold()

    @rule(leaning=st.booleans())
    def train(self, leaning) -> None:
        self.now += timedelta(hours=2)
        name = f"run-{len(self.trainings)}"
        asked = self.now - timedelta(minutes=10)
        decision = gate.decide(
            datasets=[self.loans], purpose=self.purposes[0], model=MODEL, at=asked
        )
        may = selectors.permitted(decision=decision, scheme="email", values=WHO, at=asked)
        assert may == [self.allowed(who, asked) for who in WHO]
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
                ("violation", len(wronged)) if wronged else ("compliant", 0)
            )

    @invariant()
    def nothing_is_recorded_twice(self) -> None:
        assert ConsentDecision.objects.count() == sum(map(len, self.said.values()))


@pytest.mark.django_db
def test_no_permitted_use_contradicts_anybodys_last_word_at_the_time():
    run_state_machine_as_test(
        Consent,
        settings=settings(
            max_examples=30, stateful_step_count=12, deadline=None,
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
