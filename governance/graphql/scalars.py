"""Values that GraphQL has no word for."""
# mypy: allow-subclassing-any

import json
from collections.abc import Callable
from datetime import UTC, datetime
from enum import Enum
from typing import Any, NoReturn, TypeAlias, TypeVar

import graphene
from django.core.serializers.json import DjangoJSONEncoder
from graphql import GraphQLError, GraphQLResolveInfo

Info: TypeAlias = GraphQLResolveInfo

AnyEnum = TypeVar("AnyEnum", bound=Enum)


class JSON(graphene.Scalar):
    """A JSON document, as itself and not as a text that holds one."""

    @staticmethod
    def serialize(value: Any) -> Any:
        """Return the value with instants and ids written as text."""
        return json.loads(json.dumps(value, cls=DjangoJSONEncoder))

    @staticmethod
    def parse_value(_value: Any) -> NoReturn:
        """Refuse: documents are given out and never taken in."""
        raise GraphQLError("a JSON document is not an argument here")

    @staticmethod
    def parse_literal(_node: Any, _variables: Any = None) -> NoReturn:
        """Refuse, as `parse_value` does."""
        JSON.parse_value(None)


def enum_of(
    values: type[AnyEnum], name: str, about: str, words: Callable[[AnyEnum], str]
) -> type[graphene.Enum]:
    """Return the GraphQL enum of a Python one; ``words`` describes each value."""

    def description(value: AnyEnum | None) -> str:
        return about if value is None else words(value)

    made: type[graphene.Enum] = graphene.Enum.from_enum(values, name=name, description=description)
    return made


def instant(given: datetime | None) -> datetime | None:
    """Return an instant that was given as an argument; one without a zone is UTC."""
    return given.replace(tzinfo=UTC) if given and given.tzinfo is None else given
