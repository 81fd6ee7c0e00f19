"""Who says yes and who says no to a purpose now, all at once and never behind.

First what waits to be gathered is read, then what was gathered, then the people who wait are
asked one by one. In this order nothing is missed: what is gathered in between is in both, and is
asked for exactly; what was recorded before the first look is in one of them. What is gathered of
a row is what its person says, so whoever waits does so with all their rows.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import QuerySet
from pyroaring import BitMap

from consent.bitmaps import highs, joined
from consent.models import PurposeFold, PurposeStanding, StandingPending
from consent.selectors.persons import whole_of
from governance.models import Purpose

# An answer about now may be this much newer than it was asked for; the past is asked otherwise.
NEWER = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was gathered of some people: who said so, and who has to be asked for exactly."""

    people: BitMap
    waiting: BitMap


def gathered(purpose: Purpose, people: BitMap, *, yes: bool, at: datetime) -> Gathered | None:
    """Return who of some people says yes, or no; nothing if that is not gathered for then."""
    fold = PurposeFold.objects.filter(purpose=purpose).first()
    if fold is None or at < fold.folded_at - NEWER:
        return None
    waiting = whole_of(due(purpose, max(at, fold.folded_at)).values_list("subject_id"))
    chunks = PurposeStanding.objects.filter(purpose=purpose, yes=yes, high__in=highs(people))
    said = joined(chunks.values_list("people", flat=True))
    return Gathered((said & people) - waiting, waiting & people)


def due(purpose: Purpose, at: datetime) -> "QuerySet[StandingPending]":
    """Return what waits to be gathered of a purpose by an instant."""
    return StandingPending.objects.filter(purpose=purpose, due_at__lte=at)


def to_fold(at: datetime) -> list[int]:
    """Return the purposes of which something waits, or which were never gathered."""
    waiting = StandingPending.objects.filter(due_at__lte=at).values_list("purpose_id", flat=True)
    never = Purpose.objects.exclude(pk__in=PurposeFold.objects.values("purpose_id"))
    return sorted({*waiting.distinct(), *never.values_list("pk", flat=True)})


def narrower(purpose_id: int, parents: Mapping[int, int | None]) -> list[int]:
    """Return a purpose and every narrower one: those on which a decision on it may count.

    ``parents`` has the next wider one of each purpose.
    """
    found: Collection[int] = {purpose_id}
    while grown := {pk for pk, parent in parents.items() if parent in found} - set(found):
        found = {*found, *grown}
    return sorted(found)
