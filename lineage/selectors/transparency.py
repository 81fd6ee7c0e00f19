"""Which models used this data, and which data made this model."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from django.db import connection
from django.db.models import QuerySet
from pyroaring import BitMap

from governance.errors import NotFoundError
from governance.fields import among
from governance.models import Dataset
from lineage.models import DatasetVersion, InboxEvent, ModelVersion, Provenance, RunInput
from lineage.selectors import ancestry, walk
from lineage.selectors.identities import called, identities
from lineage.selectors.instants import as_it_stood


class Certainty(StrEnum):
    """How an answer is known; never show one as another."""

    PROVEN = "proven"  # a record-level manifest of that version says so
    INFERRED = "inferred"  # it follows from the flows between data sets
    MASKED = "masked"  # every column's path is masked
    UNKNOWN = "unknown"  # a gap: an unregistered data set that nobody is known to have written


@dataclass(frozen=True, slots=True)
class ModelUse:
    """One model version that descends from a data set."""

    model_version: ModelVersion
    certainty: Certainty


@dataclass(frozen=True, slots=True)
class Pending:
    """What may still change an answer: events not yet applied, provenance not yet frozen."""

    events: int
    model_versions: int

    @property
    def nothing(self) -> bool:
        """Say whether everything received is in the answer."""
        return not (self.events or self.model_versions)


def dataset_named(namespace: str, name: str) -> Dataset:
    """Return a data set by its OpenLineage name, or raise `NotFoundError`."""
    try:
        return Dataset.objects.get(namespace=namespace, name=name)
    except Dataset.DoesNotExist:
        raise NotFoundError("no such data set is known: check namespace and name") from None


def model_version(uuid: UUID) -> ModelVersion:
    """Return a model version, or raise `NotFoundError`."""
    try:
        return _described(ModelVersion.objects.filter(uuid=uuid)).get()
    except ModelVersion.DoesNotExist:
        raise NotFoundError("no such model version is known") from None


def model_versions_holding(datasets: Collection[int]) -> BitMap:
    """Return the keys of the model versions that descend from any of these data sets."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT model_versions FROM lineage_wayback WHERE dataset_id = ANY(%s)",
            [list(datasets)],
        )
        return BitMap.union(
            BitMap(), *(BitMap.deserialize(bytes(block)) for (block,) in cursor.fetchall())
        )


def _holding(dataset: int) -> BitMap:
    """Return the same for one data set under all of its names, in one statement."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT model_versions FROM lineage_wayback WHERE dataset_id IN (
                SELECT %(dataset)s::bigint
                UNION
                SELECT other.dataset_id FROM lineage_identity mine
                  JOIN lineage_identity other ON other.identity = mine.identity
                 WHERE mine.dataset_id = %(dataset)s)
            """,
            {"dataset": dataset},
        )
        return BitMap.union(
            BitMap(), *(BitMap.deserialize(bytes(block)) for (block,) in cursor.fetchall())
        )


@dataclass(frozen=True, slots=True)
class Found:
    """The model versions that descend from a data set, by key, the last known first."""

    dataset: Dataset
    keys: list[int]
    at: datetime | None
    masked: frozenset[int] = frozenset()


def using(dataset: Dataset, *, as_of: datetime | None = None) -> Found:
    """Find which model versions descend from a data set, under any of its names.

    A failed or running training is among them, with its state. ``as_of`` answers as the graph
    stood when nothing later than that instant had been said.
    """
    if as_of is not None:
        return _using_at(dataset, as_of)
    return Found(dataset, _holding(dataset.pk).to_array().tolist()[::-1], None)


def models_using(dataset: Dataset, *, as_of: datetime | None = None) -> list[ModelUse]:
    """Answer which model versions descend from a data set, all of them."""
    found = using(dataset, as_of=as_of)
    return uses(found, found.keys)


def uses(found: Found, keys: Collection[int]) -> list[ModelUse]:
    """Describe some of the model versions that were found."""
    if found.at is None:
        return _uses(found, keys)
    with as_it_stood(found.at, scope=_downstream(found.dataset)):
        return _uses(found, keys)


