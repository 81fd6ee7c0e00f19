"""Telling others what happened here: who is told, what, and whether it arrived."""

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from governance.fields import public_id
from governance.models.clients import ApiClient


class WebhookKind(models.TextChoices):
    """What is told. Nothing here says of whom."""

    TEST = "webhook.test", "sent on request, to try an endpoint"
    POLICY_PUBLISHED = "policy.published", "a version of a policy is in force"
    PERMISSION_CHANGED = "consent.withdrawn", "somebody said no to a purpose: ask the gate again"
    VIOLATION_OPENED = "violation.opened", "a training used data without permission"
    ERASURE_COMPLETED = "erasure.completed", "every part of an erasure has its outcome"
    MODEL_AFFECTED = "model.affected", "a model version holds data that is to be erased"
    REQUEST_DUE = "request.due", "the time to answer a rights request is running out, or is up"
    REMEDIATION_DUE = "remediation.due", "a model version is due in a week, and nothing was done"
    REMEDIATION_OVERDUE = "remediation.overdue", "a model version was not made good in time"
    REMEDIATION_REOPENED = "remediation.reopened", "a model version is no longer made good"


class WebhookEndpoint(models.Model):
    """Where a client wants to be told, by Standard Webhooks 1.0.

    The address can hold a secret, so it is sealed; ``host`` is what people are shown.
    ``disabled_code`` says why nothing is sent any more; empty while it is.
    """

    uuid = public_id()
    client = models.ForeignKey(ApiClient, on_delete=models.PROTECT, related_name="webhooks")
    host = models.TextField()
    url_sealed = models.BinaryField()
    kinds = ArrayField(models.TextField(choices=WebhookKind.choices))
    disabled_at = models.DateTimeField(null=True)
    disabled_code = models.TextField(blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(disabled_at=None, disabled_code="")
                | Q(disabled_at__isnull=False) & ~Q(disabled_code=""),
                name="governance_webhook_disabled_with_code",
            ),
            models.CheckConstraint(condition=~Q(kinds=[]), name="governance_webhook_wants_a_kind"),
        ]

    def __str__(self) -> str:
        return self.host


class WebhookSecret(models.Model):
    """What an endpoint's messages are signed with; two for a while when one takes over."""

    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.PROTECT, related_name="secrets")
    sealed = models.BinaryField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    ends_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["endpoint"], condition=Q(ends_at=None), name="governance_webhook_one_secret"
            ),
        ]

    def __str__(self) -> str:
        return f"secret of {self.endpoint_id}"


class WebhookMessage(models.Model):
    """What is told; ``uuid`` is its webhook-id in every attempt to every endpoint. Never changed.

    ``about`` is the one thing that messages of a kind may be brought together by while none of
    them was sent; empty if each stands for itself.
    """

    uuid = public_id()
    kind = models.TextField(choices=WebhookKind.choices)
    about = models.TextField(blank=True)
    payload: "models.JSONField[Any, Any]" = models.JSONField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=WebhookKind.values),
                name="governance_webhookmessage_kind_known",
            ),
        ]
        indexes = [
            models.Index(
                F("kind"), F("about"), F("id").desc(), name="governance_webhook_about",
                condition=~Q(about=""),
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.kind} {self.uuid}"


class Sending(models.Model):
    """Something that is sent until it arrived or was given up. The row is the work.

    A worker claims it by raising ``token``; it is sent again at ``retry_at``. At least once: one
    whose worker died after sending is sent again, under the same webhook-id.
    """

    uuid = public_id()
    attempt = models.PositiveIntegerField(default=0)
    token = models.PositiveBigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    retry_at = models.DateTimeField(db_default=Now())
    last_status = models.PositiveSmallIntegerField(null=True)
    last_code = models.TextField(blank=True)
    delivered_at = models.DateTimeField(null=True)
    gave_up_at = models.DateTimeField(null=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return str(self.uuid)


class WebhookDelivery(Sending):
    """One message to one endpoint."""

    message = models.ForeignKey(WebhookMessage, on_delete=models.PROTECT, related_name="deliveries")
    endpoint = models.ForeignKey(
        WebhookEndpoint, on_delete=models.PROTECT, related_name="deliveries"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["message", "endpoint"], name="governance_webhookdelivery_once"
            ),
            models.CheckConstraint(
                condition=Q(delivered_at=None) | Q(gave_up_at=None),
                name="governance_webhookdelivery_ends_one_way",
            ),
        ]
        indexes = [
            # What the sweeper looks for.
            models.Index(
                F("retry_at"), name="governance_webhook_open",
                condition=Q(delivered_at=None, gave_up_at=None),
            ),
        ]  # fmt: skip
