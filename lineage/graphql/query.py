"""The questions about what flowed where."""
# mypy: allow-subclassing-any

from collections.abc import Awaitable
from datetime import datetime
from typing import Any
from uuid import UUID

import graphene

from governance.errors import NotFoundError
from governance.graphql import Info, Page, Part, connection, in_db, instant, page_field, part_of
from governance.graphql.pages import page_of_list
from lineage.graphql import around, comparing, facets, models_by, types
from lineage.models import Job, ModelVersion, Run
from lineage.selectors import transparency


def _pending(_page: Page[Any], _info: Info) -> Awaitable[transparency.Pending]:
    return in_db(transparency.pending)()


ModelUseConnection = connection(
    types.ModelUse,
    pending=graphene.Field(
        types.Pending,
        required=True,
        description="What may still change the answer.",
        resolver=_pending,
    ),
)


class Query(around.Query, comparing.Query, facets.Query, models_by.Query, graphene.ObjectType):
    """What flowed where."""

    models_using = page_field(
        ModelUseConnection,
        "Which model versions used a data set, whatever became of their runs.",
        namespace=graphene.String(required=True, description="The data set's namespace."),
        name=graphene.String(required=True, description="The data set's name."),
        as_of=graphene.DateTime(description="Leave out what had not begun at this instant."),
    )
    model_version = graphene.Field(
        types.ModelVersion,
        description="One model version.",
        id=graphene.UUID(required=True, description="The version's public id."),
    )
    run = graphene.Field(
        types.Run,
        description="One run.",
        id=graphene.UUID(required=True, description="The run's public id."),
    )
    job = graphene.Field(
        types.Job,
        description="One job.",
        id=graphene.UUID(required=True, description="The job's public id."),
    )

    @staticmethod
    def resolve_models_using(
        _root: None,
        _info: Info,
        namespace: str,
        name: str,
        first: int | None = None,
        after: str | None = None,
        as_of: datetime | None = None,
    ) -> Awaitable[Page[types.Used]]:
        """Answer from the frozen provenance."""
        at = instant(as_of)
        question = f"models-using/{at.isoformat() if at else ''}/{namespace}\n{name}"
        part = part_of(question, first=first, after=after)
        return in_db(_uses)(namespace, name, at, part)

    @staticmethod
    def resolve_model_version(_root: None, _info: Info, id: UUID) -> Awaitable[ModelVersion]:  # noqa: A002
        """Read it."""
        return in_db(transparency.model_version)(id)

    @staticmethod
    def resolve_run(_root: None, _info: Info, id: UUID) -> Awaitable[Run]:  # noqa: A002
        """Read it."""
        return in_db(_run)(id)

    @staticmethod
    def resolve_job(_root: None, _info: Info, id: UUID) -> Awaitable[Job]:  # noqa: A002
        """Read it."""
        return in_db(_job)(id)


def _uses(namespace: str, name: str, as_of: datetime | None, part: Part) -> Page[types.Used]:
    dataset = transparency.dataset_named(namespace, name)
    found = transparency.using(dataset, as_of=as_of)
    cut = page_of_list(found.keys, part, lambda key: key)
    uses = [
        types.Used(each.model_version, each.certainty, dataset.pk)
        for each in transparency.uses(found, cut.nodes)
    ]
    return Page(part, uses, cut.places, cut.has_next_page)


def _run(uuid: UUID) -> Run:
    found = Run.objects.filter(uuid=uuid).first()
    if found is None:
        raise NotFoundError("no such run is known")
    return found


def _job(uuid: UUID) -> Job:
    found = Job.objects.filter(uuid=uuid).first()
    if found is None:
        raise NotFoundError("no such job is known")
    return found
