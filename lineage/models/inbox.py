"""What pipelines sent, before and after it is applied."""

from typing import Any

from django.db import models
from django.db.models import F, Q

from governance.fields import public_id
from governance.models import ApiClient


class InboxEvent(models.Model):
    """One event as it came, sealed, because raw events can hold personal data.

    A repeat is the same source and the same canonical body. ``dead`` is an event that cannot be
    understood: it keeps its reason, as a sentence and as a stable code, and is not applied unless
    it is replayed. ``warnings`` are what was odd about one that was applied.
    """

    class State(models.TextChoices):
        """Where the event stands."""

        READY = "ready", "accepted, not yet applied"
        DONE = "done", "applied to the graph"
        DEAD = "dead", "cannot be understood"

    uuid = public_id()
    client = models.ForeignKey(ApiClient, on_delete=models.PROTECT, related_name="+")
    digest = models.BinaryField()
    body_sealed = models.BinaryField()
    state = models.TextField(choices=State.choices, default=State.READY)
    reason = models.TextField(blank=True)
    reason_code = models.TextField(blank=True, default="", db_default="")
    warnings: "models.JSONField[Any, Any]" = models.JSONField(default=list, db_default=[])
    received_at = models.DateTimeField()
    applied_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["client", "digest"], name="lineage_inbox_body_once"),
            models.CheckConstraint(
                condition=Q(state__in=["ready", "done", "dead"]), name="lineage_inbox_state_known"
            ),
            models.CheckConstraint(
                condition=~Q(state="dead") | ~Q(reason=""), name="lineage_inbox_dead_has_a_reason"
            ),
        ]
        indexes = [
            # The worker's queue, and the measure of overload.
            models.Index(F("id"), name="lineage_inbox_ready", condition=Q(state="ready")),
        ]

    def __str__(self) -> str:
        return str(self.uuid)
