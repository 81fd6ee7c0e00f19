"""Where a column comes from and goes to, and where personal columns arrive."""

from collections.abc import Collection
from dataclasses import dataclass

from governance.models import Dataset
from lineage.graphs import Edge, Graph, Node, NodeKind
from lineage.models import ColumnEdge, DatasetFacet
from lineage.selectors.identities import called

Column = tuple[int, str]
"""A data set's key, and the column's name; empty for the data set as a whole."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A tag that reached a column along unmasked columns, and the way it took, its origin first."""

    tag: str
    value: str
    way: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Named:
    """A column by its names; ``field`` is empty for the data set as a whole."""

    namespace: str
    name: str
    field: str


@dataclass(frozen=True, slots=True)
class NamedArrival:
    """An arrival whose columns are told by name."""

    value: str
    way: tuple[Named, ...]


def around(dataset: Dataset, field: str, *, up: bool, depth: int, most: int) -> Graph:
    """Return the columns up or down from one, with the transformation at each hop."""
    start = {(pk, field) for pk in called([dataset.pk])}
    met = dict.fromkeys(start, 0)
    edges: dict[int, ColumnEdge] = {}
    cut, edge = False, start
    for hop in range(1, depth + 1):
        following: set[Column] = set()
        for each in _edges(edge, up=up):
            far = _end(each, up=up)
            if far not in met:
                if len(met) >= most:
                    cut = True
                    continue
                met[far] = hop
                following.add(far)
            edges[each.pk] = each
        edge = following
        if not edge:
            break
    cut = cut or bool(edge and _edges(edge, up=up))
    return _drawn(met, edges.values(), cut)


def arrivals(tag: str, *, most: int) -> list[Arrival]:
    """Return where columns that carry a tag arrive along unmasked columns, nearest first."""
    found: list[Arrival] = []
    for start, value in _tagged(tag):
        ways: dict[Column, tuple[Column, ...]] = {start: (start,)}
        edge = {start}
        while edge and len(found) < most:
            following: set[Column] = set()
            for each in _edges(edge, up=False):
                near, far = (each.input_id, each.input_field), _end(each, up=False)
                if each.masking or far in ways or near not in ways:
                    continue
                ways[far] = (*ways[near], far)
                following.add(far)
                found.append(Arrival(tag, value, ways[far]))
            edge = following
    return found[:most]


def named(found: Collection[Arrival]) -> list[NamedArrival]:
    """Name the columns on the ways of all arrivals at once."""
    datasets = Dataset.objects.in_bulk({pk for each in found for pk, _ in each.way})
    return [
        NamedArrival(
            each.value,
            tuple(
                Named(datasets[pk].namespace, datasets[pk].name, field) for pk, field in each.way
            ),
        )
        for each in found
    ]


def _tagged(tag: str) -> list[tuple[Column, str]]:
    """Return the columns, or whole data sets, that carry a tag, with its value."""
    tagged = []
    for facet in DatasetFacet.objects.filter(name="tags", value__isnull=False).order_by("pk"):
        listed = facet.value.get("tags")
        for each in listed if isinstance(listed, list) else ():
            if isinstance(each, dict) and each.get("key") == tag:
                column = (facet.dataset_id, str(each.get("field") or ""))
                tagged.append((column, str(each.get("value") or "")))
    return tagged


def _edges(columns: Collection[Column], *, up: bool) -> list[ColumnEdge]:
    datasets = {pk for pk, _ in columns}
    side = {"output__in": datasets} if up else {"input__in": datasets}
    near = [
        (each, (each.output_id, each.output_field) if up else (each.input_id, each.input_field))
        for each in ColumnEdge.objects.filter(**side).order_by("pk")
    ]
    # What concerns a data set as a whole concerns each of its columns, and the other way round.
    return [
        each for each, end in near
        if end in columns or (end[0], "") in columns or (up and end[1] == "")
    ]  # fmt: skip


def _end(each: ColumnEdge, *, up: bool) -> Column:
    return (each.input_id, each.input_field) if up else (each.output_id, each.output_field)


def _drawn(met: dict[Column, int], edges: Collection[ColumnEdge], cut: bool) -> Graph:
    named = Dataset.objects.in_bulk({pk for pk, _ in met})
    key = {column: f"field:{named[column[0]].uuid}/{column[1]}" for column in met}
    nodes = [
        Node(
            key[column], NodeKind.FIELD, f"{named[column[0]].namespace} {named[column[0]].name}",
            column[1] or "(the whole data set)", named[column[0]].uuid, depth=hop,
        )
        for column, hop in met.items()
    ]  # fmt: skip
    lines = {
        Edge(key[one], key[other], _label(each), each.masking, each.first_at, each.last_at)
        for each in edges
        if (one := (each.input_id, each.input_field)) in key
        and (other := (each.output_id, each.output_field)) in key
    }
    ordered = sorted(lines, key=lambda line: (line.source, line.target, line.label))
    return Graph(tuple(sorted(nodes, key=lambda node: node.key)), tuple(ordered), cut)


def _label(each: ColumnEdge) -> str:
    said = [each.kind, each.subtype, each.description]
    return " ".join(part for part in said if part)
