"""Which data sets hold whom, version by version.

The order of a data set's versions is their ``complete_at``, then their key.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import numpy as np
from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet
from pyroaring import BitMap

from consent.bitmaps import joined
from consent.models import (
    Manifest,
    MembershipChunk,
    MembershipSpan,
    Reappearance,
    Subject,
    SubjectIdentifier,
)
from consent.models.membership import BLOCK_BITS
from consent.selectors.persons import rows_of
from consent.selectors.subjects import schemes_of
from governance.fields import among
from governance.models import Dataset
from lineage.models import DatasetVersion
from lineage.selectors import versions


@dataclass(frozen=True, slots=True)
class Timeline:
    """The versions of a data set around one of them; ``upto`` ends with it."""

    upto: list[int]
    later: list[int]


def timeline(version: DatasetVersion) -> Timeline:
    """Return the versions up to one and those after it, each in order."""
    same = DatasetVersion.objects.filter(dataset_id=version.dataset_id)
    ordered = list(same.order_by("complete_at", "pk").values_list("pk", flat=True))
    cut = ordered.index(version.pk) + 1
    return Timeline(ordered[:cut], ordered[cut:])


def version_of(dataset: Dataset, said: str) -> DatasetVersion:
    """Return a version by public name or declared one, or the current one if nothing is said.

    Raises `NotFoundError`.
    """
    if not said:
        return versions.current(dataset.pk)
    try:
        uuid = UUID(said)
    except ValueError:
        return versions.named(dataset.pk, said)
    found = DatasetVersion.objects.filter(dataset=dataset, uuid=uuid).first()
    return found or versions.named(dataset.pk, said)


def datasets_of(subject: Subject) -> "QuerySet[Dataset]":
    """Return the data sets that hold a person now, by name."""
    held = spans_of(rows_of(subject)).filter(until=None)
    return Dataset.objects.filter(pk__in=held.values("dataset_id")).order_by("namespace", "name")


def spans_of(rows: Iterable[int]) -> "QuerySet[MembershipSpan]":
    """Return the stays that any of some rows is in."""
    return MembershipSpan.objects.filter(pk__in=set().union(*stays_of(rows).values()))


def stays_of(rows: Iterable[int]) -> dict[int, list[int]]:
    """Return the keys of the stays that each of some rows is in: the way back."""
    asked = list(rows)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT block, stays FROM consent_membershipblock WHERE block = ANY(%s)",
            [list({row >> BLOCK_BITS for row in asked})],
        )
        blocks = {
            block: np.asarray(BitMap.deserialize(bytes(stays)).to_array(), dtype=np.uint32)
            for block, stays in cursor.fetchall()
        }
    low = (1 << BLOCK_BITS) - 1
    found = {}
    for row in asked:
        keys = blocks.get(row >> BLOCK_BITS, np.empty(0, dtype=np.uint32))
        found[row] = (keys[(keys & low) == (row & low)] >> BLOCK_BITS).tolist()
    return found


def people_of(span_ids: Collection[int]) -> dict[int, BitMap]:
    """Return who is in each of some stays, of those that have anybody."""
    chunks = MembershipChunk.objects.filter(span__in=list(span_ids))
    found: dict[int, list[bytes | memoryview]] = {}
    for span, people in chunks.values_list("span_id", "people"):
        found.setdefault(span, []).append(people)
    return {span: joined(parts) for span, parts in found.items()}


def members(dataset_id: int, at: DatasetVersion | None = None) -> BitMap:
    """Return the people in a data set now, or in one version of it."""
    spans = MembershipSpan.objects.filter(dataset_id=dataset_id)
    if at is None:
        return _everybody(spans.filter(until=None))
    return members_of([at.pk]).get(at.pk, BitMap())


def people_in(current: Collection[int], ever: Collection[int]) -> BitMap:
    """Return the people who are in some data sets now, or were ever in others."""
    return _everybody(
        MembershipSpan.objects.filter(
            Q(dataset_id__in=list(current), until=None) | Q(dataset_id__in=list(ever))
        )
    )


def members_of(version_ids: Collection[int]) -> dict[int, BitMap]:
    """Return, of each version that is known to hold anybody, the people in it."""
    with connection.cursor() as cursor:
        cursor.execute(_COVERED + " WHERE v.id = ANY(%s)", [list(version_ids)])
        covered = cursor.fetchall()
    people = people_of({span for span, *_ in covered})
    found: dict[int, BitMap] = {}
    for span, version, *_ in covered:
        if span in people:
            found[version] = found.get(version, BitMap()) | people[span]
    return found


def complete_lists(version_ids: Collection[int]) -> "QuerySet[Manifest]":
    """Return the manifests that say "exactly these" of some versions."""
    return _complete(version_ids)


def versions_holding(subject: Subject, among: Collection[int] | None = None) -> set[int]:
    """Return every data set version that holds a person, of all data sets and times, or of some."""
    return versions_of(rows_of(subject), among)


def versions_of(rows: Collection[int], among: Collection[int] | None = None) -> set[int]:
    """Return every data set version that holds any of some rows, of all or of some."""
    return set().union(*(each.versions for each in places_of(rows, among).values()))


@dataclass(frozen=True, slots=True)
class Places:
    """Where rows are: every version that holds any, with its data set; and which data sets now."""

    versions: dict[int, int] = field(default_factory=dict)
    now: set[int] = field(default_factory=set)


def places_of(rows: Collection[int], among: Collection[int] | None = None) -> dict[int, Places]:
    """Return where each of some rows is and was, in all data set versions or in some."""
    stays = stays_of(rows)
    staying: defaultdict[int, list[int]] = defaultdict(list)
    for row, spans in stays.items():
        for span in spans:
            staying[span].append(row)
    query = _COVERED + " WHERE s.id = ANY(%s)" + ("" if among is None else " AND v.id = ANY(%s)")
    asked = sorted(staying)
    found = {row: Places() for row in stays}
    with connection.cursor() as cursor:
        cursor.execute(query, [asked] if among is None else [asked, list(among)])
        for span, version, dataset, still in cursor.fetchall():
            for row in staying[span]:
                found[row].versions[version] = dataset
                if still:
                    found[row].now.add(dataset)
    return found


def manifested(version_ids: Collection[int]) -> set[int]:
    """Return those versions whose people are known completely: a list said "exactly these".

    A list that adds says nothing of the others, even if it is the first: a long one is often
    handed in by parts.
    """
    return set(_complete(version_ids).values_list("version_id", flat=True))


def versions_proven_without(subject: Subject, version_ids: Collection[int]) -> set[int]:
    """Return those versions that a complete manifest shows not to hold a person."""
    return proven_without(rows_of(subject), version_ids)


def proven_without(rows: Collection[int], version_ids: Collection[int]) -> set[int]:
    """Return those versions that a complete manifest shows not to hold the person of all the rows.

    It proves nothing if it is written in a scheme by which the person is not known, or, of an
    erased person, if anybody who was erased had come back by then: that may be the one.
    """
    complete = _complete(version_ids)
    if not complete.exists():
        return set()
    schemes, gone = schemes_of(rows)
    complete = complete.filter(scheme__in=schemes)
    if gone:
        back = Reappearance.objects.filter(
            Q(ended_at=None) | Q(ended_at__gt=OuterRef("received_at")),
            dataset_id=OuterRef("dataset_id"),
        )
        complete = complete.filter(~Exists(back))
    proven = set(complete.values_list("version_id", flat=True))
    return proven - versions_of(rows, proven) if proven else set()


def held_since(dataset_ids: Collection[int], at: datetime) -> dict[int, datetime]:
    """Return since when whoever is longest in each of some data sets is in it, as of an instant.

    Of who was there before anything was recorded it is known that they were when the data set
    became known.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT s.dataset_id,
                   min(CASE since.kind WHEN 'origin' THEN d.created_at ELSE since.complete_at END)
              FROM consent_membershipspan s
              JOIN governance_dataset d ON d.id = s.dataset_id
              JOIN lineage_datasetversion since ON since.id = s.since_id
              LEFT JOIN lineage_datasetversion until ON until.id = s.until_id
             WHERE s.dataset_id = ANY(%(datasets)s) AND since.complete_at <= %(at)s
               AND (until.id IS NULL OR until.complete_at > %(at)s)
               AND EXISTS (SELECT 1 FROM consent_membershipchunk c WHERE c.span_id = s.id)
             GROUP BY s.dataset_id
            """,
            {"datasets": list(dataset_ids), "at": at},
        )
        return dict(cursor.fetchall())


def told_of(dataset_ids: Collection[int]) -> set[int]:
    """Return those data sets for which any manifest was handed in."""
    told = Manifest.objects.filter(dataset_id__in=list(dataset_ids))
    return set(told.values_list("dataset_id", flat=True).distinct())


def reappeared_in(dataset_ids: Collection[int]) -> "QuerySet[Reappearance]":
    """Return the erased people who are in some data sets again, in the order they were seen."""
    return Reappearance.objects.filter(dataset_id__in=list(dataset_ids), ended_at=None).order_by(
        "pk"
    )


def to_reopen() -> "QuerySet[Reappearance]":
    """Return the data that came back and that no erasure sees to, in the order it was seen.

    Who registered again by their own wish did not come back: they are here.
    """
    again = SubjectIdentifier.objects.filter(
        scheme=OuterRef("tombstone__scheme"), digest=OuterRef("tombstone__digest")
    )
    return Reappearance.objects.filter(~Exists(again), ended_at=None, request=None).order_by("pk")


def _complete(version_ids: Collection[int]) -> "QuerySet[Manifest]":
    return Manifest.objects.filter(version_id__in=among(version_ids), mode=Manifest.Mode.REPLACE)


def _everybody(spans: "QuerySet[MembershipSpan]") -> BitMap:
    return joined(MembershipChunk.objects.filter(span__in=spans).values_list("people", flat=True))


# A stay, a version that it covers, the data set of both, and whether it goes on; the order of
# versions is spelled out in row comparisons.
_COVERED = """
    SELECT s.id, v.id, s.dataset_id, s.until_id IS NULL
      FROM consent_membershipspan s
      JOIN lineage_datasetversion since ON since.id = s.since_id
      LEFT JOIN lineage_datasetversion until ON until.id = s.until_id
      JOIN lineage_datasetversion v
        ON v.dataset_id = s.dataset_id
       AND (v.complete_at, v.id) >= (since.complete_at, since.id)
       AND (until.id IS NULL OR (v.complete_at, v.id) < (until.complete_at, until.id))
"""
