"""The copy of a person's data that they asked for, until it expires."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from consent.models.requests import RightsRequest
from governance.fields import public_id


class AccessPackage(models.Model):
    """A ZIP archive of everything that is on record about a person, for them alone.

    It is sealed under the person's own key, so it goes with that key. ``content_sealed`` is
    emptied once it has expired; that it was made, and fetched, stays told in the ledger.
    """

    uuid = public_id()
    request = models.OneToOneField(RightsRequest, on_delete=models.PROTECT, related_name="package")
    content_sealed = models.BinaryField(null=True)
    size = models.PositiveBigIntegerField()
    made_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(expires_at__gt=F("made_at")), name="consent_package_expires"
            ),
            models.CheckConstraint(condition=Q(size__gt=0), name="consent_package_not_empty"),
        ]
        indexes = [
            # What has to be let go.
            models.Index(
                F("expires_at"), name="consent_package_kept",
                condition=Q(content_sealed__isnull=False),
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return str(self.uuid)
