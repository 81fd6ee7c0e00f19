"""Which models used my data: a person's memberships, followed to models.

A way from a model version up to a version that holds the person counts, unless it passes a
version that is known not to hold them: one whose manifest leaves them out, one that an erasure
has read back or a person's word stands for, or one written by a run that left them out on the
gate's word, if that was about this very run. A list that names them in such a version is surer. A
person in several rows is followed row by row: an erasure and the gate's word are about the rows
that were looked for, a complete manifest about the person.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from django.db import connection
from pyroaring import BitMap

from consent.models import Subject
from consent.selectors import leaning, membership
from consent.selectors.leaning import TRAINING_FACET
from consent.selectors.persons import rows_of, rows_of_each
from lineage.models import ModelVersion
from lineage.selectors import ancestry, transparency, walk
from lineage.selectors.identities import identities
from lineage.selectors.transparency import Certainty

_NONE = BitMap().serialize()
_Made = tuple[ModelVersion, BitMap]  # with every version that it descends from


@dataclass(frozen=True, slots=True)
class Use:
    """One model version that holds a person's data, and how that is known."""

    model_version: ModelVersion
    certainty: Certainty
    _held: frozenset[int] = field(repr=False)
    _stops: frozenset[int] = field(repr=False)
    _read: int | None = field(repr=False)  # what the model version read that holds the person

    @property
    def way(self) -> tuple[int, ...]:
        """Look up a shortest way from the model version to a version that holds the person."""
        start = self.model_version.version_id
        if self._read is not None:
            return (start, self._read)
        return tuple(walk.path(start, self._held, stops=self._stops) or ())

    @property
    def held(self) -> frozenset[int]:
        """Return the versions that hold the person, and are not known to hold them no more."""
        return self._held

    def steps(self) -> list[tuple[int, int]]:
        """Return every step, as (child, parent), up from the model version to what is held."""
        walls = self._held | self._stops
        seen, edge = set[int](), {self.model_version.version_id} - walls
        found = []
        while edge:
            seen |= edge
            above = [step for step in walk.parents(list(edge)) if step[1] not in self._stops]
            found += above
            edge = {parent for _, parent in above} - seen - walls
        return found


def models_of(subject: Subject) -> list[Use]:
    """Answer which model versions used a person's data, the latest first."""
    return traced(subject).models


@dataclass(frozen=True, slots=True)
class Traced:
    """The data sets that hold a person now, by key, and the model versions that used their data."""

    datasets: set[int]
    models: list[Use]


def traced(subject: Subject) -> Traced:
    """Answer where a person's data is, and which model versions used it, the latest first."""
    return next(traced_of([subject]))


def traced_of(subjects: Collection[Subject]) -> Iterator[Traced]:
    """Answer the same for each of some people in turn, looking up together what can be."""
    people = {pk: list(rows) for pk, rows in rows_of_each(each.pk for each in subjects).items()}
    places = membership.places_of([row for rows in people.values() for row in rows])
    holding = {pk for each in places.values() for pk in each.versions.values()}
    made = _described(list(transparency.model_versions_holding(holding)))
    for subject in subjects:
        rows = people[subject.pk]
        used = [use for row in rows for use in _uses(row, rows, places[row].versions, made)]
        yield Traced(set().union(*(places[row].now for row in rows)), _together(used))


def use_of(subject: Subject, made: ModelVersion) -> Use | None:
    """Answer whether, and how, one model version used a person's data."""
    found = _together(uses_of(subject, made))
    return found[0] if found else None


def uses_of(subject: Subject, made: ModelVersion) -> list[Use]:
    """Answer the same for each row of the person by which it did."""
    rows, only = rows_of(subject), _described([made.pk])
    places = membership.places_of(rows)
    return [use for row in rows for use in _uses(row, rows, places[row].versions, only)]


def datasets_ever_holding(subject: Subject) -> set[int]:
    """Return the data sets that hold a person's data or ever did."""
    places = membership.places_of(rows_of(subject)).values()
    return {pk for each in places for pk in each.versions.values()}


