"""Which data sets hold whom, version by version.

The order of a data set's versions is their ``complete_at``, then their key.
"""

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from django.db import connection
from django.db.models import Exists, OuterRef, Q, QuerySet
from pyroaring import BitMap

from consent.models import Manifest, Membership, Reappearance, Subject
from consent.selectors.subjects import schemes_of
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
    held = Membership.objects.filter(subject=subject, until=None).values("dataset_id")
    return Dataset.objects.filter(pk__in=held).order_by("namespace", "name")


def members(dataset_id: int, at: DatasetVersion | None = None) -> BitMap:
    """Return the people in a data set now, or in one version of it."""
    found = Membership.objects.filter(dataset_id=dataset_id)
    return BitMap(_in_version(found, at).values_list("subject_id", flat=True))


def people_in(current: Collection[int], ever: Collection[int]) -> BitMap:
    """Return the people who are in some data sets now, or were ever in others."""
    found = Membership.objects.filter(
        Q(dataset_id__in=list(current), until=None) | Q(dataset_id__in=list(ever))
    )
    return BitMap(found.values_list("subject_id", flat=True))


def members_of(version_ids: Collection[int]) -> dict[int, BitMap]:
    """Return, of each version that is known to hold anybody, the people in it."""
    with connection.cursor() as cursor:
        cursor.execute(_STAYS, [list(version_ids)])
        found: dict[int, BitMap] = {}
        for versions, people in cursor.fetchall():
            stayed = BitMap(people)
            for version in versions:
                found[version] = found[version] | stayed if version in found else stayed
        return found


def complete_lists(version_ids: Collection[int]) -> "QuerySet[Manifest]":
    """Return the manifests that say "exactly these" of some versions."""
    return _complete(version_ids)


def holds(subject_ids: Collection[int], version_ids: Collection[int]) -> set[tuple[int, int]]:
    """Return those pairs (person, version) where the version holds the person."""
    with connection.cursor() as cursor:
        cursor.execute(
            _HOLDS + " WHERE m.subject_id = ANY(%s) AND v.id = ANY(%s)",
            [list(subject_ids), list(version_ids)],
        )
        return set(cursor.fetchall())


def versions_holding(subject: Subject) -> set[int]:
    """Return every data set version that holds a person, of all data sets and times."""
    with connection.cursor() as cursor:
        cursor.execute(_HOLDS + " WHERE m.subject_id = %s", [subject.pk])
        return {version for _, version in cursor.fetchall()}


def manifested(version_ids: Collection[int]) -> set[int]:
    """Return those versions whose people are known completely: a list said "exactly these".

    A list that adds says nothing of the others, even if it is the first: a long one is often
    handed in by parts.
    """
    return set(_complete(version_ids).values_list("version_id", flat=True))


def versions_proven_without(subject: Subject, version_ids: Collection[int]) -> set[int]:
    """Return those versions that a complete manifest shows not to hold a person.

    It proves nothing if it is written in a scheme by which the person is not known, or, of an
    erased person, if anybody who was erased had come back by then: that may be the one.
    """
    complete = _complete(version_ids).filter(scheme__in=schemes_of(subject))
    if subject.erased_at is not None:
        back = Reappearance.objects.filter(
            Q(ended_at=None) | Q(ended_at__gt=OuterRef("received_at")),
            dataset_id=OuterRef("dataset_id"),
        )
        complete = complete.filter(~Exists(back))
    proven = set(complete.values_list("version_id", flat=True))
    return proven - {version for _, version in holds([subject.pk], proven)}


def told_of(dataset_ids: Collection[int]) -> set[int]:
    """Return those data sets for which any manifest was handed in."""
    told = Manifest.objects.filter(dataset_id__in=list(dataset_ids))
    return set(told.values_list("dataset_id", flat=True).distinct())


def reappeared_in(dataset_ids: Collection[int]) -> "QuerySet[Reappearance]":
    """Return the erased people who are in some data sets again, in the order they were seen."""
    return Reappearance.objects.filter(dataset_id__in=list(dataset_ids), ended_at=None).order_by(
        "pk"
    )


def _complete(version_ids: Collection[int]) -> "QuerySet[Manifest]":
    return Manifest.objects.filter(version_id__in=list(version_ids), mode=Manifest.Mode.REPLACE)


def _in_version(
    found: "QuerySet[Membership]", version: DatasetVersion | None
) -> "QuerySet[Membership]":
    if version is None:
        return found.filter(until=None)
    around = timeline(version)
    return found.filter(Q(until=None) | Q(until_id__in=around.later), since_id__in=around.upto)


# Pairs (person, version); the order of versions is spelled out in row comparisons.
_HOLDS = """
    SELECT m.subject_id, v.id
      FROM consent_membership m
      JOIN lineage_datasetversion since ON since.id = m.since_id
      LEFT JOIN lineage_datasetversion until ON until.id = m.until_id
      JOIN lineage_datasetversion v
        ON v.dataset_id = m.dataset_id
       AND (v.complete_at, v.id) >= (since.complete_at, since.id)
       AND (until.id IS NULL OR (v.complete_at, v.id) < (until.complete_at, until.id))
"""

# The people who came and left together, with those of the versions that they were in. The people
# are gathered before the versions are joined: many share a stay, and a stay spans few versions.
_STAYS = """
    WITH asked AS (
        SELECT id, dataset_id, complete_at FROM lineage_datasetversion WHERE id = ANY(%s)),
    stay AS (
        SELECT dataset_id, since_id, until_id, array_agg(subject_id) AS people
          FROM consent_membership WHERE dataset_id IN (SELECT dataset_id FROM asked)
         GROUP BY dataset_id, since_id, until_id)
    SELECT array_agg(v.id), stay.people
      FROM stay
      JOIN lineage_datasetversion since ON since.id = stay.since_id
      LEFT JOIN lineage_datasetversion until ON until.id = stay.until_id
      JOIN asked v
        ON v.dataset_id = stay.dataset_id
       AND (v.complete_at, v.id) >= (since.complete_at, since.id)
       AND (until.id IS NULL OR (v.complete_at, v.id) < (until.complete_at, until.id))
     GROUP BY stay.dataset_id, stay.since_id, stay.until_id, stay.people
"""
