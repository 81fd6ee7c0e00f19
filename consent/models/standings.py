"""What everybody says of each purpose, gathered, so that nobody's decisions are read one by one.

Derived: ``ConsentDecision`` is what counts. A decision leaves a row to be gathered in its own
transaction, so whoever reads these rows too is never behind.
"""

from django.db import models
from django.db.models import F, Q

from consent.bitmaps import MOST_CHUNK_BYTES
from consent.models.subjects import Subject
from governance.models import Purpose


class PurposeFold(models.Model):
    """A purpose whose standings are gathered, as they were at ``folded_at``."""

    purpose = models.OneToOneField(
        Purpose, on_delete=models.PROTECT, primary_key=True, related_name="+"
    )
    folded_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.purpose_id} {self.folded_at:%Y-%m-%d %H:%M:%S}"


class PurposeStanding(models.Model):
    """The people who say yes, or no, to a purpose or by a wider one: a chunk of a bitmap."""

    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT, related_name="+", db_index=False)
    yes = models.BooleanField()
    high = models.PositiveIntegerField()
    people = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["purpose", "yes", "high"], name="consent_standing_chunk_once"
            ),
            models.CheckConstraint(
                condition=Q(people__length__gt=0, people__length__lte=MOST_CHUNK_BYTES),
                name="consent_standing_chunk_is_small",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.purpose_id} {self.yes} {self.high}"


class StandingPending(models.Model):
    """A person whose standing on a purpose may be another from ``due_at`` on: not gathered yet."""

    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT, related_name="+", db_index=False)
    subject = models.ForeignKey(Subject, on_delete=models.PROTECT, related_name="+", db_index=False)
    due_at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(F("purpose"), F("due_at"), name="consent_standing_pending"),
            models.Index(F("due_at"), name="consent_standing_due"),
        ]

    def __str__(self) -> str:
        return f"{self.purpose_id} {self.subject_id}"
