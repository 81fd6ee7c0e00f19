"""The questions about what exists, the rules and the ledger."""
# mypy: allow-subclassing-any

from collections.abc import Awaitable
from uuid import UUID

import graphene

from governance import proofs
from governance.errors import ColophonError, NotFoundError
from governance.graphql import types
from governance.graphql.loading import in_db
from governance.graphql.pages import Page, connection, page_field, page_of_rows, part_of
from governance.graphql.scalars import Info
from governance.models import Dataset, Model, Policy, Purpose
from governance.selectors import ledger, registry, rules


class WhichDatasetError(ColophonError):
    """A data set is asked for by its id, or by its namespace and name."""

    code = "which_dataset"
    status = 400


class Query(graphene.ObjectType):
    """What exists, under which rules, and the ledger."""

    dataset = graphene.Field(
        types.Dataset,
        description="One data set, by its id or by namespace and name.",
        id=graphene.UUID(description="The data set's public id."),
        namespace=graphene.String(description="OpenLineage's namespace."),
        name=graphene.String(description="OpenLineage's name in the namespace."),
    )
    datasets = page_field(
        types.DatasetConnection,
        "Every data set, registered or known from events.",
        namespace=graphene.String(description="Only those of this namespace."),
    )
    models = page_field(connection(types.Model), "Every model.")
    purposes = page_field(connection(types.Purpose), "Every purpose that data may be used for.")
    policies = page_field(connection(types.Policy), "Every policy that has been published.")
    ledger_head = graphene.Field(
        types.LedgerHead, required=True, description="The ledger as it is now."
    )
    ledger_proof = graphene.Field(
        types.LedgerProof,
        description="The proof that a record is in the ledger.",
        record=graphene.UUID(required=True, description="The record's name."),
    )

    @staticmethod
    def resolve_dataset(
        _root: None,
        _info: Info,
        id: UUID | None = None,  # noqa: A002 the name of the argument is the schema's
        namespace: str | None = None,
        name: str | None = None,
    ) -> Awaitable[Dataset]:
        """Look it up by what was given."""
        if id is not None and namespace is None and name is None:
            return in_db(registry.dataset)(id)
        if id is None and namespace is not None and name is not None:
            return in_db(_dataset_named)(namespace, name)
        raise WhichDatasetError("give either an id, or a namespace and a name")

    @staticmethod
    def resolve_datasets(
        _root: None,
        _info: Info,
        first: int | None = None,
        after: str | None = None,
        namespace: str | None = None,
    ) -> Awaitable[Page[Dataset]]:
        """Read a page."""
        part = part_of(f"datasets/{namespace or ''}", first=first, after=after)
        return in_db(lambda: page_of_rows(registry.datasets(namespace=namespace or ""), part))()

    @staticmethod
    def resolve_models(
        _root: None, _info: Info, first: int | None = None, after: str | None = None
    ) -> Awaitable[Page[Model]]:
        """Read a page."""
        part = part_of("models", first=first, after=after)
        return in_db(lambda: page_of_rows(registry.models(), part))()

    @staticmethod
    def resolve_purposes(
        _root: None, _info: Info, first: int | None = None, after: str | None = None
    ) -> Awaitable[Page[Purpose]]:
        """Read a page."""
        part = part_of("purposes", first=first, after=after)
        return in_db(lambda: page_of_rows(rules.purposes(), part))()

    @staticmethod
    def resolve_policies(
        _root: None, _info: Info, first: int | None = None, after: str | None = None
    ) -> Awaitable[Page[Policy]]:
        """Read a page."""
        part = part_of("policies", first=first, after=after)
        return in_db(lambda: page_of_rows(rules.published_policies(), part))()

    @staticmethod
    def resolve_ledger_head(_root: None, _info: Info) -> Awaitable[ledger.Head]:
        """Read the head."""
        return in_db(ledger.head)()

    @staticmethod
    def resolve_ledger_proof(
        _root: None, _info: Info, record: UUID
    ) -> Awaitable[proofs.InclusionProof]:
        """Compute the proof."""
        return in_db(ledger.proof_of)(record)


def _dataset_named(namespace: str, name: str) -> Dataset:
    found = registry.datasets(namespace=namespace, name=name).first()
    if found is None or not (namespace and name):
        raise NotFoundError("there is no such data set")
    return found