def _uses(found: Found, keys: Collection[int]) -> list[ModelUse]:
    names = called([found.dataset.pk])
    unknown = not (names - gaps(names)) if keys else False
    described = _described(ModelVersion.objects.filter(pk__in=list(keys))).order_by("-pk")
    answer = []
    for made in described:
        masked = made.pk in found.masked if found.at else _is_masked(made, names)
        certainty = Certainty.MASKED if masked else Certainty.INFERRED
        answer.append(ModelUse(made, Certainty.UNKNOWN if unknown else certainty))
    return answer


def _is_masked(made: ModelVersion, names: Collection[int]) -> bool:
    frozen = getattr(made, "provenance", None)
    if frozen is None or not frozen.masked:
        return False
    held = BitMap(names) & BitMap.deserialize(bytes(frozen.datasets))
    return held <= BitMap.deserialize(bytes(frozen.masked))


def _downstream(dataset: Dataset) -> frozenset[int]:
    return ancestry.descendants([dataset.pk]).dataset_ids


def _using_at(dataset: Dataset, as_of: datetime) -> Found:
    with as_it_stood(as_of, scope=_downstream(dataset)):
        starts = DatasetVersion.objects.filter(dataset_id__in=called([dataset.pk]))
        start_keys = set(starts.values_list("pk", flat=True))
        edges = walk.all_edges()
        reached = _descending(edges, start_keys)
        clear = _descending([edge for edge in edges if not edge[2]], start_keys)
        made = dict(
            ModelVersion.objects.filter(version_id__in=list(reached)).values_list(
                "pk", "version_id"
            )
        )
    masked = frozenset(pk for pk, version in made.items() if version not in clear)
    return Found(dataset, sorted(made, reverse=True), as_of, masked)


def _descending(edges: list[tuple[int, int, bool]], starts: set[int]) -> set[int]:
    """Return what descends from the starts; of itself alone, in a circle of runs, nothing does."""
    reached = _reached(edges, starts)
    around = {each for each in reached & starts if each not in _reached(edges, starts - {each})}
    return reached - around


def _reached(edges: Iterable[tuple[int, int, bool]], starts: Collection[int]) -> set[int]:
    """Return what lies below the starts, by edges of (child, parent, masked)."""
    children: dict[int, list[int]] = defaultdict(list)
    for child, parent, _ in edges:
        children[parent].append(child)
    reached: set[int] = set()
    edge = list(starts)
    while edge:
        below = {child for each in edge for child in children[each]}
        edge = list(below - reached)
        reached |= below
    return reached


def datasets_in(
    made: ModelVersion, *, as_of: datetime | None = None
) -> list[tuple[Dataset, Certainty]]:
    """Answer which data sets a model version descends from: its bill of materials.

    A data set with several names is told once, under the one that became known first.
    """
    if as_of is None:
        frozen = Provenance.objects.filter(model_version=made).first()
        if frozen is None:
            return []
        held = set(BitMap.deserialize(bytes(frozen.datasets)))
        masked = set(BitMap.deserialize(bytes(frozen.masked))) if frozen.masked else set()
        return _materials(held, masked)
    with as_it_stood(as_of, scope=ancestry.sources([made.version.dataset_id]).dataset_ids):
        if not ModelVersion.objects.filter(pk=made.pk).exists():
            return []
        reached = walk.ancestors([made.version_id])
        held = {d for v, d in reached.versions.items() if v != made.version_id}
        masked = held - reached.unmasked if reached.masks else set()
        return _materials(held, masked)


def _materials(held: set[int], masked: set[int]) -> list[tuple[Dataset, Certainty]]:
    one = identities(held)
    how = certainties(held, masked, gaps(held), one)
    told = Dataset.objects.filter(pk__in=held - other_names(one)).order_by("namespace", "name")
    return [(each, how[one[each.pk]]) for each in told]


def certainties(
    held: set[int], masked: set[int], unknown: set[int], one: Mapping[int, int]
) -> dict[int, Certainty]:
    """Return of each identity among data sets how it is known, its best known name deciding."""
    clear = {one[pk] for pk in held - masked}
    known = {one[pk] for pk in held - unknown}
    return {
        each: Certainty.UNKNOWN
        if each not in known
        else (Certainty.INFERRED if each in clear else Certainty.MASKED)
        for each in {one[pk] for pk in held}
    }


