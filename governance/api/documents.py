"""What views share: lists, query parameters, and how an operation is described."""

from collections.abc import Callable
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from governance import pages
from governance.api.problems import MEDIA_TYPE, ProblemOut

Documented = TypeVar("Documented", bound=Callable[..., Any])
Shape = type[serializers.Serializer[Any]]


class BearerKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How the API's description names the key."""

    target_class = "governance.api.authentication.BearerKey"
    name = "bearerKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """Return the OpenAPI security scheme."""
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "A key from `manage.py issue_key`, as `Authorization: Bearer col_…`.",
        }


class ListIn(serializers.Serializer[Any]):
    """The query of every list."""

    limit = serializers.IntegerField(
        min_value=1, max_value=pages.MOST, default=pages.DEFAULT_LIMIT, help_text="rows on a page"
    )
    cursor = serializers.CharField(
        required=False, help_text="`next` of the page before; the first page has none"
    )


def query_of(request: Request, shape: type[serializers.Serializer[Any]]) -> dict[str, Any]:
    """Return the checked query parameters of a request."""
    asked = shape(data=request.query_params.dict())
    asked.is_valid(raise_exception=True)
    found: dict[str, Any] = asked.validated_data
    return found


def listed(
    rows: QuerySet[Model], asked: dict[str, Any], out: type[serializers.Serializer[Any]]
) -> Response:
    """Answer with the page that was asked for."""
    found = pages.page(rows, cursor=asked.get("cursor"), limit=asked["limit"])
    return Response({"results": out(found.results, many=True).data, "next": found.next})


def list_of(out: type[serializers.Serializer[Any]]) -> Any:
    """Describe a page of ``out``."""
    return inline_serializer(
        name=out.__name__.removesuffix("Out") + "Page",
        fields={
            "results": out(many=True),
            "next": serializers.CharField(allow_null=True, help_text="cursor of the next page"),
        },
    )


def operation(
    name: str,
    out: Any,
    *,
    body: Shape | None = None,
    query: Shape | None = None,
    public: bool = False,
    upsert: bool = False,
) -> Callable[[Documented], Documented]:
    """Describe a view's method; ``upsert`` answers 201 where something new came into being."""
    answers: dict[Any, Any] = {200: out, ("4XX", MEDIA_TYPE): ProblemOut}
    if upsert:
        answers[201] = out
    return extend_schema(
        operation_id=name,
        request=body,
        responses=answers,
        parameters=[query] if query else None,
        auth=[] if public else None,
    )
