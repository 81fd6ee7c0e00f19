"""The ledger: an append-only Merkle log (RFC 6962) of everything that matters.

A record is what happened, sealed. Its leaf, a salted commitment without any personal data,
waits in the queue until the one sequencer gives it the next index. Hashes are kept in the full
tiles of C2SP tlog-tiles; what is ragged at the right edge follows from entries and tile roots.
"""

from django.db import models
from django.db.models import Q

from governance.fields import public_id

LEAF_BYTES = 1024
HASH_BYTES = 32
TILE_BYTES = 256 * HASH_BYTES


class LedgerRecord(models.Model):
    """What happened: salt and body, sealed, in the place named by ``uuid``.

    ``sealed_for`` says whose key opens it, empty for the organisation's. When that key is
    destroyed the record can no longer be read, and its leaf still proves that it was there.
    """

    uuid = public_id()
    kind = models.TextField()
    sealed = models.BinaryField()
    sealed_for = models.UUIDField(null=True, blank=True, db_index=True)
    queued_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__regex=r"^[a-z_]+(\.[a-z_]+)+$"),
                name="governance_ledgerrecord_kind_is_dotted",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.uuid}"


class LedgerQueued(models.Model):
    """A committed leaf that has no index yet; the order of ``id`` is the order of numbering."""

    record = models.OneToOneField(LedgerRecord, on_delete=models.PROTECT, related_name="queued")
    leaf = models.BinaryField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(leaf__length__lte=LEAF_BYTES), name="governance_ledgerqueued_leaf_small"
            ),
        ]

    def __str__(self) -> str:
        return str(self.pk)


class LedgerEntry(models.Model):
    """A leaf with its index, for ever: a trigger refuses to change or delete it.

    ``index`` comes from the head and not from a database sequence, which would leave gaps.
    """

    index = models.BigIntegerField(primary_key=True)
    record = models.OneToOneField(LedgerRecord, on_delete=models.PROTECT, related_name="entry")
    leaf_hash = models.BinaryField()
    leaf = models.BinaryField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(index__gte=0), name="governance_ledgerentry_index_from_zero"
            ),
            models.CheckConstraint(
                condition=Q(leaf_hash__length=HASH_BYTES),
                name="governance_ledgerentry_hash_is_a_digest",
            ),
            models.CheckConstraint(
                condition=Q(leaf__length__lte=LEAF_BYTES), name="governance_ledgerentry_leaf_small"
            ),
        ]

    def __str__(self) -> str:
        return str(self.index)


class LedgerTile(models.Model):
    """256 neighbouring hashes of one level; only full tiles, which never change.

    Level 0 holds leaf hashes, every other level the roots of 256 tiles of the level below.
    ``root`` is this tile's own entry in the level above, ready before that one is full.
    """

    level = models.PositiveSmallIntegerField()
    number = models.BigIntegerField()
    hashes = models.BinaryField()
    root = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["level", "number"], name="governance_ledgertile_once"),
            models.CheckConstraint(
                condition=Q(number__gte=0), name="governance_ledgertile_number_from_zero"
            ),
            models.CheckConstraint(
                condition=Q(hashes__length=TILE_BYTES), name="governance_ledgertile_full"
            ),
            models.CheckConstraint(
                condition=Q(root__length=HASH_BYTES), name="governance_ledgertile_root_is_a_digest"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.level}/{self.number}"


class LedgerHead(models.Model):
    """How many entries there are and the root over them; one row, written by the sequencer."""

    only = models.BooleanField(primary_key=True, default=True)
    size = models.BigIntegerField(default=0)
    root = models.BinaryField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(only=True), name="governance_ledgerhead_one_row"),
            models.CheckConstraint(
                condition=Q(size__gte=0), name="governance_ledgerhead_size_from_zero"
            ),
            models.CheckConstraint(
                condition=Q(root__length=HASH_BYTES), name="governance_ledgerhead_root_is_a_digest"
            ),
        ]

    def __str__(self) -> str:
        return str(self.size)


class LedgerCheckpoint(models.Model):
    """The last head that was signed, as a note to be given out; one row, written by the signer.

    It is not what the signer goes by: that lies outside, where no backup brings it back.
    """

    only = models.BooleanField(primary_key=True, default=True)
    size = models.BigIntegerField()
    root = models.BinaryField()
    note = models.TextField()
    verifier = models.TextField()
    signed_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(only=True), name="governance_ledgercheckpoint_one_row"
            ),
            models.CheckConstraint(
                condition=Q(size__gte=0), name="governance_ledgercheckpoint_size_from_zero"
            ),
            models.CheckConstraint(
                condition=Q(root__length=HASH_BYTES),
                name="governance_ledgercheckpoint_root_is_a_digest",
            ),
        ]

    def __str__(self) -> str:
        return str(self.size)
