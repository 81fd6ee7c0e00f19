"""GraphQL for auditors: what exists, under which rules, and the ledger's proofs."""

from governance.graphql.loading import Loaders, batched, in_db
from governance.graphql.pages import Page, Part, connection, page_field, part_of
from governance.graphql.query import Query
from governance.graphql.scalars import JSON, Info, enum_of, instant
from governance.graphql.types import Dataset, DatasetConnection, Model

__all__ = [
    "JSON",
    "Dataset",
    "DatasetConnection",
    "Info",
    "Loaders",
    "Model",
    "Page",
    "Part",
    "Query",
    "batched",
    "connection",
    "enum_of",
    "in_db",
    "instant",
    "page_field",
    "part_of",
]
