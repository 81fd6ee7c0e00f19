"""The service's schemas as texts, for their snapshots."""

import json
from typing import Any

from drf_spectacular.generators import SchemaGenerator

from deploy.schema import schema


def openapi_text() -> str:
    """Return the OpenAPI document of the REST interface."""
    generator: Any = SchemaGenerator  # it comes without types
    document = generator().get_schema(request=None, public=True)
    return json.dumps(document, indent=1, sort_keys=True, default=str) + "\n"


def graphql_text() -> str:
    """Return the GraphQL schema in its own language."""
    return f"{schema}".strip() + "\n"
