"""What changed between model versions, what hangs on a data set, where tags arrive, and search."""
# mypy: allow-subclassing-any

from collections.abc import Awaitable
from typing import Any
from uuid import UUID

import graphene

from governance.graphql import (
    JSON,
    DatasetConnection,
    Info,
    Page,
    Part,
    connection,
    enum_of,
    in_db,
    page_field,
    part_of,
)
from governance.graphql.pages import page_of_list
from governance.models import Dataset
from lineage.graphql.types import ModelVersionConnection
from lineage.models import ModelVersion
from lineage.selectors import columns, comparing, searching, transparency

MOST = 500

Kind = enum_of(searching.Kind, "SearchKind", "What can be found.", lambda kind: f"A {kind.value}.")


class Change(graphene.ObjectType):
    """A parameter that is not what it was."""

    key = graphene.String(required=True, description="The parameter.")
    before = graphene.Field(JSON, description="What it was; nothing if it was not given.")
    after = graphene.Field(JSON, description="What it is; nothing if it is not given.")


class Changes(graphene.ObjectType):
    """What changed from one model version to another."""

    datasets_added = page_field(DatasetConnection, "Data sets that only the later one has.")
    datasets_removed = page_field(DatasetConnection, "Data sets that only the earlier one has.")
    versions_added = graphene.Int(
        required=True, description="Versions of data sets that only the later one has."
    )
    versions_removed = graphene.Int(
        required=True, description="Versions of data sets that only the earlier one has."
    )
    parameters = graphene.List(
        graphene.NonNull(Change), required=True, description="What else was trained with."
    )
    code_before = graphene.String(required=True, description="The earlier one's code, or empty.")
    code_after = graphene.String(required=True, description="The later one's code, or empty.")

    @staticmethod
    def resolve_datasets_added(changes: comparing.Changes, _info: Info, **page: Any) -> Page[Any]:
        """Cut the list."""
        return _datasets(changes.datasets_added, "added", **page)

    @staticmethod
    def resolve_datasets_removed(changes: comparing.Changes, _info: Info, **page: Any) -> Page[Any]:
        """Cut the list."""
        return _datasets(changes.datasets_removed, "removed", **page)

    @staticmethod
    def resolve_parameters(changes: comparing.Changes, _info: Info) -> list[dict[str, Any]]:
        """Name the pairs."""
        return [
            {"key": key, "before": before, "after": after}
            for key, (before, after) in changes.parameters.items()
        ]

    @staticmethod
    def resolve_code_before(changes: comparing.Changes, _info: Info) -> str:
        """Take it apart."""
        return changes.code[0]

    @staticmethod
    def resolve_code_after(changes: comparing.Changes, _info: Info) -> str:
        """Take it apart."""
        return changes.code[1]


class Impact(graphene.ObjectType):
    """What would be concerned if a data set went."""

    datasets = page_field(DatasetConnection, "Data sets downstream of it.")
    models = page_field(ModelVersionConnection, "Model versions that descend from it.")
    owners = graphene.List(
        graphene.NonNull(graphene.String), required=True, description="Whom to tell."
    )
    truncated = graphene.Boolean(required=True, description="Whether a bound cut the answer.")

    @staticmethod
    def resolve_datasets(impact: comparing.Impact, _info: Info, **page: Any) -> Page[Any]:
        """Cut the list."""
        return _datasets(impact.datasets, "impact", **page)

    @staticmethod
    def resolve_models(impact: comparing.Impact, _info: Info, **page: Any) -> Page[ModelVersion]:
        """Cut the list."""
        made = [use.model_version for use in impact.models]
        return page_of_list(made, _part("impact/models", **page), lambda each: each.pk)


class Column(graphene.ObjectType):
    """A column by its names."""

    namespace = graphene.String(required=True, description="The data set's namespace.")
    name = graphene.String(required=True, description="The data set's name.")
    field = graphene.String(
        required=True, description="The column's name; empty for the data set as a whole."
    )


