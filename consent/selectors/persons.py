"""Which rows are one person: those that merges join which are not undone.

Almost everybody is one row. So a question about one costs a look at an index; one about very many
first reads who is joined at all, which are few.
"""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import numpy as np
from django.db import connection
from django.db.models import Q, QuerySet
from pyroaring import BitMap

from consent.models import Subject, SubjectMerge
from governance.errors import NotFoundError

FEW = 2_000  # below it, looking each of them up is cheaper than reading everybody who is joined


def rows_of(subject: Subject) -> list[int]:
    """Return the keys of all rows of a person, in order; mostly the one."""
    return list(whole([subject.pk]))


def rows_of_each(subjects: Iterable[int]) -> dict[int, BitMap]:
    """Return, for each of some rows, all rows of that person, the given one among them."""
    asked = BitMap(subjects)
    of = {row: person for person in several(asked) for row in person}
    return {row: of.get(row, BitMap([row])) for row in asked}


def whole(people: Iterable[int]) -> BitMap:
    """Return some people with all their rows."""
    asked = BitMap(people)
    return BitMap.union(asked, *several(asked))


def whole_of(rows: "QuerySet[Any, Any]") -> BitMap:
    """Return those whose keys a query yields with all their rows, as of one moment."""
    query, values = rows.query.sql_with_params()
    return BitMap(row for _, row in _reached(query, values))


def several(people: Iterable[int] | None = None) -> list[BitMap]:
    """Return, of each person who is several rows, all rows; of some rows' people, or of all."""
    asked = _everyone_joined() if people is None else BitMap(people)
    if len(asked) > FEW and people is not None:
        asked &= _everyone_joined()
    if not asked:
        return []
    of: dict[int, BitMap] = {}
    for one, other in _reached("SELECT unnest(%s::bigint[])", [list(asked)]):
        person = of.get(one, BitMap([one])) | of.get(other, BitMap([other]))
        of.update(dict.fromkeys(person, person))
    return [each for row, each in sorted(of.items()) if len(each) > 1 and row == each.min()]


def count(people: BitMap) -> int:
    """Return how many persons some rows are."""
    extra = [len(person & people) - 1 for person in several(people)]
    return len(people) - sum(extra)


def merges_of(subject: Subject) -> "QuerySet[SubjectMerge]":
    """Return every merge of a person's rows, those that were undone too."""
    rows = rows_of(subject)
    found = SubjectMerge.objects.filter(Q(one__in=rows) | Q(other__in=rows))
    return found.select_related("one", "other", "merged_by", "undone_by")


def merge_of(subject: Subject, uuid: UUID) -> SubjectMerge:
    """Return one merge of a person's rows, or raise `NotFoundError`."""
    found = merges_of(subject).filter(uuid=uuid).first()
    if found is None:
        raise NotFoundError("no such merge of this person is known")
    return found


def _everyone_joined() -> BitMap:
    """Return every row that is joined to another; as one value, since rows cost a call."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT string_agg(int8send(joined.id), ''::bytea) FROM (
                SELECT one_id AS id FROM consent_subjectmerge WHERE undone_at IS NULL
                UNION ALL
                SELECT other_id FROM consent_subjectmerge WHERE undone_at IS NULL) AS joined
            """
        )
        keys = bytes(cursor.fetchone()[0] or b"")
    return BitMap(np.frombuffer(keys, dtype=">i8").astype(np.uint32))


def _reached(asked: str, values: Sequence[Any]) -> list[tuple[int, int]]:
    with connection.cursor() as cursor:
        cursor.execute(_REACHED.format(asked=asked), values)
        found: list[tuple[int, int]] = cursor.fetchall()
        return found


# Pairs of rows: each that was asked about with itself and those beside it, then those with theirs.
_REACHED = """
    WITH RECURSIVE reached (origin, id) AS (
        SELECT asked.id, asked.id FROM ({asked}) AS asked (id)
        UNION
        SELECT r.id, beside.id FROM reached r CROSS JOIN LATERAL (
            SELECT m.other_id FROM consent_subjectmerge m
             WHERE m.one_id = r.id AND m.undone_at IS NULL
            UNION ALL
            SELECT m.one_id FROM consent_subjectmerge m
             WHERE m.other_id = r.id AND m.undone_at IS NULL) AS beside (id))
    SELECT origin, id FROM reached
"""
