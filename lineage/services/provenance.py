"""Freeze what model versions descend from, and keep the way back in step."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from pyroaring import BitMap

from governance.services import ledger
from lineage.models import DatasetVersion, ModelVersion, Provenance, WayBack
from lineage.selectors import walk
from lineage.selectors.inbox import late_models
from lineage.services.locks import graph_is_ours
from lineage.services.versions import make_model_versions

BLOCK = 1 << 16


def freeze_stale(*, limit: int = 50) -> int:
    """Compute the provenance of stale model versions again; return how many were frozen."""
    return sum(_freeze_one(pk) for pk in _stale(limit))


@transaction.atomic
def find_late_models() -> int:
    """Make the versions of models that were registered after they were trained."""
    if not graph_is_ours():
        return 0
    return make_model_versions(runs=[], datasets=late_models())


def _stale(limit: int) -> list[int]:
    stale = ModelVersion.objects.filter(stale_at__isnull=False).order_by("stale_at", "pk")
    return list(stale.values_list("pk", flat=True)[:limit])


@transaction.atomic
def _freeze_one(pk: int) -> int:
    if not graph_is_ours():
        return 0
    made = ModelVersion.objects.select_related("version", "model__dataset").get(pk=pk)
    reached = walk.ancestors([made.version_id])
    of_dataset = {v: d for v, d in reached.versions.items() if v != made.version_id}
    versions, datasets = BitMap(of_dataset.keys()), BitMap(of_dataset.values())
    masked = datasets - BitMap(reached.unmasked) if reached.masks else BitMap()
    parents = BitMap(parent for _, parent in walk.parents([made.version_id]))
    digest = _digest(versions)
    before = Provenance.objects.filter(model_version=made).first()
    known = BitMap.deserialize(bytes(before.datasets)) if before else BitMap()
    if before is not None and before.parents is None:
        # It was frozen before parents were kept: what the ledger holds of it is right.
        Provenance.objects.filter(pk=before.pk).update(parents=parents.serialize())
    if (
        before is None
        or bytes(before.digest) != digest
        or bytes(before.masked) != masked.serialize()
        or before.truncated != reached.truncated
    ):
        record = _into_ledger(made, digest, len(versions), reached.truncated)
        Provenance.objects.update_or_create(
            model_version=made,
            defaults={
                "versions": versions.serialize(), "datasets": datasets.serialize(),
                "masked": masked.serialize(), "parents": parents.serialize(),
                "digest": digest, "truncated": reached.truncated,
                "frozen_at": timezone.now(), "ledger_record": record,
            },
        )  # fmt: skip
    _turn_way_back(pk, made.version.complete_at, gone=known - datasets, held=datasets)
    ModelVersion.objects.filter(pk=pk).update(stale_at=None)
    return 1


def _digest(versions: Iterable[int]) -> bytes:
    found = DatasetVersion.objects.filter(pk__in=list(versions)).order_by("uuid")
    uuids: Iterable[UUID] = found.values_list("uuid", flat=True)
    return hashlib.sha256(b"".join(each.bytes for each in uuids)).digest()


def _into_ledger(made: ModelVersion, digest: bytes, size: int, truncated: bool) -> UUID:
    return ledger.append(
        kind="provenance.frozen",
        facts={
            "model": str(made.model.uuid), "model_version": str(made.uuid),
            "digest": digest.hex(), "versions": size, "truncated": truncated,
        },
    )  # fmt: skip


def _turn_way_back(pk: int, trained_at: datetime, *, gone: BitMap, held: BitMap) -> None:
    block = pk // BLOCK
    rows = WayBack.objects.filter(dataset_id__in=[*gone, *held], block=block)
    blocks: dict[int, WayBack] = {row.dataset_id: row for row in rows}
    bits: dict[int, BitMap] = defaultdict(BitMap)
    for dataset, row in blocks.items():
        bits[dataset] = BitMap.deserialize(bytes(row.model_versions))
    for dataset in gone:
        bits[dataset].discard(pk)
    for dataset in held:
        bits[dataset].add(pk)
    WayBack.objects.bulk_create(
        [
            WayBack(
                dataset_id=dataset, block=block, model_versions=models.serialize(),
                last_trained_at=max(
                    trained_at,
                    blocks[dataset].last_trained_at if dataset in blocks else trained_at,
                ),
            )
            for dataset, models in sorted(bits.items())
        ],
        update_conflicts=True,
        unique_fields=["dataset", "block"],
        update_fields=["model_versions", "last_trained_at"],
    )  # fmt: skip
