"""By which keys identifiers are digested."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now


class IdentifierKey(models.Model):
    """A version of the key that identifiers are digested by; the first has no row.

    Version n digests what version n - 1 made, so whoever is known by a digest only can be moved
    up. The key itself is not here: it is derived. Until ``moved_at`` rows of the version before
    may be left; one version at a time is at that. The counts say what was moved; ``unreadable``
    are sealed values that could not be opened before either.
    """

    version = models.PositiveSmallIntegerField(primary_key=True)
    introduced_at = models.DateTimeField(db_default=Now(), editable=False)
    moved_at = models.DateTimeField(null=True)
    identifiers = models.PositiveBigIntegerField(db_default=0)
    tombstones = models.PositiveBigIntegerField(db_default=0)
    unreadable = models.PositiveBigIntegerField(db_default=0)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(version__gte=2), name="consent_identifierkey_after_the_first"
            ),
            models.UniqueConstraint(
                fields=["moved_at"], condition=Q(moved_at=None), nulls_distinct=False,
                name="consent_identifierkey_one_under_way",
            ),
            models.CheckConstraint(
                condition=Q(moved_at=None) | Q(moved_at__gte=F("introduced_at")),
                name="consent_identifierkey_moved_after_introduced",
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"version {self.version}"