def other_names(one: Mapping[int, int]) -> set[int]:
    """Return those of the data sets that are told under another of their names.

    Told is, of each identity, a name that is unquoted, that runs use, the first by alphabet.
    """
    often = {each for each, times in Counter(one.values()).items() if times > 1}
    named = [pk for pk, each in one.items() if each in often]
    if not named:
        return set()
    read = RunInput.objects.filter(dataset_id__in=among(named))
    written = DatasetVersion.objects.filter(dataset_id__in=among(named), kind="written")
    used = {*read.values_list("dataset_id", flat=True).distinct()}
    used |= {*written.values_list("dataset_id", flat=True).distinct()}
    told: dict[int, int] = {}
    found = Dataset.objects.filter(pk__in=among(named)).order_by("namespace", "name")
    for each in sorted(found, key=lambda each: ('"' in each.name, each.pk not in used)):
        told.setdefault(one[each.pk], each.pk)
    return set(named) - set(told.values())


def gaps(datasets: Iterable[int]) -> set[int]:
    """Return those of the data sets whose past nobody is known to answer for."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT d.id FROM governance_dataset d
             WHERE d.id = ANY(%s) AND NOT {_ANSWERED.format(dataset="d")}
            """,  # noqa: S608 the condition is ours
            [list(datasets)],
        )
        return {row[0] for row in cursor.fetchall()}


def unanswered(datasets: Collection[int]) -> set[int]:
    """Return the gaps among data sets, each under one of its names, if none of its names is known.

    A data set is told under another name that is known as well as under its own.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT d.id, coalesce(mine.identity, d.id)
              FROM governance_dataset d
              LEFT JOIN lineage_identity mine ON mine.dataset_id = d.id
             WHERE d.id = ANY(%s) AND NOT {_ANSWERED.format(dataset="d")}
               AND NOT EXISTS (SELECT FROM lineage_identity name
                                 JOIN governance_dataset other ON other.id = name.dataset_id
                                WHERE name.identity = mine.identity
                                  AND {_ANSWERED.format(dataset="other")})
            """,  # noqa: S608 the condition is ours
            [list(datasets)],
        )
        silent = dict(cursor.fetchall())
    return silent.keys() - other_names(silent)


# Whether somebody registered a data set, or a run is known to have written it. That is looked up
# for each, because a join of many would read all versions that there are.
_ANSWERED = """(
    {dataset}.registered_at IS NOT NULL
    OR (SELECT true FROM lineage_datasetversion v
         WHERE v.dataset_id = {dataset}.id AND v.kind = 'written' LIMIT 1) IS NOT NULL)"""


def evidence(made: ModelVersion, dataset: Dataset) -> list[walk.Step]:
    """Return a shortest path from a model version up to a data set, or nothing."""
    names = called([dataset.pk])
    versions = DatasetVersion.objects.filter(dataset_id__in=names).values_list("pk", flat=True)
    way = walk.path(made.version_id, set(versions))
    return walk.described(way) if way else []


def pending() -> Pending:
    """Count what may still change an answer, up to a thousand of each."""
    waiting = InboxEvent.objects.filter(state=InboxEvent.State.READY)
    stale = ModelVersion.objects.filter(stale_at__isnull=False)
    return Pending(len(waiting.values("pk")[:1000]), len(stale.values("pk")[:1000]))


def any_cut() -> bool:
    """Say whether some model version's walk was cut, so that it may be missing in an answer."""
    return Provenance.objects.filter(truncated=True).exists()


def described(keys: Collection[int]) -> list[ModelVersion]:
    """Return model versions with all that is told of them, the last known first."""
    return list(_described(ModelVersion.objects.filter(pk__in=list(keys))).order_by("-pk"))


def _described(found: "QuerySet[ModelVersion]") -> "QuerySet[ModelVersion]":
    """Fetch what is told of model versions; their sets of versions, which are large, are not."""
    described = found.select_related("model__dataset", "version__run__job", "provenance")
    return described.defer("provenance__versions", "provenance__parents")
