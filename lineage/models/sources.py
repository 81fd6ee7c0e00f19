"""Who signs events instead of holding a key (Standard Webhooks 1.0)."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from governance.fields import public_id
from governance.models import ApiClient


class Source(models.Model):
    """A sender of signed events; ``namespaces`` bounds what it may write to, empty is no bound."""

    uuid = public_id()
    client = models.OneToOneField(ApiClient, on_delete=models.PROTECT, related_name="+")
    namespaces = ArrayField(models.TextField(), default=list, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    disabled_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return str(self.uuid)


class SourceSecret(models.Model):
    """One of the secrets that a source signs with; several live side by side while one changes.

    ``sealed`` is the shared secret of ``v1``, or the public key of ``v1a``, under the
    organisation's key.
    """

    class Kind(models.TextChoices):
        """How it signs."""

        HMAC = "v1", "HMAC-SHA-256 with a shared secret"
        ED25519 = "v1a", "Ed25519 with a key pair of the sender's"

    uuid = public_id()
    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="secrets")
    kind = models.TextField(choices=Kind.choices)
    sealed = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)
    ends_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=["v1", "v1a"]), name="lineage_secret_kind_known"
            ),
        ]

    def __str__(self) -> str:
        return str(self.uuid)


class SourceMessage(models.Model):
    """A message that was taken lately, so that it cannot be taken for another one."""

    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="+")
    message_id = models.TextField()
    digest = models.BinaryField()
    received_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["source", "message_id"], name="lineage_message_id_once"
            ),
        ]
        indexes = [models.Index(F("received_at"), name="lineage_message_received")]

    def __str__(self) -> str:
        return self.message_id
