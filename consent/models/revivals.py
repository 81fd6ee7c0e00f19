"""Erased people whose data came back, and what this database knows of the journal of erasures."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from consent.models.subjects import DIGEST_BYTES, Subject, Tombstone


class Revival(models.Model):
    """By what an erased person is looked for while their data is erased again.

    The person stays erased throughout: a trigger refuses a revival of anybody else, and no key or
    identifier is given back. It goes as soon as there is nothing left to erase, because it tells
    whose tombstone this is, which nothing may for longer than it has to. One that is superseded
    is still looked for where it was not found yet; what comes back meanwhile is the next one's.
    """

    subject = models.ForeignKey(Subject, on_delete=models.PROTECT, related_name="revivals")
    tombstone = models.ForeignKey(Tombstone, on_delete=models.PROTECT, related_name="revivals")
    opened_at = models.DateTimeField(db_default=Now(), editable=False)
    superseded = models.BooleanField(default=False, db_default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tombstone"],
                condition=Q(superseded=False),
                name="consent_revival_of_one_person",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.tombstone_id} as {self.subject_id}"


class JournalLine(models.Model):
    """A line of the journal of erasures that this database has dealt with.

    A line without one is an erasure that a backup, once restored, has forgotten. The last of them
    is how a journal that was cut off is recognised.
    """

    number = models.BigIntegerField(primary_key=True)
    checksum = models.BinaryField()
    seen_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(number__gt=0), name="consent_journalline_number_from_one"
            ),
            models.CheckConstraint(
                condition=Q(checksum__length=DIGEST_BYTES), name="consent_journalline_is_a_digest"
            ),
        ]

    def __str__(self) -> str:
        return str(self.number)
