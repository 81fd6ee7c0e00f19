"""What lies around a data set, a job, a run or a column, as auditors see it."""
# mypy: allow-subclassing-any

from collections.abc import Awaitable
from datetime import datetime
from typing import Any
from uuid import UUID

import graphene

from governance.errors import ColophonError
from governance.graphql import Info, in_db, instant
from governance.graphql.scalars import enum_of
from lineage import graphs
from lineage.graphql.types import RunState
from lineage.openlineage import RunState as State
from lineage.selectors import columns, neighbours, transparency
from lineage.selectors.neighbours import Direction as Way
from lineage.selectors.neighbours import Question

DEEPEST, MOST_NODES = 50, 500

WAYS = {
    Way.UP: "To where it comes from.",
    Way.DOWN: "To where it goes.",
    Way.BOTH: "To where it comes from and to where it goes.",
}
Direction = enum_of(Way, "Direction", "Which way to go.", WAYS.__getitem__)
NodeKind = enum_of(graphs.NodeKind, "NodeKind", "What a node is.", lambda kind: f"A {kind.value}.")


class WalkOutOfRangeError(ColophonError):
    """A walk has at least one step and one node, and is bounded."""

    code = "walk_out_of_range"
    status = 400


class LineageNode(graphene.ObjectType):
    """One thing in a piece of the graph."""

    key = graphene.String(required=True, description="Tells it apart in this answer.")
    kind = graphene.Field(NodeKind, required=True, description="What it is.")
    id = graphene.UUID(source="uuid", description="Its public id.")
    namespace = graphene.String(required=True, description="OpenLineage's namespace.")
    name = graphene.String(required=True, description="OpenLineage's name in the namespace.")
    note = graphene.String(required=True, description="A word more, such as a state; or empty.")
    depth = graphene.Int(required=True, description="Edges from what was asked about.")


class LineageEdge(graphene.ObjectType):
    """Data flowed from one node to another."""

    source = graphene.String(required=True, description="The key of the node it came from.")
    target = graphene.String(required=True, description="The key of the node it went to.")
    label = graphene.String(required=True, description="How, where that is known; or empty.")
    masked = graphene.Boolean(required=True, description="Whether it was masked on the way.")
    first_at = graphene.DateTime(description="When it flowed first.")
    last_at = graphene.DateTime(description="When it flowed last.")


class LineageGraph(graphene.ObjectType):
    """A piece of the graph."""

    nodes = graphene.List(graphene.NonNull(LineageNode), required=True, description="The things.")
    edges = graphene.List(
        graphene.NonNull(LineageEdge), required=True, description="What flowed between them."
    )
    truncated = graphene.Boolean(required=True, description="Whether a bound cut the walk.")


def _walk(description: str, **asked: Any) -> graphene.Field:
    return graphene.Field(
        LineageGraph,
        required=True,
        description=description,
        direction=graphene.Argument(
            Direction, default_value=Way.BOTH.value, description="Which way to go."
        ),
        depth=graphene.Int(default_value=5, description=f"How many steps, at most {DEEPEST}."),
        most=graphene.Int(
            default_value=MOST_NODES, description=f"How many data sets, at most {MOST_NODES}."
        ),
        states=graphene.List(
            graphene.NonNull(RunState), description="Follow only runs in these states."
        ),
        as_of=graphene.DateTime(description="As the graph stood at this instant."),
        **asked,
    )


def _namespace() -> graphene.String:
    return graphene.String(required=True, description="OpenLineage's namespace.")


def _name() -> graphene.String:
    return graphene.String(required=True, description="OpenLineage's name in the namespace.")


class Query(graphene.ObjectType):
    """The questions about what lies around something."""

    around_dataset = _walk(
        "What lies upstream and downstream of a data set.", namespace=_namespace(), name=_name()
    )
    around_job = _walk(
        "What lies upstream and downstream of a job.", namespace=_namespace(), name=_name()
    )
    around_run = _walk(
        "What lies upstream and downstream of one run.",
        id=graphene.UUID(required=True, description="The run's public id."),
    )
    around_column = graphene.Field(
        LineageGraph,
        required=True,
        description="Where a column comes from or goes to, with the transformation at each hop.",
        namespace=_namespace(),
        name=_name(),
        field=graphene.String(required=True, description="The column's name."),
        up=graphene.Boolean(required=True, description="To where it comes from, or goes."),
        depth=graphene.Int(default_value=10, description=f"How many hops, at most {DEEPEST}."),
    )

    @staticmethod
    def resolve_around_dataset(
        _root: None, _info: Info, namespace: str, name: str, **how: Any
    ) -> Awaitable[graphs.Graph]:
        """Walk from it."""
        return in_db(_around_dataset)(namespace, name, _question(**how))

    @staticmethod
    def resolve_around_job(
        _root: None, _info: Info, namespace: str, name: str, **how: Any
    ) -> Awaitable[graphs.Graph]:
        """Walk from it."""
        return in_db(_around_job)(namespace, name, _question(**how))

    @staticmethod
    def resolve_around_run(
        _root: None,
        _info: Info,
        id: UUID,  # noqa: A002
        **how: Any,
    ) -> Awaitable[graphs.Graph]:
        """Walk from it."""
        return in_db(_around_run)(id, _question(**how))

    @staticmethod
    def resolve_around_column(
        _root: None, _info: Info, namespace: str, name: str, field: str, up: bool, depth: int
    ) -> Awaitable[graphs.Graph]:
        """Walk from it."""
        return in_db(_around_column)(
            namespace, name, field, up=up, depth=_within(depth, DEEPEST, "depth")
        )


def _question(
    direction: Any,
    depth: int,
    most: int,
    states: list[Any] | None = None,
    as_of: datetime | None = None,
) -> Question:
    return Question(
        Way(getattr(direction, "value", direction)),
        _within(depth, DEEPEST, "depth"),
        _within(most, MOST_NODES, "most"),
        frozenset(State(getattr(each, "value", each)) for each in states or ()),
        instant(as_of),
    )


def _within(given: int, most: int, name: str) -> int:
    if not 1 <= given <= most:
        raise WalkOutOfRangeError(f"{name} is a number from 1 to {most}")
    return given


def _around_dataset(namespace: str, name: str, question: Question) -> graphs.Graph:
    return neighbours.around_dataset(transparency.dataset_named(namespace, name), question)


def _around_job(namespace: str, name: str, question: Question) -> graphs.Graph:
    return neighbours.around_job(neighbours.job_named(namespace, name), question)


def _around_run(uuid: UUID, question: Question) -> graphs.Graph:
    return neighbours.around_run(neighbours.run_of(uuid), question)


def _around_column(namespace: str, name: str, field: str, *, up: bool, depth: int) -> graphs.Graph:
    dataset = transparency.dataset_named(namespace, name)
    return columns.around(dataset, field, up=up, depth=depth, most=MOST_NODES)
