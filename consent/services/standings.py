"""Gather what everybody says of each purpose; and leave word of what there is to gather."""

from collections.abc import Iterable
from datetime import datetime

from django.db import connection, transaction
from django.utils import timezone
from pyroaring import BitMap

from consent.bitmaps import highs, joined, part
from consent.models import (
    ConsentDecision,
    PurposeFold,
    PurposeStanding,
    StandingPending,
)
from consent.selectors.decisions import agreed, chain, declined
from consent.selectors.standings import due, narrower, to_fold
from governance.locks import Lock
from governance.models import Purpose

TOGETHER = 20_000


def leave_word(decision: ConsentDecision) -> None:
    """Leave word that a person's standing is another from now on, and when a "yes" runs out.

    It is part of the transaction that records the decision.
    """
    instants = [at for at in (decision.decided_at, decision.valid_until) if at is not None]
    StandingPending.objects.bulk_create(
        StandingPending(purpose_id=purpose, subject_id=decision.subject_id, due_at=at)
        for purpose in narrower(decision.purpose_id)
        for at in instants
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
    # What is taken away first is recorded already, so what is read next holds it.
    waiting = list(due(purpose, now).order_by("pk").values_list("pk", "subject_id")[:TOGETHER])
    StandingPending.objects.filter(pk__in=[pk for pk, _ in waiting]).delete()
    people = BitMap({subject for _, subject in waiting})
    if PurposeFold.objects.filter(purpose=purpose).exists():
        _put(purpose, people, now)
    else:
        _put(purpose, None, now)
        _expect_ends(purpose, now)
    PurposeFold.objects.update_or_create(purpose=purpose, defaults={"folded_at": now})
    return len(people)


def _put(purpose: Purpose, people: BitMap | None, at: datetime) -> None:
    """Bring both sets in step for some people, or for everybody."""
    levels = chain(purpose)
    for yes, said in ((True, agreed(levels, at)), (False, declined(levels, at))):
        asked = said if people is None else said.filter(subject_id__in=list(people))
        now_so = BitMap(asked.values_list("subject_id", flat=True))
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
