"""What a model version descends from, frozen, and the way back."""

from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models import F, Q

from governance.models import Dataset, Model
from lineage.models.graph import DatasetVersion


class ModelVersion(models.Model):
    """What exactly one run made of a model.

    ``stale_at`` says since when the frozen provenance is to be computed again; empty is fresh.
    """

    uuid = models.UUIDField(db_default=RandomUUID(), unique=True, editable=False)
    model = models.ForeignKey(Model, on_delete=models.PROTECT, related_name="+")
    version = models.OneToOneField(
        DatasetVersion, on_delete=models.PROTECT, related_name="model_version"
    )
    stale_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(
                F("id"), name="lineage_modelversion_stale", condition=Q(stale_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return str(self.uuid)


class Provenance(models.Model):
    """The data set versions that a model version descends from.

    ``versions`` and ``datasets`` are serialised roaring bitmaps (portable format) of primary
    keys. ``digest`` is the SHA-256 of the versions' sorted public ids, 16 bytes each: what the
    ledger holds, so that a bill of materials can be proven later. ``masked`` are those of the data
    sets that every way to passes a mask. ``parents`` are those of the versions that a single step
    leads to; empty in what was frozen before they were kept, until it is frozen again.
    ``truncated`` says that the walk was cut at its bound.
    """

    model_version = models.OneToOneField(
        ModelVersion, on_delete=models.PROTECT, related_name="provenance"
    )
    versions = models.BinaryField()
    datasets = models.BinaryField()
    masked = models.BinaryField(default=bytes)
    parents = models.BinaryField(null=True)
    digest = models.BinaryField()
    truncated = models.BooleanField()
    frozen_at = models.DateTimeField()
    ledger_record = models.UUIDField()

    class Meta:
        indexes = [
            models.Index(F("id"), name="lineage_provenance_cut", condition=Q(truncated=True)),
        ]

    def __str__(self) -> str:
        return bytes(self.digest).hex()


class WayBack(models.Model):
    """From a data set to the model versions whose provenance holds it.

    One row per data set and block of 65,536 model versions, so that an update touches little.
    ``last_trained_at`` lets a new write pass over blocks that it cannot concern.
    """

    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="+")
    block = models.PositiveIntegerField()
    model_versions = models.BinaryField()
    last_trained_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["dataset", "block"], name="lineage_wayback_block_once"),
        ]

    def __str__(self) -> str:
        return f"{self.dataset_id}/{self.block}"


class KeptEdge(models.Model):
    """One version descends from another, kept when the month of the run that says so went."""

    child = models.ForeignKey(DatasetVersion, on_delete=models.PROTECT, related_name="+")
    parent = models.ForeignKey(DatasetVersion, on_delete=models.PROTECT, related_name="+")
    masked = models.BooleanField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["child", "parent"], name="lineage_keptedge_once"),
        ]

    def __str__(self) -> str:
        return f"{self.parent_id} → {self.child_id}"