def datasets_carrying(subject: Subject, datasets: Collection[int]) -> set[int]:
    """Return those data sets whose content now came, by any way, from what holds a person.

    Where there is too much to look at, a data set is among them.
    """
    rows, found = rows_of(subject), set()
    for version in ancestry.current_versions(datasets):
        above = walk.ancestors([version])
        if above.truncated or any(_carries(version, row, rows, above.versions) for row in rows):
            found.add(version)
    carrying = set(identities(set(walk.datasets_of(found).values())).values())
    one = identities(datasets)
    return {pk for pk in datasets if one[pk] in carrying}


def _carries(version: int, row: int, rows: Collection[int], above: Collection[int]) -> bool:
    held = membership.versions_of([row])
    return walk.path(version, held, stops=_stops(row, rows, BitMap(above)) - held) is not None


def _together(found: list[Use]) -> list[Use]:
    """Keep of each model version the surest way that any row shows, the latest version first."""
    surest: dict[int, Use] = {}
    for use in found:
        known = surest.get(use.model_version.pk)
        if known is None or known.certainty is not Certainty.PROVEN:
            surest[use.model_version.pk] = use
    made = surest.values()
    return sorted(
        made,
        key=lambda use: (use.model_version.version.complete_at, use.model_version.pk),
        reverse=True,
    )


def _described(keys: Collection[int]) -> list[_Made]:
    """Return those model versions whose provenance is known, each with the versions in it."""
    if not keys:
        return []
    found = ModelVersion.objects.filter(pk__in=list(keys), provenance__isnull=False)
    return [
        (each, BitMap.deserialize(bytes(each.provenance.versions)))
        for each in found.select_related("model__dataset", "version", "provenance")
    ]


def _uses(
    row: int, rows: Collection[int], holding: Collection[int], candidates: Iterable[_Made]
) -> list[Use]:
    """Return those of some model versions that used the data of one row of a person.

    Most are decided by their frozen provenance alone. Only those in which something stands that
    may have held the person back are walked.
    """
    held = BitMap(holding)
    above = {each: versions for each, versions in candidates if versions.intersect(held)}
    if not above:
        return []
    own = BitMap(each.version_id for each in above)
    stops = frozenset(_stops(row, rows, BitMap.union(own, *above.values())) - set(holding))
    targets, barred = frozenset(held), BitMap(stops)
    uses = []
    for each, versions in above.items():
        if each.version_id in stops:
            continue
        if versions.intersect(barred) and walk.path(each.version_id, targets, stops=stops) is None:
            continue
        parents = BitMap.deserialize(bytes(each.provenance.parents or _NONE))
        read = min(targets.intersection(parents), default=None)
        certainty = Certainty.INFERRED if read is None else Certainty.PROVEN
        uses.append(Use(each, certainty, targets, stops, read))
    return uses


def _stops(row: int, rows: Collection[int], versions: BitMap) -> set[int]:
    """Return those of some versions that are known not to hold a row, whatever came in.

    Mostly there is no reason to think so of any, which is one question.
    """
    reached = set(versions)
    with connection.cursor() as cursor:
        cursor.execute(_REASONS, {"row": row, "versions": list(reached), "facet": TRAINING_FACET})
        listed, leaned, erased = cursor.fetchone()
    found = set(erased)
    if listed:
        found |= membership.proven_without(rows, reached)
    if leaned:
        left_out = leaning.left_out(reached)
        found |= {version for version, people in left_out.items() if row in people}
    return reached & found


# Whether any list says "exactly these", whether any run leaned on the gate, and what an erasure
# has read back.
_REASONS = """
    SELECT EXISTS (SELECT FROM consent_manifest
                    WHERE mode = 'replace' AND version_id = ANY(%(versions)s)),
           EXISTS (SELECT FROM lineage_datasetversion v
                     JOIN lineage_runfacet f ON f.run_id = v.run_id
                    WHERE v.id = ANY(%(versions)s) AND f.name = %(facet)s
                      AND f.value ? 'gateDecision'),
           ARRAY (SELECT s.version_id FROM consent_erasurestep s
                    JOIN consent_rightsrequest r ON r.id = s.request_id
                   WHERE s.version_id IS NOT NULL AND r.subject_id = %(row)s
                  UNION
                  SELECT version_id FROM consent_erasurestep
                   WHERE version_id IS NOT NULL AND others <> '{}'
                     AND others @> ARRAY[%(row)s]::bigint[])
"""
