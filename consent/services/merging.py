"""Saying that two rows are one person, and that they never were.

Nothing is moved: what rests on who is one person is asked anew. What was concluded or gathered
already is left to be concluded and gathered again, in the same transaction.
"""

from dataclasses import dataclass
from uuid import UUID

from django.db import transaction
from django.db.models.functions import Now

from consent.models import RequestKind, RightsRequest, Subject, SubjectMerge, Unweighed
from consent.selectors.decisions import NO, decided_by
from consent.selectors.persons import rows_of, whole
from consent.selectors.subjects import key_of
from consent.services import standings
from consent.services.decisions import (
    IdempotencyKeyReusedError,
    ReasonMissingError,
    announce_change,
)
from consent.services.subjects import hold_people
from governance.crypto import SealingKey
from governance.errors import ColophonError
from governance.models import ApiClient
from governance.services import ledger


class AlreadyOnePersonError(ColophonError):
    """The two are one person already, perhaps over other rows; joined twice, nothing could part."""

    code = "already_one_person"
    status = 409


class ErasureUnderWayError(ColophonError):
    """An erasure of one of them is planned without the other: wait until it has ended."""

    code = "erasure_under_way"
    status = 409


@dataclass(frozen=True, slots=True)
class Merged:
    """A merge, and whether it had been said before."""

    merge: SubjectMerge
    replayed: bool


@transaction.atomic
def merge(
    *, subject: Subject, other: Subject, key: UUID, reason: str, client: ApiClient | None = None
) -> Merged:
    """Say that two rows are one person; the same key and facts again return the first outcome.

    It holds for all instants, past ones too: what was said on either row counts for both. Both are
    registered. Raises `SubjectErasedError`, `SubjectUnregisteredError`, `ReasonMissingError`,
    `IdempotencyKeyReusedError` and the errors of this module.
    """
    hold_people(shared=False)
    one, two = sorted((subject, other), key=lambda each: each.pk)
    sealing = [key_of(each) for each in (one, two)]
    before = SubjectMerge.objects.filter(idempotency_key=key).first()
    if before is not None:
        _refuse_other_facts(before, one, two, sealing[0], reason)
        return Merged(before, replayed=True)
    rows = rows_of(one)
    if two.pk in rows:
        raise AlreadyOnePersonError("the two are one person already")
    _refuse_during_erasure([*rows, *rows_of(two)])
    made = SubjectMerge.objects.create(
        one=one, other=two, idempotency_key=key, merged_by=client,
        reason_sealed=_sealed(reason, sealing[0], _reason_place(key)),
    )  # fmt: skip
    _tell(made, "subjects.merged", sealing)
    return Merged(made, replayed=False)


@transaction.atomic
def undo(*, merge: SubjectMerge, reason: str, client: ApiClient | None = None) -> Merged:
    """Say that two rows never were one person; saying it twice is saying it once.

    What was erased meanwhile stays so. Raises `SubjectErasedError` and `ReasonMissingError`.
    """
    hold_people(shared=False)
    found = SubjectMerge.objects.select_related("one", "other", "merged_by", "undone_by")
    held = found.get(pk=merge.pk)
    if held.undone_at is not None:
        return Merged(held, replayed=True)
    sealing = [key_of(each) for each in (held.one, held.other)]
    place = _reason_place(held.idempotency_key) + "/undone"
    SubjectMerge.objects.filter(pk=held.pk).update(
        undone_at=Now(), undone_by=client, undo_reason_sealed=_sealed(reason, sealing[0], place)
    )
    held.refresh_from_db()
    _tell(held, "subjects.parted", sealing)
    return Merged(held, replayed=False)


def _refuse_other_facts(
    before: SubjectMerge, one: Subject, other: Subject, key: SealingKey, reason: str
) -> None:
    place = _reason_place(before.idempotency_key)
    if (before.one_id, before.other_id) != (one.pk, other.pk) or (
        key.open(bytes(before.reason_sealed), place).decode() != reason
    ):
        raise IdempotencyKeyReusedError("this key stands for another merge")


def _refuse_during_erasure(rows: list[int]) -> None:
    """Refuse while something is planned for one of them that would not be for the other."""
    planned = RightsRequest.objects.filter(
        subject__in=rows, kind=RequestKind.ERASURE, planned_at__isnull=False, refused_at=None,
        completion_recorded_at=None,
    )  # fmt: skip
    if planned.exists():
        raise ErasureUnderWayError("an erasure of one of the two has begun")


def _sealed(reason: str, key: SealingKey, place: str) -> bytes:
    if not reason.strip():
        raise ReasonMissingError("say how it is known who is who")
    return key.seal(reason.encode(), place)


def _reason_place(key: UUID) -> str:
    return f"consent_subjectmerge/{key}/reason"


def _tell(merge: SubjectMerge, kind: str, sealing: list[SealingKey]) -> None:
    """Leave it to be weighed and gathered, tell pipelines of a "no", and tell the ledger.

    The ledger is told once for each, so that each person's key opens what it says of them.
    """
    Unweighed.objects.create(merge=merge)
    standings.leave_word_of_merge(merge)
    said = decided_by(whole([merge.one_id, merge.other_id])).filter(kind__in=NO)
    announce_change(sorted(set(said.values_list("purpose__key", flat=True))))
    both = (merge.one, merge.other)
    ledger.append_many(
        [
            ledger.Happening(
                kind=kind,
                facts={
                    "merge": str(merge.uuid), "subject": str(of.uuid), "other": str(to.uuid)
                },
                key=key,
                sealed_for=of.uuid,
            )
            for of, to, key in zip(both, both[::-1], sealing, strict=True)
        ]
    )  # fmt: skip
