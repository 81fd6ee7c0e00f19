"""The keys that sign what others check: receipts, tokens of the gate, certificates."""

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import DateTimeRangeField, RangeOperators
from django.db import models
from django.db.models import F, Func, Q
from django.db.models.functions import Now

from governance.signing import KEY_BYTES

SEALED_BYTES = 60  # a 12-byte nonce, the 32-byte key and a 16-byte tag


class SigningKey(models.Model):
    """An Ed25519 key; it signs from ``active_from`` until ``active_until``, and one does at a time.

    Its public half stays published after that, because what it signed is checked for years,
    unless it was withdrawn: then nothing that it signed is believed any more. The secret half is
    sealed under the organisation's key, and destroyed once it has no more use.
    """

    kid = models.TextField(unique=True)
    public = models.BinaryField()
    sealed = models.BinaryField(null=True)
    active_from = models.DateTimeField()
    active_until = models.DateTimeField(null=True)
    withdrawn_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(public__length=KEY_BYTES), name="governance_signingkey_public_is_a_key"
            ),
            models.CheckConstraint(
                condition=Q(sealed=None) | Q(sealed__length=SEALED_BYTES),
                name="governance_signingkey_secret_is_sealed",
            ),
            models.CheckConstraint(
                condition=Q(active_until=None) | Q(active_until__gte=F("active_from")),
                name="governance_signingkey_ends_after_it_begins",
            ),
            models.CheckConstraint(
                condition=Q(withdrawn_at=None) | Q(sealed=None, active_until__isnull=False),
                name="governance_signingkey_withdrawn_signs_no_more",
            ),
            models.CheckConstraint(
                condition=Q(sealed__isnull=False) | Q(active_until__isnull=False),
                name="governance_signingkey_active_has_a_secret",
            ),
            ExclusionConstraint(
                name="governance_signingkey_one_at_a_time",
                expressions=[
                    (
                        Func(
                            "active_from", "active_until",
                            function="TSTZRANGE", output_field=DateTimeRangeField(),
                        ),
                        RangeOperators.OVERLAPS,
                    )
                ],
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return self.kid
