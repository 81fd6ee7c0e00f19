"""GraphQL for auditors: rights requests, and what became of them."""

from consent.graphql.query import Query
from consent.graphql.types import pseudonym

__all__ = ["Query", "pseudonym"]
