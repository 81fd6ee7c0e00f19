"""Gather what everybody says of each purpose; and leave word of what there is to gather."""

from collections.abc import Iterable
from datetime import UTC, datetime

from django.db import connection, transaction
from django.utils import timezone
from pyroaring import BitMap

from consent.bitmaps import highs, joined, part
from consent.models import (
    ConsentDecision,
    PurposeFold,
    PurposeStanding,
    StandingPending,
    SubjectMerge,
)
from consent.selectors.decisions import chain, exactly
from consent.selectors.persons import whole
from consent.selectors.standings import due, narrower, to_fold
from consent.services.subjects import hold_people
from governance.locks import Lock
from governance.models import Purpose

TOGETHER = 15_000  # with further rows of theirs still few to the selectors
EVER = datetime.fromtimestamp(0, UTC)  # due at any instant that is asked about


def leave_word(decisions: Iterable[ConsentDecision]) -> None:
    """Leave word that people's standing is another from now on, and when a "yes" runs out.

    It is part of the transaction that records the decisions.
    """
    parents = dict(Purpose.objects.values_list("pk", "parent_id"))
    StandingPending.objects.bulk_create(
        StandingPending(purpose_id=purpose, subject_id=each.subject_id, due_at=at)
        for each in decisions
        for purpose in narrower(each.purpose_id, parents)
        for at in (each.decided_at, each.valid_until)
        if at is not None
    )


def leave_word_of_merge(merge: SubjectMerge) -> None:
    """Leave word that on every purpose both may stand elsewhere: it holds for all instants."""
    StandingPending.objects.bulk_create(
        StandingPending(purpose_id=purpose, subject_id=row, due_at=EVER)
        for purpose in Purpose.objects.values_list("pk", flat=True)
        for row in (merge.one_id, merge.other_id)
    )


def fold() -> int:
    """Gather what is due, a batch of each purpose; return how many people were looked at."""
    return sum(fold_purpose(purpose_id=each) for each in to_fold(timezone.now()))


@transaction.atomic
def fold_purpose(*, purpose_id: int) -> int:
    """Gather what is due of one purpose; all of it, the first time."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(%s, %s)", [Lock.STANDINGS, purpose_id % (1 << 31)]
        )
    purpose, now = Purpose.objects.get(pk=purpose_id), timezone.now()
    first = not PurposeFold.objects.filter(purpose=purpose).exists()
    if first:
        # Who is merged or parted meanwhile may not know of a purpose this new, nor leave word.
        hold_people(shared=True)
    # What is taken away first is recorded already, so what is read next holds it.
    waiting = list(due(purpose, now).order_by("pk").values_list("pk", "subject_id")[:TOGETHER])
    StandingPending.objects.filter(pk__in=[pk for pk, _ in waiting]).delete()
    people = whole({subject for _, subject in waiting})
    _put(purpose, None if first else people, now)
    if first:
        _expect_ends(purpose, now)
    PurposeFold.objects.update_or_create(purpose=purpose, defaults={"folded_at": now})
    return len(people)


def _put(purpose: Purpose, people: BitMap | None, at: datetime) -> None:
    """Bring both sets in step for some people, or for everybody."""
    for yes in (True, False):
        now_so = exactly(purpose, people, at, yes=yes)
        _rewrite(purpose, yes, now_so, (now_so if people is None else people) - now_so)


def _rewrite(purpose: Purpose, yes: bool, said: BitMap, unsaid: BitMap) -> None:
    touched = highs(said | unsaid)
    chunks = PurposeStanding.objects.filter(purpose=purpose, yes=yes, high__in=touched)
    before = dict(chunks.values_list("high", "people"))
    kept, gone = [], []
    for high in touched:
        held = joined([before[high]] if high in before else [])
        held = (held | part(said, high)) - part(unsaid, high)
        if held:
            held.run_optimize()
            chunk = PurposeStanding(purpose=purpose, yes=yes, high=high, people=held.serialize())
            kept.append(chunk)
        else:
            gone.append(high)
    PurposeStanding.objects.bulk_create(
        kept, update_conflicts=True, unique_fields=["purpose", "yes", "high"],
        update_fields=["people"],
    )  # fmt: skip
    chunks.filter(high__in=gone).delete()


def _expect_ends(purpose: Purpose, at: datetime) -> None:
    """Leave word of every "yes" that runs out later: of the oldest nobody did."""
    ending: Iterable[tuple[int, datetime | None]] = ConsentDecision.objects.filter(
        purpose_id__in=chain(purpose), valid_until__gt=at
    ).values_list("subject_id", "valid_until")
    StandingPending.objects.bulk_create(
        (
            StandingPending(purpose=purpose, subject_id=subject, due_at=until)
            for subject, until in ending
            if until is not None
        ),
        batch_size=5_000,
    )
