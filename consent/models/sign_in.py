"""Codes that were sent to people who want to sign in."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from consent.models.subjects import DIGEST_BYTES

ATTEMPTS = 5


class SignInCode(models.Model):
    """A code that was sent to an address; swept away an hour later.

    It holds keyed digests only, under a key that serves nothing else, so no row leads to an
    address, to a person or to another table. ``browser_digest`` is of a secret that only the
    session of the browser that asked holds; ``code_digest`` is of that secret and the code
    together, so the code is worth nothing in another browser. There is no foreign key to a
    subject on purpose: a code is sent whether or not anybody is known by the address.
    """

    browser_digest = models.BinaryField(unique=True)
    code_digest = models.BinaryField()
    address_digest = models.BinaryField()
    client_digest = models.BinaryField()
    attempts = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(
                    browser_digest__length=DIGEST_BYTES,
                    code_digest__length=DIGEST_BYTES,
                    address_digest__length=DIGEST_BYTES,
                    client_digest__length=DIGEST_BYTES,
                ),
                name="consent_signincode_holds_digests",
            ),
            models.CheckConstraint(
                condition=Q(attempts__lte=ATTEMPTS), name="consent_signincode_few_attempts"
            ),
            models.CheckConstraint(
                condition=Q(expires_at__gt=F("created_at")), name="consent_signincode_expires"
            ),
            models.CheckConstraint(
                condition=Q(used_at=None) | Q(used_at__lt=F("expires_at"), attempts__gte=1),
                name="consent_signincode_used_while_valid",
            ),
        ]
        indexes = [
            # How many an address and a client were sent within the hour, and what is to be swept.
            models.Index(F("address_digest"), F("created_at"), name="consent_signincode_address"),
            models.Index(F("client_digest"), F("created_at"), name="consent_signincode_client"),
            models.Index(F("created_at"), name="consent_signincode_age"),
        ]

    def __str__(self) -> str:
        return f"code of {self.created_at:%Y-%m-%d %H:%M}"
