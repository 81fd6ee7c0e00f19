"""Which rows are one person, as operators said it."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from consent.models.subjects import Subject
from governance.fields import public_id
from governance.models import ApiClient


class SubjectMerge(models.Model):
    """Two rows are one person, until somebody says that they never were.

    A person is all rows that merges join which are not undone, directly or over other rows. None
    joins what is joined already, so undoing one parts exactly what it joined. What was bound to a
    row stays with it: there is nothing to move back. ``one`` is the row with the smaller key;
    reasons are sealed under its person's key, because people write names there. Triggers refuse to
    join whoever is one person already or was erased, and any change but to undo a merge once.
    """

    uuid = public_id()
    one = models.ForeignKey(Subject, on_delete=models.PROTECT, related_name="+")
    other = models.ForeignKey(Subject, on_delete=models.PROTECT, related_name="+")
    idempotency_key = models.UUIDField()
    reason_sealed = models.BinaryField()
    merged_at = models.DateTimeField(db_default=Now(), editable=False)
    merged_by = models.ForeignKey(ApiClient, on_delete=models.PROTECT, null=True, related_name="+")
    undo_reason_sealed = models.BinaryField(null=True)
    undone_at = models.DateTimeField(null=True, editable=False)
    undone_by = models.ForeignKey(ApiClient, on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["idempotency_key"], name="consent_merge_key_once"),
            models.CheckConstraint(
                condition=Q(one__lt=F("other")), name="consent_merge_of_two_in_order"
            ),
            models.CheckConstraint(
                condition=Q(undone_at=None, undone_by=None, undo_reason_sealed=None)
                | Q(undone_at__isnull=False, undo_reason_sealed__isnull=False),
                name="consent_merge_undone_with_reason",
            ),
        ]

    def __str__(self) -> str:
        return str(self.uuid)
