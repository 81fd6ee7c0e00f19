"""GraphQL for auditors: what flowed where, and which data made which model."""

from lineage.graphql.loaders import Loaders, loaders_of
from lineage.graphql.query import Query
from lineage.graphql.types import Certainty, ModelVersion

__all__ = ["Certainty", "Loaders", "ModelVersion", "Query", "loaders_of"]