class TagArrival(graphene.ObjectType):
    """A column that a tag reached along unmasked columns."""

    value = graphene.String(required=True, description="The tag's value.")
    way = graphene.List(
        graphene.NonNull(Column), required=True, description="How it got there, its origin first."
    )


class SearchHit(graphene.ObjectType):
    """One thing found."""

    kind = graphene.Field(Kind, required=True, description="What it is.")
    id = graphene.UUID(required=True, description="Its public id; a column has its data set's.")
    namespace = graphene.String(required=True, description="OpenLineage's namespace.")
    name = graphene.String(required=True, description="OpenLineage's name in the namespace.")
    field = graphene.String(required=True, description="The column, where one was found.")
    description = graphene.String(required=True, description="What is said of it, or empty.")


class Query(graphene.ObjectType):
    """The questions that compare and find."""

    model_version_changes = graphene.Field(
        Changes,
        required=True,
        description="What changed from one model version to another.",
        before=graphene.UUID(required=True, description="The earlier version's public id."),
        after=graphene.UUID(required=True, description="The later version's public id."),
    )
    impact = graphene.Field(
        Impact,
        required=True,
        description="What would be concerned if a data set went.",
        namespace=graphene.String(required=True, description="The data set's namespace."),
        name=graphene.String(required=True, description="The data set's name."),
    )
    tag_arrivals = page_field(
        connection(TagArrival),
        f"Where columns with a tag arrive unmasked, such as personal ones; the first {MOST}.",
        key=graphene.String(required=True, description="The tag's key."),
    )
    search = page_field(
        connection(SearchHit),
        "Data sets, models, jobs and columns by words and parts of names, the best first.",
        text=graphene.String(required=True, description="What to look for."),
        kind=graphene.Argument(Kind, description="Only this."),
    )

    @staticmethod
    def resolve_model_version_changes(
        _root: None, _info: Info, before: UUID, after: UUID
    ) -> Awaitable[comparing.Changes]:
        """Compare data, parameters and code."""
        return in_db(_changes)(before, after)

    @staticmethod
    def resolve_impact(
        _root: None, _info: Info, namespace: str, name: str
    ) -> Awaitable[comparing.Impact]:
        """Walk down."""
        return in_db(_impact)(namespace, name)

    @staticmethod
    def resolve_tag_arrivals(
        _root: None, _info: Info, key: str, **page: Any
    ) -> Awaitable[Page[columns.NamedArrival]]:
        """Follow unmasked columns."""
        return in_db(_arrivals)(key, _part(f"tag-arrivals/{key}", **page))

    @staticmethod
    def resolve_search(
        _root: None, _info: Info, text: str, kind: Any = None, **page: Any
    ) -> Awaitable[Page[searching.Hit]]:
        """Look for words and for parts of names."""
        only = "" if kind is None else str(getattr(kind, "value", kind))
        return in_db(_search)(text, only, _part(f"search/{only}/{text}", **page))


def _part(question: str, first: int | None = None, after: str | None = None) -> Part:
    return part_of(question, first=first, after=after)


def _datasets(found: list[Dataset], question: str, **page: Any) -> Page[Dataset]:
    return page_of_list(found, _part(f"datasets/{question}", **page), lambda each: each.pk)


def _changes(before: UUID, after: UUID) -> comparing.Changes:
    return comparing.changes(transparency.model_version(before), transparency.model_version(after))


def _impact(namespace: str, name: str) -> comparing.Impact:
    return comparing.impact(transparency.dataset_named(namespace, name), most=MOST)


def _arrivals(key: str, part: Part) -> Page[columns.NamedArrival]:
    cut = page_of_list(columns.arrivals(key, most=MOST), part)
    return Page(part, columns.named(cut.nodes), cut.places, cut.has_next_page)


def _search(text: str, kind: str, part: Part) -> Page[searching.Hit]:
    start = part.after or 0
    found = searching.search(text, kind=kind, offset=start, limit=part.first)
    shown = found[: part.first]
    places = list(range(start + 1, start + 1 + len(shown)))
    return Page(part, shown, places, len(found) > part.first)
