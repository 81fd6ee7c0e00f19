"""What exists, as auditors see it: everything but the addresses of storages."""
# mypy: allow-subclassing-any

import base64
from collections.abc import Awaitable

import graphene

from governance import models, proofs
from governance.graphql.loading import Loaders
from governance.graphql.pages import Page, connection, page_field, page_of_list, part_of
from governance.graphql.scalars import JSON, Info, enum_of
from governance.selectors import ledger

StorageKind = enum_of(
    models.Storage.Kind,
    "StorageKind",
    "What is spoken at a storage.",
    lambda kind: str(kind.label),
)
LegalBasis = enum_of(
    models.LegalBasis,
    "LegalBasis",
    "The grounds of Art. 6(1) GDPR.",
    lambda basis: str(basis.label),
)


class Storage(graphene.ObjectType):
    """A place where data sets lie. Its address is a secret and is not shown."""

    id = graphene.UUID(required=True, source="uuid", description="The storage's public id.")
    name = graphene.String(required=True, description="The operator's name for it.")
    kind = graphene.Field(StorageKind, required=True, description="What is spoken there.")
    enabled = graphene.Boolean(required=True, description="Whether it may be used at present.")


class Dataset(graphene.ObjectType):
    """A named collection, as in OpenLineage."""

    id = graphene.UUID(required=True, source="uuid", description="The data set's public id.")
    namespace = graphene.String(required=True, description="OpenLineage's namespace.")
    name = graphene.String(required=True, description="OpenLineage's name in the namespace.")
    description = graphene.String(required=True, description="What its owner says it is.")
    categories = graphene.List(
        graphene.NonNull(graphene.String), required=True, description="The categories of its data."
    )
    storage = graphene.Field(Storage, description="Where it lies, if that is registered.")
    location = graphene.String(required=True, description="Table or path in the storage.")
    subject_column = graphene.String(
        required=True, description="The column that identifies people; empty for none."
    )
    subject_scheme = graphene.String(
        required=True, description="What kind of identifier that column holds."
    )
    registered_at = graphene.DateTime(
        description="When it was registered; nothing for one that is known from events only."
    )
    created_at = graphene.DateTime(required=True, description="When it first became known.")
    model = graphene.Field(lambda: Model, description="The model it is, if it is one.")

    @staticmethod
    def resolve_storage(dataset: models.Dataset, info: Info) -> Awaitable[models.Storage] | None:
        """Look the storage up with those of the other data sets."""
        key = dataset.storage_id
        return None if key is None else loaders_of(info).storages.load(key)

    @staticmethod
    def resolve_model(dataset: models.Dataset, info: Info) -> Awaitable[models.Model | None]:
        """Look the model up with those of the other data sets."""
        return loaders_of(info).model_of_dataset.load(dataset.pk)


class Model(graphene.ObjectType):
    """A thing that training produces; each of its versions is lineage's to tell."""

    id = graphene.UUID(required=True, source="uuid", description="The model's public id.")
    namespace = graphene.String(required=True, description="OpenLineage's namespace.")
    name = graphene.String(required=True, description="OpenLineage's name in the namespace.")
    description = graphene.String(required=True, description="What its owner says it is.")
    dataset = graphene.Field(
        Dataset, required=True, description="The data set that its versions are written to."
    )
    created_at = graphene.DateTime(required=True, description="When it first became known.")

    @staticmethod
    async def resolve_namespace(model: models.Model, info: Info) -> str:
        """Read it off the data set."""
        return (await loaders_of(info).datasets.load(model.dataset_id)).namespace

    @staticmethod
    async def resolve_name(model: models.Model, info: Info) -> str:
        """Read it off the data set."""
        return (await loaders_of(info).datasets.load(model.dataset_id)).name

    @staticmethod
    def resolve_dataset(model: models.Model, info: Info) -> Awaitable[models.Dataset]:
        """Look the data set up with those of the other models."""
        return loaders_of(info).datasets.load(model.dataset_id)


class Purpose(graphene.ObjectType):
    """What data may be used for; a tree."""

    id = graphene.UUID(required=True, source="uuid", description="The purpose's public id.")
    key = graphene.String(required=True, description="The name that programs use.")
    title = graphene.String(required=True, description="The name that people read.")
    dpv_iri = graphene.String(required=True, description="Its address in the W3C DPV.")
    legal_basis = graphene.Field(LegalBasis, required=True, description="On what it rests.")
    parent = graphene.Field(lambda: Purpose, description="The wider purpose.")

    @staticmethod
    def resolve_parent(purpose: models.Purpose, info: Info) -> Awaitable[models.Purpose] | None:
        """Look the parent up with those of the other purposes."""
        key = purpose.parent_id
        return None if key is None else loaders_of(info).purposes.load(key)


class PolicyVersion(graphene.ObjectType):
    """One published text of a policy; it never changes."""

    id = graphene.UUID(required=True, source="uuid", description="The version's public id.")
    number = graphene.Int(required=True, description="From 1, in the order of writing.")
    title = graphene.String(required=True, description="The heading.")
    text = graphene.String(required=True, description="What people read.")
    rules = graphene.Field(JSON, required=True, description="What programs read.")
    published_at = graphene.DateTime(required=True, description="From when on it was public.")


PolicyVersionConnection = connection(PolicyVersion)
DatasetConnection = connection(Dataset)


class Policy(graphene.ObjectType):
    """A rule that people can read."""

    id = graphene.UUID(required=True, source="uuid", description="The policy's public id.")
    key = graphene.String(required=True, description="The name that programs use.")
    versions = page_field(PolicyVersionConnection, "The published texts, the newest first.")

    @staticmethod
    def resolve_versions(
        policy: models.Policy, _info: Info, first: int | None = None, after: str | None = None
    ) -> Page[models.PolicyVersion]:
        """Cut what was read together with the policy."""
        part = part_of(f"policy/{policy.uuid}/versions", first=first, after=after)
        return page_of_list(list(policy.versions.all()), part, lambda version: version.number)


class LedgerHead(graphene.ObjectType):
    """How many entries the ledger has, and the root over them."""

    size = graphene.BigInt(required=True, description="How many entries there are.")
    root = graphene.String(
        required=True, description="SHA-256 over all entries (RFC 6962), in base64."
    )

    @staticmethod
    def resolve_root(head: ledger.Head, _info: Info) -> str:
        """Write the bytes as text."""
        return base64.b64encode(head.root).decode()


class LedgerProof(graphene.ObjectType):
    """That a record is in the ledger as it is now; the words are those of the proof document."""

    index = graphene.BigInt(required=True, description="Which entry it is, from 0.")
    size = graphene.BigInt(required=True, description="Of how many.")
    root = graphene.String(required=True, description="The root over all of them, in base64.")
    document = graphene.Field(
        JSON, required=True, description="The whole proof, which can be checked without us."
    )

    @staticmethod
    def resolve_root(proof: proofs.InclusionProof, _info: Info) -> str:
        """Write the bytes as text."""
        return base64.b64encode(proof.root).decode()

    @staticmethod
    def resolve_document(proof: proofs.InclusionProof, _info: Info) -> object:
        """Return the proof document."""
        return proof.as_json()


def loaders_of(info: Info) -> Loaders:
    """Return this app's loaders of the present request."""
    found: Loaders = info.context.governance
    return found
