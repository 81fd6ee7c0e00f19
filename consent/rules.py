"""What a person's decisions amount to, and whether a use is permitted by them.

Pure: decisions and instants come in as arguments. The database mirrors `in_force` as one
anti-join, ``ConsentDecision.objects.in_force``; a test holds the two together.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Protocol, TypeVar

from governance.legal import LegalBasis, Need, need_of


class DecisionKind(StrEnum):
    """What a person can say about a purpose.

    ``weight`` settles what stands of two things said at the same instant: a "no" over a "yes",
    and of two the one that stops more.
    """

    GIVEN = "given"
    RENEWED = "renewed"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    OBJECTED = "objected"

    @property
    def weight(self) -> int:
        """Return the rank among what was said at one instant, from 1."""
        return list(DecisionKind).index(self) + 1

    @property
    def is_yes(self) -> bool:
        """Say whether the person agreed."""
        return self in {DecisionKind.GIVEN, DecisionKind.RENEWED}


class DecisionSource(StrEnum):
    """Through whom a decision came.

    ``SIGNAL`` is what a person's browser says for them, such as Global Privacy Control.
    """

    PERSON = "person"
    GUARDIAN = "guardian"
    DELEGATE = "delegate"
    OPERATOR = "operator"
    IMPORT = "import"
    SIGNAL = "signal"

    @property
    def needs_reason(self) -> bool:
        """Say whether somebody else spoke, who has to say by which right."""
        return self in {DecisionSource.GUARDIAN, DecisionSource.DELEGATE, DecisionSource.OPERATOR}


class Standing(StrEnum):
    """What a person's decisions amount to at an instant; ``NONE`` is that nothing was said."""

    GIVEN = "given"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    OBJECTED = "objected"
    EXPIRED = "expired"
    NONE = "none"


class Decision(Protocol):
    """What the rules read of a decision; ``pk`` grows in the order of recording."""

    @property
    def pk(self) -> int:
        """The order of recording."""

    @property
    def kind(self) -> str:
        """A `DecisionKind`."""

    @property
    def decided_at(self) -> datetime:
        """When the person said it."""

    @property
    def valid_until(self) -> datetime | None:
        """From when on a "yes" is none any more; empty for never."""

    @property
    def source(self) -> str:
        """A `DecisionSource`."""


AnyDecision = TypeVar("AnyDecision", bound=Decision)

NO = frozenset({Standing.REFUSED, Standing.WITHDRAWN, Standing.OBJECTED})


def in_force(decisions: Collection[AnyDecision], at: datetime) -> AnyDecision | None:
    """Return the decision of one person on one purpose that stands at an instant.

    The order of recording matters only between equals: a "yes" that is recorded late never
    overrides a "no" that was decided after it.
    """
    return deciding([decisions], at)


def standing(decisions: Collection[Decision], at: datetime) -> Standing:
    """Return what one person's decisions on one purpose amount to at an instant."""
    return _standing_of(in_force(decisions, at), at)


def standing_within(levels: Sequence[Collection[Decision]], at: datetime) -> Standing:
    """Return the standing on a purpose, given the decisions on it and on each wider one."""
    return _standing_of(deciding(levels, at), at)


def deciding(levels: Sequence[Collection[AnyDecision]], at: datetime) -> AnyDecision | None:
    """Return the decision that a standing on a purpose rests on, if anything was said.

    ``levels`` starts with the purpose itself. The nearest level on which anything was said
    decides, so a wider "yes" never overrides a narrower "no". A wider "no" that was decided at
    the same time or later does override: who stops the whole has stopped the part.

    A browser's signal never overrides what was said by or for the person on any level, whichever
    came first: the general choice gives way to the particular. It is heard where nothing was
    said, or where all that was said is a "yes" that has run out.
    """
    said = _last_words(levels, at, signals=False)
    if all(has_run_out(each, at) for each in said):
        said = _last_words(levels, at, signals=True) or said
    if not said:
        return None
    nearest, *wider = said
    stops = [
        each
        for each in wider
        if not DecisionKind(each.kind).is_yes and each.decided_at >= nearest.decided_at
    ]
    return max(stops, key=lambda each: each.decided_at, default=nearest)


def has_run_out(decision: Decision, at: datetime) -> bool:
    """Say whether a decision is a "yes" that is none any more."""
    return decision.valid_until is not None and decision.valid_until <= at


def permitted(
    basis: LegalBasis, standing: Standing, *, explicit: bool = False, restricted: bool = False
) -> bool:
    """Say whether a use on a legal basis is permitted to go on with this person's data.

    Consent needs a "yes" that stands. Legitimate interests and public task give way to any "no":
    who refuses or withdraws has objected, whatever the form was called. The other grounds rest on
    nobody's decision. ``explicit`` says that a "yes" is needed whatever the ground, because the
    data is of a special category or a policy asks for it. ``restricted`` says that the person had
    the use of their data restricted (Art. 18), which no ground overcomes. An erased person is not
    asked here: nothing permits that use.
    """
    if restricted:
        return False
    need = Need.CONSENT if explicit else need_of(basis)
    if need is Need.CONSENT:
        return standing == Standing.GIVEN
    return need is Need.NOTHING or standing not in NO


def _last_words(
    levels: Sequence[Collection[AnyDecision]], at: datetime, *, signals: bool
) -> list[AnyDecision]:
    """Return the last signal, or the last of all else, of each level that has any by then."""
    made = (
        [
            each
            for each in level
            if each.decided_at <= at and (each.source == DecisionSource.SIGNAL) is signals
        ]
        for level in levels
    )
    return [max(some, key=_rank) for some in made if some]


def _rank(decision: Decision) -> tuple[datetime, int, int]:
    return decision.decided_at, DecisionKind(decision.kind).weight, decision.pk


def _standing_of(decision: Decision | None, at: datetime) -> Standing:
    if decision is None:
        return Standing.NONE
    kind = DecisionKind(decision.kind)
    if not kind.is_yes:
        return Standing(kind.value)
    return Standing.EXPIRED if has_run_out(decision, at) else Standing.GIVEN
