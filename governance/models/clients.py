"""Who may call: API clients and their keys."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from governance.fields import public_id


class Scope(models.TextChoices):
    """What a key may do."""

    LINEAGE_WRITE = "lineage:write", "send OpenLineage events"
    LINEAGE_READ = "lineage:read", "read what events say, source code and error messages included"
    REGISTRY_READ = "registry:read", "read data sets, models, purposes and policies"
    REGISTRY_WRITE = "registry:write", "register data sets, storages, models, purposes, policies"
    CONSENT_READ = "consent:read", "read one person's decisions and uses"
    CONSENT_WRITE = "consent:write", "record people, memberships and decisions"
    GATE_ASK = "gate:ask", "ask whether rows may be used"
    REQUESTS_READ = "requests:read", "follow rights requests"
    REQUESTS_WRITE = "requests:write", "open and decide rights requests"
    WEBHOOKS_MANAGE = "webhooks:manage", "say where to be told what happens here"
    AUDIT_READ = "audit:read", "ask transparency questions and read the ledger"


class ApiClient(models.Model):
    """A machine or a team that holds keys; also the source of the events it sends."""

    uuid = public_id()
    name = models.TextField(unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class ApiKey(models.Model):
    """A bearer key. Only the SHA-256 of its secret is kept: 256 random bits need no salt.

    ``namespaces`` bounds what it may write to; empty means every namespace. There is no
    ``is_active``: a key is alive while it is neither expired nor revoked.
    """

    client = models.ForeignKey(ApiClient, on_delete=models.PROTECT, related_name="keys")
    key_id = models.CharField(max_length=16, unique=True)
    secret_sha256 = models.BinaryField()
    scopes = ArrayField(models.TextField(choices=Scope.choices))
    namespaces = ArrayField(models.TextField(), default=list, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(secret_sha256__length=32), name="governance_apikey_secret_is_a_digest"
            ),
            models.CheckConstraint(
                condition=Q(expires_at__gt=F("created_at")), name="governance_apikey_expires"
            ),
        ]

    def __str__(self) -> str:
        return self.key_id
