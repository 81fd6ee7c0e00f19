"""Who is in which data set, and how that is known."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from consent.models.subjects import DIGEST_BYTES, Subject, Tombstone
from governance.fields import public_id
from governance.models import ApiClient, Dataset
from lineage.models import DatasetVersion


class Manifest(models.Model):
    """A list of people that was handed in for one version; the list itself is not kept.

    ``digest`` is a keyed digest of the inflated bytes: with a bare one, whoever guesses the
    people on a short list could confirm the guess. ``rows`` counts lines, ``people`` persons.
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
            models.UniqueConstraint(
                fields=["version", "mode", "scheme", "column", "digest"],
                name="consent_manifest_once",
            ),
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


class Membership(models.Model):
    """A person is in a data set from version ``since`` up to, not including, version ``until``.

    An empty ``until`` is "still". The order of versions is their ``complete_at``, then their key.
    It is derived from manifests; there is no row for a person who was named and taken back
    within one version.
    """

    subject = models.ForeignKey(Subject, on_delete=models.PROTECT, related_name="memberships")
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
                fields=["dataset", "subject"],
                condition=Q(until=None),
                name="consent_membership_open_once",
            ),
            models.CheckConstraint(
                condition=Q(until=None) | ~Q(until=F("since")),
                name="consent_membership_not_empty",
            ),
        ]
        indexes = [
            # Those who left; who is still in is found by the constraint's own index.
            models.Index(
                F("dataset"), F("subject"),
                name="consent_membership_ended", condition=Q(until__isnull=False),
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.subject_id} in {self.dataset_id}"


class Reappearance(models.Model):
    """A manifest named a person who was erased: the data has come back.

    It is no membership, because an erased person is nobody; whoever erases finds it here.
    ``manifest`` is the first that said so, ``ended_at`` when a list said that it is out again or
    an erasure saw to it.
    """

    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="+")
    tombstone = models.ForeignKey(Tombstone, on_delete=models.PROTECT, related_name="reappearances")
    manifest = models.ForeignKey(Manifest, on_delete=models.PROTECT, related_name="reappearances")
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["dataset", "tombstone"],
                condition=Q(ended_at=None),
                name="consent_reappearance_open_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tombstone_id} in {self.dataset_id}"
