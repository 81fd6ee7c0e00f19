"""Rows of consent for tests. What only a service can make whole is made by the service."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from io import BytesIO
from uuid import UUID, uuid4

import factory
from factory.django import DjangoModelFactory

from consent.manifests import Body, Form
from consent.models import ConsentDecision, Manifest, Notice, NoticeVersion, Subject
from consent.rules import DecisionKind, DecisionSource
from consent.services import membership, subjects
from governance.models import Dataset
from lineage.models import DatasetVersion
from lineage.selectors import identities, versions
from lineage.services.versions import ensure_origins
from tests.factories.governance import PurposeFactory

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MANIFEST_KEY = b"m" * 32


class SubjectFactory(DjangoModelFactory):
    """A person known from a manifest only: no key, no identifier."""

    class Meta:
        model = Subject


class NoticeVersionFactory(DjangoModelFactory):
    """A draft; ``published=True`` makes it a published text."""

    class Meta:
        model = NoticeVersion

    class Params:
        published = factory.Trait(published_at=NOON)

    notice = factory.LazyFunction(lambda: Notice.objects.create(key=f"notice-{uuid4()}"))
    number = 1
    language = "en"
    title = "What we do with your data"
    text = "We train models."


class ConsentDecisionFactory(DjangoModelFactory):
    """A "yes" of a person, without a ledger entry."""

    class Meta:
        model = ConsentDecision

    subject = factory.SubFactory(SubjectFactory)
    purpose = factory.SubFactory(PurposeFactory)
    kind = DecisionKind.GIVEN
    decided_at = NOON
    source = DecisionSource.PERSON
    idempotency_key = factory.LazyFunction(uuid4)


def registered(*identifiers: tuple[str, str], again: bool = False) -> Subject:
    """Register a person; by default under an e-mail address of their own."""
    given = identifiers or (("email", f"{uuid4()}@example.org"),)
    return subjects.register(identifiers=given, again=again).subject


def version_after(dataset: Dataset, hours: int, name: str = "") -> DatasetVersion:
    """Make a version that some hours after noon became whole."""
    ensure_origins([dataset.pk])
    at = NOON + timedelta(hours=hours)
    return DatasetVersion.objects.create(
        kind="named", dataset=dataset, declared=name or f"v{hours}",
        identity=identities.identity_of(dataset.pk),
        announced_at=at, visible_from=at, complete_at=at,
    )  # fmt: skip


def body_of(content: bytes, **said) -> Body:
    """Wrap bytes as a manifest's body."""
    return Body(BytesIO(content).read, key=MANIFEST_KEY, **said)


def parquet_of(*, rows: int | None = None, **columns) -> bytes:
    """Return a Parquet file of these columns, in row groups of so many rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(columns), file := BytesIO(), row_group_size=rows, compression="zstd")
    return file.getvalue()


def take(
    dataset: Dataset,
    people: Iterable[str],
    *,
    mode: str = "add",
    version: DatasetVersion | None = None,
    scheme: str = "opaque",
) -> Manifest:
    """Hand in a manifest of these people for a version, or for the current one."""
    ensure_origins([dataset.pk])
    loaded = membership.load(
        dataset=dataset,
        version=version or versions.current(dataset.pk),
        mode=Manifest.Mode(mode),
        form=Form.CSV,
        body=body_of("\n".join(["who", *people]).encode()),
        column="who",
        scheme=scheme,
    )
    return loaded.manifest


def people_of(dataset: Dataset, version: DatasetVersion | None = None) -> set[UUID]:
    """Return the public names of the people in a data set."""
    from consent.selectors.membership import members

    found = Subject.objects.filter(pk__in=list(members(dataset.pk, version)))
    return set(found.values_list("uuid", flat=True))
