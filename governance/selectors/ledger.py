"""Reading the ledger: its head, its proofs, and what a record says to who holds the key."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from governance import merkle, proofs
from governance.crypto import SealingKey
from governance.errors import ColophonError, NotFoundError
from governance.models import LedgerEntry, LedgerHead, LedgerRecord, LedgerTile
from governance.proofs import ConsistencyProof, InclusionProof, Opening


class NotYetSequencedError(ColophonError):
    """The record is kept and will be numbered; a proof exists some seconds later."""

    code = "not_yet_sequenced"
    status = 409


class SizeUnknownError(ColophonError):
    """The ledger never had these sizes, one before the other."""

    code = "ledger_size_unknown"
    status = 404


class CommitmentMismatchError(ColophonError):
    """A record opens to something that its leaf does not commit to: one was changed."""

    code = "ledger_commitment_mismatch"
    status = 500


@dataclass(frozen=True, slots=True)
class Head:
    """How many entries there are, and the root over them."""

    size: int
    root: bytes


def head() -> Head:
    """Return the head; of an empty ledger, size 0 and the root over nothing."""
    found = LedgerHead.objects.first()
    return Head(found.size, bytes(found.root)) if found else Head(0, merkle.EMPTY_ROOT)


def entries_after(index: int, limit: int) -> list[LedgerEntry]:
    """Return up to ``limit`` entries that come after ``index``; -1 for the beginning."""
    return list(LedgerEntry.objects.filter(index__gt=index).order_by("index")[:limit])


def proof_of(record_uuid: UUID) -> InclusionProof:
    """Return the proof that a record is in the ledger as it is now.

    Raises `NotFoundError` for no such record, `NotYetSequencedError` for one without an index.
    """
    entry = LedgerEntry.objects.filter(record__uuid=record_uuid).first()
    if entry is None:
        if LedgerRecord.objects.filter(uuid=record_uuid).exists():
            raise NotYetSequencedError("this record has no index yet; ask again soon")
        raise NotFoundError("the ledger holds no such record")
    now = head()
    hashes = _tree(now.size).inclusion(entry.index, now.size)
    return InclusionProof(entry.index, now.size, bytes(entry.leaf), tuple(hashes), now.root)


def consistency(old: int, new: int | None = None) -> ConsistencyProof:
    """Return the proof between two sizes; ``new`` is the present size if it is not given."""
    size = head().size
    new = size if new is None else new
    if not 0 <= old <= new <= size:
        raise SizeUnknownError(f"sizes go from 0 to {size}, the old one first", size=size)
    tree = _tree(size)
    hashes = tuple(tree.consistency(old, new))
    return ConsistencyProof(old, new, hashes, tree.root(old), tree.root(new))


def opening_of(record_uuid: UUID, key: SealingKey) -> Opening:
    """Return a record's salt and body, checked against its leaf.

    Raises `NotFoundError`, `governance.crypto.UnreadableError` for the wrong or a destroyed key,
    and `CommitmentMismatchError` where record and leaf disagree.
    """
    record = LedgerRecord.objects.filter(uuid=record_uuid).select_related("entry", "queued").first()
    if record is None:
        raise NotFoundError("the ledger holds no such record")
    plain = key.open(bytes(record.sealed), str(record.uuid))
    opening = Opening(plain[: proofs.SALT_BYTES], plain[proofs.SALT_BYTES :])
    placed = record.entry if hasattr(record, "entry") else record.queued
    if not proofs.opens(bytes(placed.leaf), opening):
        raise CommitmentMismatchError("the record is not what its leaf commits to")
    return opening


def opened(record_uuid: UUID, key: SealingKey) -> dict[str, Any]:
    """Return what a record says: ``kind``, ``facts`` and ``at``; raises as `opening_of` does."""
    said: dict[str, Any] = json.loads(opening_of(record_uuid, key).body)
    return said


def tile_hashes(level: int, number: int, *, size: int) -> Sequence[bytes]:
    """Return the hashes of a tile in the ledger of ``size`` entries, ragged or full."""
    width = merkle.tile_width(level=level, number=number, size=size)
    if width == merkle.TILE_WIDTH:
        return merkle.split(bytes(LedgerTile.objects.get(level=level, number=number).hashes))
    start = number * merkle.TILE_WIDTH
    places = range(start, start + width)
    found: Iterable[bytes | memoryview]
    if level == 0:
        leaves = LedgerEntry.objects.filter(index__gte=places.start, index__lt=places.stop)
        found = leaves.order_by("index").values_list("leaf_hash", flat=True)
    else:
        below = LedgerTile.objects.filter(level=level - 1)
        below = below.filter(number__gte=places.start, number__lt=places.stop)
        found = below.order_by("number").values_list("root", flat=True)
    return [bytes(each) for each in found]


def _tree(size: int) -> merkle.Tree:
    return merkle.Tree(lambda level, number: tile_hashes(level, number, size=size))
