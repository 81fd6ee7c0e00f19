"""The questions about rights requests and assessments."""
# mypy: allow-subclassing-any

from collections.abc import Awaitable
from uuid import UUID

import graphene
from django.db.models import QuerySet

from consent.graphql import types
from consent.graphql.assessments import AssessmentQuery
from consent.models import RightsRequest
from consent.selectors import requests
from consent.selectors.requests import Standing
from governance.graphql import Info, Page, connection, in_db, page_field, part_of
from governance.graphql.pages import page_of_rows


class Query(AssessmentQuery, graphene.ObjectType):
    """Rights requests, and conclusions about trainings."""

    request = graphene.Field(
        types.RightsRequest,
        description="One rights request, and what became of it.",
        id=graphene.UUID(required=True, description="The request's public id."),
    )
    requests = page_field(
        connection(types.RequestEntry), "Every rights request, in the order of arrival."
    )

    @staticmethod
    def resolve_request(_root: None, _info: Info, id: UUID) -> Awaitable[Standing]:  # noqa: A002
        """Read it with its parts."""
        return in_db(requests.standing)(id)

    @staticmethod
    def resolve_requests(
        _root: None, _info: Info, first: int | None = None, after: str | None = None
    ) -> Awaitable[Page[RightsRequest]]:
        """Read a page."""
        part = part_of("requests", first=first, after=after)
        return in_db(lambda: page_of_rows(_requests(), part))()


def _requests() -> QuerySet[RightsRequest]:
    return RightsRequest.objects.select_related("subject")
