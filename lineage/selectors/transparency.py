"""Which models used this data, and which data made this model."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet
from pyroaring import BitMap

from governance.errors import NotFoundError
from governance.models import Dataset
from lineage.models import DatasetVersion, InboxEvent, ModelVersion, Provenance, WayBack
from lineage.selectors import walk


class Certainty(StrEnum):
    """How an answer is known; never show one as another."""

    PROVEN = "proven"  # a record-level manifest of that version says so
    INFERRED = "inferred"  # it follows from the flows between data sets
    MASKED = "masked"  # every column's path is masked
    UNKNOWN = "unknown"  # a gap: an unregistered data set that nobody is known to have written


@dataclass(frozen=True, slots=True)
class ModelUse:
    """One model version that descends from a data set."""

    model_version: ModelVersion
    certainty: Certainty


@dataclass(frozen=True, slots=True)
class Pending:
    """What may still change an answer: events not yet applied, provenance not yet frozen."""

    events: int
    model_versions: int

    @property
    def nothing(self) -> bool:
        """Say whether everything received is in the answer."""
        return not (self.events or self.model_versions)


def dataset_named(namespace: str, name: str) -> Dataset:
    """Return a data set by its OpenLineage name, or raise `NotFoundError`."""
    try:
        return Dataset.objects.get(namespace=namespace, name=name)
    except Dataset.DoesNotExist:
        raise NotFoundError("no such data set is known: check namespace and name") from None


def model_version(uuid: UUID) -> ModelVersion:
    """Return a model version, or raise `NotFoundError`."""
    try:
        return _described(ModelVersion.objects.filter(uuid=uuid)).get()
    except ModelVersion.DoesNotExist:
        raise NotFoundError("no such model version is known") from None


def model_versions_holding(datasets: Collection[int]) -> BitMap:
    """Return the keys of the model versions that descend from any of these data sets."""
    blocks = WayBack.objects.filter(dataset_id__in=list(datasets))
    return BitMap.union(
        BitMap(),
        *(BitMap.deserialize(bytes(b)) for b in blocks.values_list("model_versions", flat=True)),
    )


def models_using(dataset: Dataset, *, as_of: datetime | None = None) -> list[ModelUse]:
    """Answer which model versions descend from a data set, the latest first.

    ``as_of`` leaves out what was not yet begun at that instant. A failed or running training is
    in the answer, with its state.
    """
    found = ModelVersion.objects.filter(pk__in=list(model_versions_holding([dataset.pk])))
    if as_of is not None:
        found = found.filter(version__announced_at__lte=as_of)
    certainty = Certainty.UNKNOWN if dataset.pk in gaps([dataset.pk]) else Certainty.INFERRED
    ordered = _described(found).order_by("-version__complete_at", "-pk")
    return [ModelUse(each, certainty) for each in ordered]


def datasets_in(made: ModelVersion) -> list[tuple[Dataset, Certainty]]:
    """Answer which data sets a model version descends from: its bill of materials."""
    frozen = Provenance.objects.filter(model_version=made).first()
    held = list(BitMap.deserialize(bytes(frozen.datasets))) if frozen else []
    unknown = gaps(held)
    return [
        (each, Certainty.UNKNOWN if each.pk in unknown else Certainty.INFERRED)
        for each in Dataset.objects.filter(pk__in=held).order_by("namespace", "name")
    ]


def gaps(datasets: Iterable[int]) -> set[int]:
    """Return those of the data sets whose past nobody is known to answer for."""
    written = DatasetVersion.objects.filter(dataset_id=OuterRef("pk"), kind="written")
    unknown = Dataset.objects.filter(~Exists(written), pk__in=list(datasets), registered_at=None)
    return set(unknown.values_list("pk", flat=True))


def evidence(made: ModelVersion, dataset: Dataset) -> list[walk.Step]:
    """Return a shortest path from a model version up to a data set, or nothing."""
    versions = DatasetVersion.objects.filter(dataset=dataset).values_list("pk", flat=True)
    way = walk.path(made.version_id, set(versions))
    return walk.described(way) if way else []


def pending() -> Pending:
    """Count what may still change an answer, up to a thousand of each."""
    waiting = InboxEvent.objects.filter(state=InboxEvent.State.READY)
    stale = ModelVersion.objects.filter(stale_at__isnull=False)
    return Pending(len(waiting.values("pk")[:1000]), len(stale.values("pk")[:1000]))


def _described(found: "QuerySet[ModelVersion]") -> "QuerySet[ModelVersion]":
    return found.select_related("model__dataset", "version__run__job", "provenance")
