"""The GraphQL schema: what auditors may ask, put together from the apps. It has no mutations."""
# mypy: allow-subclassing-any

import graphene

from consent import graphql as consent
from governance import graphql as governance
from lineage import graphql as lineage


class Query(consent.Query, lineage.Query, governance.Query):
    """What an auditor may ask. Every question is recorded in the ledger before it is answered."""


schema = graphene.Schema(query=Query)
