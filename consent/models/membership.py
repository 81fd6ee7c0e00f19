"""Who is in which data set, and how that is known."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from consent.bitmaps import MOST_CHUNK_BYTES
from consent.models.subjects import DIGEST_BYTES, Tombstone
from governance.fields import public_id
from governance.models import ApiClient, Dataset
from lineage.models import DatasetVersion

BLOCK_BITS = 8  # of a person's key, within a block of the way back
SPAN_END = 1 << (32 - BLOCK_BITS)  # what is left of a bitmap's 32 bits for a stay's key


class Manifest(models.Model):
    """A list of people that was handed in for one version; the list itself is not kept.

    ``digest`` is a keyed digest of the inflated bytes: with a bare one, whoever guesses the
    people on a short list could confirm the guess. ``rows`` counts lines, ``people`` persons.
    The same list is taken twice if something else was said in between: each is a word of its own.
    """

    class Mode(models.TextChoices):
        """What the list says."""

        ADD = "add", "these people are in this version"
        REMOVE = "remove", "these people are not in this version any more"
        REPLACE = "replace", "exactly these people are in this version"

    uuid = public_id()
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="+")
    version = models.ForeignKey(DatasetVersion, on_delete=models.PROTECT, related_name="+")
    mode = models.TextField(choices=Mode.choices)
    scheme = models.TextField()
    column = models.TextField(blank=True)
    digest = models.BinaryField()
    rows = models.PositiveBigIntegerField()
    people = models.PositiveBigIntegerField()
    received_from = models.ForeignKey(
        ApiClient, on_delete=models.PROTECT, null=True, related_name="+"
    )
    received_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(mode__in=["add", "remove", "replace"]),
                name="consent_manifest_mode_known",
            ),
            models.CheckConstraint(
                condition=Q(digest__length=DIGEST_BYTES), name="consent_manifest_is_a_digest"
            ),
            models.CheckConstraint(
                condition=Q(people__lte=F("rows")), name="consent_manifest_a_row_names_one_person"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.mode} {self.uuid}"


class MembershipSpan(models.Model):
    """From version ``since`` up to, not including, ``until``: one stay in a data set.

    It stands for everybody who came and left together; who that is lies in its chunks. An empty
    ``until`` is "still". The order of versions is their ``complete_at``, then their key. ``id``
    is dense, because the way back holds it in 24 bits.
    """

    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="+", db_index=False)
    since = models.ForeignKey(
        DatasetVersion, on_delete=models.PROTECT, related_name="+", db_index=False
    )
    until = models.ForeignKey(
        DatasetVersion, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["dataset", "since", "until"], nulls_distinct=False,
                name="consent_span_once",
            ),
            models.CheckConstraint(
                condition=Q(until=None) | ~Q(until=F("since")), name="consent_span_not_empty"
            ),
            models.CheckConstraint(
                condition=Q(id__gt=0, id__lt=SPAN_END), name="consent_span_id_fits_a_block"
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.dataset_id} {self.since_id} {self.until_id}"


class MembershipChunk(models.Model):
    """Who shares a stay: a serialised roaring bitmap of the people with the same high bits."""

    span = models.ForeignKey(
        MembershipSpan, on_delete=models.PROTECT, related_name="chunks", db_index=False
    )
    high = models.PositiveIntegerField()
    people = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["span", "high"], name="consent_chunk_once"),
            models.CheckConstraint(
                condition=Q(people__length__gt=0, people__length__lte=MOST_CHUNK_BYTES),
                name="consent_chunk_is_small",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.span_id} {self.high}"


class MembershipBlock(models.Model):
    """The way back, for 256 people whose keys follow each other: which stays each is in.

    ``stays`` is a serialised roaring bitmap of a stay's key, shifted left by eight bits, and the
    low eight bits of a person's key.
    """

    block = models.PositiveIntegerField(primary_key=True)
    stays = models.BinaryField()

    def __str__(self) -> str:
        return str(self.block)


class Reappearance(models.Model):
    """A manifest named a person who was erased: the data has come back.

    It is no membership, because an erased person is nobody; whoever erases finds it here.
    ``manifest`` is the first that said so, ``ended_at`` when a list said that it is out again or
    an erasure saw to it. ``request`` is the erasure that sees to it, for as long as that is under
    way, and ``looked_for_at`` when it last began to read: a list that names the person after that
    is another reappearance.
    """

    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="+")
    tombstone = models.ForeignKey(Tombstone, on_delete=models.PROTECT, related_name="reappearances")
    manifest = models.ForeignKey(Manifest, on_delete=models.PROTECT, related_name="reappearances")
    ended_at = models.DateTimeField(null=True)
    request = models.ForeignKey(
        "consent.RightsRequest", on_delete=models.PROTECT, null=True, related_name="reappearances"
    )
    looked_for_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(looked_for_at=None) | Q(request__isnull=False),
                name="consent_reappearance_looked_for_by_a_request",
            ),
            models.UniqueConstraint(
                fields=["dataset", "tombstone"],
                condition=Q(ended_at=None),
                name="consent_reappearance_open_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tombstone_id} in {self.dataset_id}"
