"""What is gathered of decisions says what the decisions say, at every moment."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from consent.models import PurposeFold, PurposeStanding, StandingPending
from consent.rules import DecisionKind, DecisionSource
from consent.selectors import decisions as selectors
from consent.selectors.standings import gathered, narrower, to_fold
from consent.services import decisions, standings
from governance.legal import LegalBasis
from governance.models import Purpose
from tests.factories.consent import registered
from tests.factories.governance import PurposeFactory

PEOPLE = 4
WHEN = st.integers(-50, -1)  # hours from now
SAID = st.tuples(
    st.integers(0, PEOPLE - 1), st.integers(0, 2), st.sampled_from(DecisionKind), WHEN,
    st.none() | st.integers(-49, 50), st.sampled_from(["person", "person", "signal"]),
)  # fmt: skip
STEPS = st.lists(SAID | st.just("fold"), max_size=14)


def exactly(purpose, people: BitMap, at, *, yes: bool) -> BitMap:
    """Read the decisions, with nothing that was gathered."""
    said = (selectors.agreed if yes else selectors.declined)(selectors.chain(purpose), at)
    return people & BitMap(said.values_list("subject_id", flat=True))


@pytest.mark.django_db
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(STEPS)
def test_what_is_gathered_is_what_was_said_whatever_came_in_between(steps):
    wide = PurposeFactory()
    middle = PurposeFactory(parent=wide, legal_basis=LegalBasis.LEGITIMATE_INTERESTS)
    purposes = [wide, middle, PurposeFactory(parent=middle)]
    people = [registered() for _ in range(PEOPLE)]
    now = timezone.now()
    for step in steps:
        if step == "fold":
            standings.fold()
            continue
        who, which, meant, when, until, source = step
        kind = DecisionKind.OBJECTED if source == "signal" else meant
        ends = now + timedelta(hours=until) if kind.is_yes and until and until > when else None
        decisions.record(
            subject=people[who], purpose=purposes[which], kind=kind, key=uuid4(),
            decided_at=now + timedelta(hours=when), valid_until=ends,
            source=DecisionSource(source),
        )  # fmt: skip
    everybody = BitMap(each.pk for each in people)
    for purpose in purposes:
        for at in (timezone.now(), now + timedelta(hours=25), now + timedelta(hours=99)):
            for yes in (True, False):
                expected = exactly(purpose, everybody, at, yes=yes)
                assert selectors._saying(purpose, everybody, at, yes=yes) == expected


@pytest.fixture
def study(db):
    return PurposeFactory(key="study")


def says(person, purpose, kind, **more):
    decisions.record(
        subject=person, purpose=purpose, kind=DecisionKind(kind), key=uuid4(),
        decided_at=more.pop("decided_at", timezone.now()), **more,
    )  # fmt: skip


def test_gathering_leaves_nothing_waiting_but_what_ends_later(study):
    ann, bob = registered(), registered()
    ends = timezone.now() + timedelta(hours=1)
    says(ann, study, "given", valid_until=ends)
    says(bob, study, "refused")
    assert to_fold(timezone.now()) == [study.pk]
    standings.fold()
    assert to_fold(timezone.now()) == []
    assert list(StandingPending.objects.values_list("subject_id", "due_at").distinct()) == [
        (ann.pk, ends)
    ]
    found = gathered(study, BitMap([ann.pk, bob.pk]), yes=True, at=timezone.now())
    assert (found.people, found.waiting) == (BitMap([ann.pk]), BitMap())
    assert PurposeStanding.objects.count() == 2


def test_a_yes_that_was_gathered_runs_out_by_itself(study):
    ann, bob = registered(), registered()
    says(ann, study, "given", valid_until=timezone.now() + timedelta(hours=1))
    standings.fold()
    people, later = BitMap([ann.pk, bob.pk]), timezone.now() + timedelta(hours=2)
    assert selectors.excluded_from(people, study, timezone.now()) == BitMap([bob.pk])
    assert selectors.excluded_from(people, study, later) == people


def test_a_withdrawal_counts_before_it_is_gathered(study):
    ann, bob = registered(), registered()
    for each in (ann, bob):
        says(each, study, "given")
    standings.fold()
    says(ann, study, "withdrawn")
    people = BitMap([ann.pk, bob.pk])
    assert selectors.excluded_from(people, study, timezone.now()) == BitMap([ann.pk])
    standings.fold()
    assert selectors.excluded_from(people, study, timezone.now()) == BitMap([ann.pk])


def test_the_past_is_read_from_the_decisions(study):
    ann, bob = registered(), registered()
    says(ann, study, "given", decided_at=timezone.now() - timedelta(days=9))
    says(ann, study, "withdrawn", decided_at=timezone.now() - timedelta(days=2))
    standings.fold()
    people, before = BitMap([ann.pk, bob.pk]), timezone.now() - timedelta(days=5)
    assert gathered(study, people, yes=True, at=before) is None
    assert selectors.excluded_from(people, study, before) == BitMap([bob.pk])


def test_a_decision_counts_on_every_narrower_purpose(study):
    inner = PurposeFactory(parent=study)
    innermost = PurposeFactory(parent=inner)
    PurposeFactory()
    assert narrower(study.pk, dict(Purpose.objects.values_list("pk", "parent_id"))) == sorted(
        [study.pk, inner.pk, innermost.pk]
    )
    ann, bob = registered(), registered()
    standings.fold()
    says(ann, study, "given")
    standings.fold()
    people = BitMap([ann.pk, bob.pk])
    assert selectors.excluded_from(people, innermost, timezone.now()) == BitMap([bob.pk])


@pytest.mark.django_db(transaction=True)
def test_a_decision_that_is_committed_while_it_is_gathered_is_not_lost(monkeypatch):
    study, ann, bob = PurposeFactory(), registered(), registered()
    for each in (ann, bob):
        says(each, study, "given")
    reading, committed = Event(), Event()
    put = standings._put

    def slow(*args) -> None:
        reading.set()
        assert committed.wait(20)
        put(*args)

    def folds() -> None:
        try:
            standings.fold()
        finally:
            connection.close()

    monkeypatch.setattr(standings, "_put", slow)
    with ThreadPoolExecutor(1) as pool:
        folding = pool.submit(folds)
        assert reading.wait(20)
        says(ann, study, "withdrawn")
        committed.set()
        folding.result()
    monkeypatch.undo()
    people = BitMap([ann.pk, bob.pk])
    for _ in range(2):
        assert selectors.excluded_from(people, study, timezone.now()) == BitMap([ann.pk])
        standings.fold()


def test_impossible_chunks_are_refused(study):
    PurposeFold.objects.create(purpose=study, folded_at=timezone.now())
    PurposeStanding.objects.create(purpose=study, yes=True, high=0, people=b"x")
    for constraint, facts in (
        ("consent_standing_chunk_once", {"high": 0, "people": b"y"}),
        ("consent_standing_chunk_is_small", {"high": 1, "people": bytes(9_000)}),
    ):
        with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
            PurposeStanding.objects.create(purpose=study, yes=True, **facts)
