"""Which models used what a job wrote, a column, an owner's data, what has a tag, or one version."""
# mypy: allow-subclassing-any

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import graphene

from governance.graphql import Info, Page, Part, in_db, page_field, part_of
from governance.graphql.pages import page_of_list
from lineage.graphql.types import ModelVersionConnection
from lineage.models import ModelVersion
from lineage.selectors import models_by, neighbours, transparency, versions

Models = Awaitable[Page[ModelVersion]]


def _models(description: str, **asked: str) -> graphene.Field:
    arguments = {
        name: graphene.String(required=True, description=words) for name, words in asked.items()
    }
    return page_field(ModelVersionConnection, description, **arguments)


class Query(graphene.ObjectType):
    """The questions for models by something else than a data set; the last known come first."""

    models_by_job = _models(
        "Which model versions a job made, or that descend from what it wrote.",
        namespace="The job's namespace.", name="The job's name.",
    )  # fmt: skip
    models_by_field = _models(
        "Which model versions a column may have flowed into.",
        namespace="The data set's namespace.", name="The data set's name.",
        field="The column's name.",
    )  # fmt: skip
    models_by_owner = _models(
        "Which model versions descend from somebody's data sets.",
        owner="The owner, as ownership facets name it.",
    )
    models_by_tag = page_field(
        ModelVersionConnection,
        "Which model versions descend from data with a tag.",
        key=graphene.String(required=True, description="The tag's key."),
        value=graphene.String(default_value="", description="Its value; any, if empty."),
    )
    models_by_version = page_field(
        ModelVersionConnection,
        "Which model versions descend from exactly one version of a data set.",
        version=graphene.UUID(required=True, description="The version's public id."),
    )

    @staticmethod
    def resolve_models_by_job(
        _root: None, _info: Info, namespace: str, name: str, **page: Any
    ) -> Models:
        """Answer from the frozen provenance."""
        return _answer(
            lambda: models_by.job(neighbours.job_named(namespace, name)),
            f"by-job/{namespace}\n{name}", **page,
        )  # fmt: skip

    @staticmethod
    def resolve_models_by_field(
        _root: None, _info: Info, namespace: str, name: str, field: str, **page: Any
    ) -> Models:
        """Answer from the columns' lineage, within the frozen provenance."""
        return _answer(
            lambda: models_by.field(transparency.dataset_named(namespace, name), field),
            f"by-field/{namespace}\n{name}\n{field}", **page,
        )  # fmt: skip

    @staticmethod
    def resolve_models_by_owner(_root: None, _info: Info, owner: str, **page: Any) -> Models:
        """Answer from ownership facets and the frozen provenance."""
        return _answer(lambda: models_by.owner(owner), f"by-owner/{owner}", **page)

    @staticmethod
    def resolve_models_by_tag(
        _root: None, _info: Info, key: str, value: str, **page: Any
    ) -> Models:
        """Answer from tags facets and the frozen provenance."""
        return _answer(lambda: models_by.tag(key, value), f"by-tag/{key}\n{value}", **page)

    @staticmethod
    def resolve_models_by_version(_root: None, _info: Info, version: UUID, **page: Any) -> Models:
        """Answer from the frozen provenance."""
        return _answer(
            lambda: models_by.version(versions.by_id(version)), f"by-version/{version}", **page
        )


def _answer(
    keys: Callable[[], list[int]],
    question: str,
    first: int | None = None,
    after: str | None = None,
) -> Models:
    return in_db(_page)(keys, part_of(f"models-{question}", first=first, after=after))


def _page(keys: Callable[[], list[int]], part: Part) -> Page[ModelVersion]:
    cut = page_of_list(keys(), part, lambda key: key)
    return Page(part, transparency.described(cut.nodes), cut.places, cut.has_next_page)
