"""Whose data it is: people, known by keyed digests of their identifiers."""

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from consent.identifiers import SCHEME

DIGEST_BYTES = 32
WRAPPED_BYTES = 60  # a 12-byte nonce, the 32-byte key and a 16-byte tag
BITMAP_END = 1 << 32  # roaring bitmaps hold 32-bit members


class Subject(models.Model):
    """A person. Nothing here says who: erasing the identifiers makes this row nobody's.

    ``id`` is dense, because bitmaps hold it; ``uuid`` is random, because one made from the time
    would tell when the person was first seen. ``erased_at`` is set once and never taken back;
    ``erased_schemes`` keeps how the person was known, though not as whom, so that a list which
    is written in one of these schemes can still prove an absence.
    """

    uuid = models.UUIDField(db_default=RandomUUID(), unique=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    erased_at = models.DateTimeField(null=True, editable=False)
    erased_schemes = ArrayField(models.TextField(), null=True, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(erased_at=None, erased_schemes=None)
                | Q(erased_at__isnull=False, erased_schemes__isnull=False),
                name="consent_subject_erased_with_schemes",
            ),
            models.CheckConstraint(
                condition=Q(id__gt=0, id__lt=BITMAP_END), name="consent_subject_id_fits_a_bitmap"
            ),
        ]
        indexes = [
            models.Index(
                F("id"), name="consent_subject_erased", condition=Q(erased_at__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return str(self.uuid)


class SubjectKey(models.Model):
    """The person's own key, wrapped. Deleting this row is what makes sealed values unreadable.

    It is made at registration and nowhere else; a trigger refuses one for an erased person.
    """

    subject = models.OneToOneField(
        Subject, on_delete=models.PROTECT, primary_key=True, related_name="key"
    )
    wrapped = models.BinaryField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(wrapped__length=WRAPPED_BYTES), name="consent_subjectkey_is_wrapped"
            ),
        ]

    def __str__(self) -> str:
        return f"key of {self.subject_id}"


class SubjectIdentifier(models.Model):
    """From an identifier's digest to the person: the one row that says who a subject is.

    ``value_sealed`` holds the identifier under the person's own key where it came by
    registration; a manifest leaves the digest only, so it is empty then. ``key_version`` says by
    which version of the key it is digested: triggers let a row be written by the newest only, and
    never go back.
    """

    subject = models.ForeignKey(Subject, on_delete=models.PROTECT, related_name="identifiers")
    scheme = models.TextField()
    digest = models.BinaryField()
    key_version = models.PositiveSmallIntegerField(db_default=1)
    value_sealed = models.BinaryField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["digest", "scheme"], name="consent_subjectidentifier_of_one_person"
            ),
            models.CheckConstraint(
                condition=Q(digest__length=DIGEST_BYTES),
                name="consent_subjectidentifier_is_a_digest",
            ),
            models.CheckConstraint(
                condition=Q(scheme__regex=SCHEME), name="consent_subjectidentifier_scheme_is_a_name"
            ),
        ]
        # What is to be moved up to a newer key, in order.
        indexes = [models.Index(F("key_version"), F("id"), name="consent_subjectidentifier_key")]

    def __str__(self) -> str:
        return f"{self.scheme} of {self.subject_id}"


class Tombstone(models.Model):
    """An identifier that was erased, so that the person is recognised if the data comes back.

    It names no subject on purpose: with one, the erased history would have an owner again. It
    holds only while nobody has registered the identifier anew.
    """

    scheme = models.TextField()
    digest = models.BinaryField()
    key_version = models.PositiveSmallIntegerField(db_default=1)
    erased_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["digest", "scheme"], name="consent_tombstone_once"),
            models.CheckConstraint(
                condition=Q(digest__length=DIGEST_BYTES), name="consent_tombstone_is_a_digest"
            ),
        ]
        indexes = [models.Index(F("key_version"), F("id"), name="consent_tombstone_key")]

    def __str__(self) -> str:
        return f"{self.scheme} {self.pk}"
