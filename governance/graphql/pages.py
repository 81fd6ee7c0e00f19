"""Long lists in GraphQL: Relay connections, up to a hundred nodes at a time.

A cursor is sealed, because it holds a primary key, and those stay inside; and it is bound to the
question that it continues, so that it cannot silently cut another list at a wrong place.
"""
# mypy: allow-subclassing-any

import base64
import binascii
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import graphene
from django.db.models import F, QuerySet, Window
from django.db.models import Model as Row
from django.db.models.functions import RowNumber
from graphene import relay

from governance.crypto import SealingKey, UnreadableError
from governance.errors import ColophonError
from governance.keys import secret_for
from governance.pages import CursorInvalidError

DEFAULT_FIRST = 50
MOST = 100

T = TypeVar("T")
AnyRow = TypeVar("AnyRow", bound=Row)


class FirstOutOfRangeError(ColophonError):
    """A page has at least one node and at most a hundred."""

    code = "first_out_of_range"
    status = 400


@dataclass(frozen=True, slots=True)
class Part:
    """Which part of the list that answers a ``question``: up to ``first`` after a place."""

    question: str
    first: int
    after: int | None


def part_of(question: str, *, first: int | None, after: str | None) -> Part:
    """Return the part that was asked for.

    Raises `FirstOutOfRangeError` and, for a cursor of another list, `CursorInvalidError`.
    """
    first = DEFAULT_FIRST if first is None else first
    if not 1 <= first <= MOST:
        raise FirstOutOfRangeError(f"first is a number from 1 to {MOST}")
    return Part(question, first, None if after is None else _place_in(after, question))


@dataclass(frozen=True, slots=True)
class Edge(Generic[T]):
    """A node and where it stands."""

    node: T
    place: int
    question: str

    @property
    def cursor(self) -> str:
        """Return what continues after this node."""
        sealed = _key().seal(str(self.place).encode(), self.question)
        return base64.urlsafe_b64encode(sealed).decode()


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some nodes of a list; its attributes are the fields of a connection."""

    part: Part
    nodes: list[T]
    places: list[int]
    has_next_page: bool

    @property
    def edges(self) -> list[Edge[T]]:
        """Return the nodes with their cursors."""
        pairs = zip(self.nodes, self.places, strict=True)
        return [Edge(node, place, self.part.question) for node, place in pairs]

    @property
    def page_info(self) -> dict[str, Any]:
        """Return what Relay wants to know."""
        edges = self.edges
        return {
            "has_next_page": self.has_next_page,
            "has_previous_page": self.part.after is not None,
            "start_cursor": edges[0].cursor if edges else None,
            "end_cursor": edges[-1].cursor if edges else None,
        }


def page_of_rows(rows: QuerySet[AnyRow], part: Part) -> Page[AnyRow]:
    """Return a part of a query's rows, in the order of their keys."""
    if part.after is not None:
        rows = rows.filter(pk__gt=part.after)
    return _cut(list(rows.order_by("pk")[: part.first + 1]), part)


def page_of_list(
    items: Sequence[T], part: Part, place: Callable[[T], int] | None = None
) -> Page[T]:
    """Return a part of a list in memory; ``place`` tells its items apart, or else their order."""
    places = [place(each) for each in items] if place else list(range(len(items)))
    start = 0
    if part.after is not None:
        if part.after not in places:
            raise CursorInvalidError("the list has changed: begin again without a cursor")
        start = places.index(part.after) + 1
    end = start + part.first
    return Page(part, list(items[start:end]), places[start:end], len(items) > end)


def pages_of_children(
    rows: QuerySet[AnyRow], parent: str, wanted: Collection[tuple[int, Part]]
) -> dict[tuple[int, Part], Page[AnyRow]]:
    """Return parts of the children of many rows, with one query for all parts that are alike.

    ``parent`` names the foreign key's column; ``wanted`` are keys of parents, and which part.
    """
    alike: dict[tuple[int, int | None], list[tuple[int, Part]]] = defaultdict(list)
    for key, part in wanted:
        alike[part.first, part.after].append((key, part))
    answers = {}
    for (first, after), asked in alike.items():
        found = rows.filter(**{f"{parent}__in": [key for key, _ in asked]})
        if after is not None:
            found = found.filter(pk__gt=after)
        numbered = Window(RowNumber(), partition_by=F(parent), order_by=F("pk").asc())
        children: dict[int, list[AnyRow]] = defaultdict(list)
        for row in found.annotate(place=numbered).filter(place__lte=first + 1).order_by("pk"):
            children[getattr(row, parent)].append(row)
        for key, part in asked:
            answers[key, part] = _cut(children[key], part)
    return answers


def connection(node: Any, name: str = "", **fields: Any) -> Any:
    """Return the connection type of a node type, with ``nodes`` beside Relay's ``edges``."""
    name = name or node.__name__
    meta = type(
        "Meta",
        (),
        {
            "node": node,
            "strict_types": True,
            "name": f"{name}Connection",
            "description": f"One page of a list of {name}.",
        },
    )
    nodes = graphene.List(
        graphene.NonNull(node), required=True, description="The nodes, without their cursors."
    )
    return type(f"{name}Connection", (relay.Connection,), {"Meta": meta, "nodes": nodes, **fields})


def page_field(of: Any, description: str, **arguments: Any) -> graphene.Field:
    """Return a field that holds a page of a connection."""
    return graphene.Field(
        of,
        required=True,
        description=description,
        first=graphene.Int(
            default_value=DEFAULT_FIRST, description=f"How many nodes, at most {MOST}."
        ),
        after=graphene.String(description="The cursor of the last node that you have."),
        **arguments,
    )


def _cut(found: list[AnyRow], part: Part) -> Page[AnyRow]:
    """Make a page of up to one more row than it can hold."""
    nodes = found[: part.first]
    return Page(part, nodes, [int(row.pk) for row in nodes], len(found) > part.first)


def _key() -> SealingKey:
    return SealingKey(secret_for("graphql-cursor-v1"))


def _place_in(cursor: str, question: str) -> int:
    try:
        sealed = base64.b64decode(cursor, altchars=b"-_", validate=True)
        return int(_key().open(sealed, question))
    except (binascii.Error, ValueError, UnreadableError):
        raise CursorInvalidError("the cursor is not one that this list gave out") from None
