"""What events say, as auditors see it: what may hold something personal is told by name only."""
# mypy: allow-subclassing-any

from collections.abc import Awaitable
from uuid import UUID

import graphene

from governance.graphql import in_db
from governance.graphql.scalars import JSON, Info
from lineage.selectors import facets


class Facet(graphene.ObjectType):
    """One facet, as the last event has it."""

    name = graphene.String(required=True, description="OpenLineage's key.")
    event_at = graphene.DateTime(required=True, description="When it was last said.")
    withheld = graphene.Boolean(
        required=True, description="Whether it may hold something personal and is not shown."
    )
    value = graphene.Field(JSON, description="The facet, unless it is withheld.")
    dataset = graphene.String(
        required=True, description="Of a run's use of a data set: the data set's name."
    )
    written = graphene.Boolean(description="Of a run's use of a data set: written, or read.")


class Query(graphene.ObjectType):
    """The questions about facets."""

    dataset_facets = graphene.List(
        graphene.NonNull(Facet),
        required=True,
        description="What events say of a data set, under any of its names.",
        namespace=graphene.String(required=True, description="The data set's namespace."),
        name=graphene.String(required=True, description="The data set's name."),
    )
    job_facets = graphene.List(
        graphene.NonNull(Facet),
        required=True,
        description="What events say of a job.",
        namespace=graphene.String(required=True, description="The job's namespace."),
        name=graphene.String(required=True, description="The job's name."),
    )
    run_facets = graphene.List(
        graphene.NonNull(Facet),
        required=True,
        description="What a run's events say of it, and of its use of data sets.",
        id=graphene.UUID(required=True, description="The run's public id."),
    )

    @staticmethod
    def resolve_dataset_facets(
        _root: None, _info: Info, namespace: str, name: str
    ) -> Awaitable[list[facets.Shown]]:
        """Read them."""
        return in_db(facets.of_dataset)(namespace, name, opened=False)

    @staticmethod
    def resolve_job_facets(
        _root: None, _info: Info, namespace: str, name: str
    ) -> Awaitable[list[facets.Shown]]:
        """Read them."""
        return in_db(facets.of_job)(namespace, name, opened=False)

    @staticmethod
    def resolve_run_facets(
        _root: None,
        _info: Info,
        id: UUID,  # noqa: A002
    ) -> Awaitable[list[facets.Shown]]:
        """Read them."""
        return in_db(facets.of_run)(id, opened=False)
