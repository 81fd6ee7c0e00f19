"""Whatever happens while keys change, every answer is the one that would be given without.

Each history is played twice from nothing: once as it is, with versions introduced and rows moved
up one by one in between, and once without that. After every step everything that can be asked is
asked, and names that are drawn by chance are compared by the order in which they are met.
"""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from consent.models import GateDecision, Reappearance, SubjectIdentifier, Tombstone
from consent.rules import DecisionKind, DecisionSource
from consent.selectors import gate, identifier_keys, portal
from consent.selectors.subjects import by_identifier, clear_identifiers, schemes_of
from consent.services import decisions, rotating, subjects
from governance.errors import ColophonError
from governance.models import LegalBasis
from tests.factories.consent import people_of, take, version_after
from tests.factories.governance import DatasetFactory, PurposeFactory

WHO = ["ann@example.org", "bob@example.org", "cy@example.org"]
CARDS = {who: ("card", f"card-{n}") for n, who in enumerate(WHO)}

some = st.sets(st.sampled_from(WHO))
one = st.sampled_from(WHO)
STEPS = st.one_of(
    st.tuples(st.just("register"), one, st.booleans(), st.booleans()),
    st.tuples(st.sampled_from(["add", "remove", "replace"]), some),
    st.tuples(st.just("say"), one, st.sampled_from(["given", "refused"])),
    st.tuples(st.just("forget"), one),
    st.tuples(st.just("rotate")),
    st.tuples(st.just("move"), st.integers(1, 3)),
    st.tuples(st.just("finish")),
)


class Place:
    """Everything there is, asked and told by names that are the same in every play."""

    def __init__(self, *, rotating: bool) -> None:
        self.rotating = rotating
        self.names: dict[UUID, int] = {}
        self.dataset = DatasetFactory()
        self.steps = 0
        self.purposes = [
            PurposeFactory(key="consent"),
            PurposeFactory(key="interest", legal_basis=LegalBasis.LEGITIMATE_INTERESTS),
        ]
        now = timezone.now()
        self.gates = [
            GateDecision.objects.create(
                purpose=each, outcome="permit", reasons=[], excluded_count=0, excluded=b"",
                decided_at=now, expires_at=now + timedelta(hours=1),
            )
            for each in self.purposes
        ]  # fmt: skip

    def name(self, uuid: UUID) -> int:
        return self.names.setdefault(uuid, len(self.names))

    def do(self, step: tuple[Any, ...]) -> Any:
        self.steps += 1
        what, *said = step
        try:
            if what in {"add", "remove", "replace"}:
                version = version_after(self.dataset, self.steps)
                people = sorted(said[0])
                return take(self.dataset, people, mode=what, version=version, scheme="email").people
            return getattr(self, what)(*said)
        except ColophonError as error:
            return error.code

    def register(self, who: str, again: bool, card: bool) -> tuple[int, bool]:
        given = [("email", who), *([CARDS[who]] if card else [])]
        made = subjects.register(identifiers=given, again=again)
        return self.name(made.subject.uuid), made.created

    def say(self, who: str, kind: str) -> bool | None:
        person = by_identifier("email", who)
        if person is None:
            return None
        for purpose in self.purposes:
            decisions.record(
                subject=person, purpose=purpose, kind=DecisionKind(kind), key=uuid4(),
                decided_at=timezone.now(), source=DecisionSource.PERSON,
            )  # fmt: skip
        return True

    def forget(self, who: str) -> bool:
        person = by_identifier("email", who)
        if person is not None:
            subjects.forget(subject=person)
        return person is not None

    def rotate(self) -> None:
        if self.rotating and not identifier_keys.current().under_way:
            rotating.introduce()

    def move(self, rows: int) -> None:
        if self.rotating:
            rotating.move_up(limit=rows)

    def finish(self) -> None:
        while self.rotating and rotating.move_up():
            pass

    def answers(self) -> dict[str, Any]:
        people = people_of(self.dataset)
        back = Reappearance.objects.filter(ended_at=None)
        return {
            "permitted": [
                gate.permitted(decision=each, scheme="email", values=WHO) for each in self.gates
            ],
            "known": [self.known("email", who) for who in WHO],
            "cards": [self.known(*CARDS[who]) for who in WHO],
            "erased": [portal.identity(who).erased_at is not None for who in WHO],
            "members": sorted(map(self.name, sorted(people, key=self.names.get))),  # type: ignore[arg-type]
            "back": (back.count(), Reappearance.objects.count()),
            "rows": (SubjectIdentifier.objects.count(), Tombstone.objects.count()),
        }

    def known(self, scheme: str, value: str) -> Any:
        person = by_identifier(scheme, value)
        if person is None:
            return None
        try:
            clear = clear_identifiers(person)
        except ColophonError as error:
            return self.name(person.uuid), error.code
        return self.name(person.uuid), clear, sorted(schemes_of([person.pk])[0])


def played(history: list[tuple[Any, ...]], *, rotating: bool) -> list[Any]:
    with transaction.atomic():
        place = Place(rotating=rotating)
        told = [(step, place.do(step), place.answers()) for step in history]
        transaction.set_rollback(True)
    return told


ANN, CARD = WHO[0], True
CAME_BACK = [("register", ANN, False, CARD), ("forget", ANN), ("register", ANN, True, CARD)]


@pytest.mark.django_db
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(STEPS, min_size=3, max_size=9))
# Somebody's tombstone is by the older key while they come back, leave again and are named.
@example([*CAME_BACK[:2], ("rotate",), CAME_BACK[2], ("forget", ANN), ("add", {ANN}), ("finish",)])
@example([*CAME_BACK, ("rotate",), ("forget", ANN), ("add", {ANN}), ("finish",)])
@example([*CAME_BACK, ("rotate",), *[("move", 1)] * 3, ("forget", ANN), ("add", {ANN})])
@example([("add", {ANN}), ("rotate",), ("register", ANN, False, CARD), ("finish",), ("rotate",)])
def test_every_answer_is_the_one_without_a_rotation(history):
    assert played(history, rotating=True) == played(history, rotating=False)
