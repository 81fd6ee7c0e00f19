"""Plans of erasures as people read them, what looks without touching found, and who approved."""

from typing import Any

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from consent.models.requests import RightsRequest
from governance.fields import public_id
from governance.models import Dataset


class ErasurePlan(models.Model):
    """What an erasure will do, as it was written down. Never changed; the last of a request counts.

    ``content`` is what people read, ``digest`` its SHA-256 as canonical JSON (RFC 8785): whoever
    approves says which content they read. ``approvals`` is how many people have to; that it was
    approved is not a column but follows from who did.
    """

    uuid = public_id()
    request = models.ForeignKey(RightsRequest, on_delete=models.PROTECT, related_name="plans")
    number = models.PositiveSmallIntegerField()
    content: "models.JSONField[Any, Any]" = models.JSONField()
    digest = models.TextField()
    approvals = models.PositiveSmallIntegerField()
    made_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["request", "number"], name="consent_plan_number_once"),
            models.CheckConstraint(
                condition=Q(approvals__lte=2), name="consent_plan_approvals_possible"
            ),
        ]

    def __str__(self) -> str:
        return str(self.uuid)


class PlanApproval(models.Model):
    """Somebody has read a plan and approves it; each person once. Never changed.

    ``by`` is a name that only we can resolve: ``staff:`` or ``client:`` and a key. A client is a
    machine or a team, and whoever holds its key has a name of their own at the desk. So where two
    people are asked for a trigger refuses whoever is none of the staff.
    """

    STAFF = "staff:"

    plan = models.ForeignKey(ErasurePlan, on_delete=models.PROTECT, related_name="approved_by")
    by = models.TextField()
    at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["plan", "by"], name="consent_approval_once_a_person"),
            models.CheckConstraint(condition=~Q(by=""), name="consent_approval_by_somebody"),
        ]

    def __str__(self) -> str:
        return self.by


class PlanRejection(models.Model):
    """A plan that is not carried out: another is made in its place. Never changed.

    ``by`` is empty where nobody rejected it and what it says had changed before it was approved.
    """

    plan = models.OneToOneField(ErasurePlan, on_delete=models.PROTECT, related_name="rejection")
    by = models.TextField(blank=True)
    reason = models.TextField()
    at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=~Q(reason=""), name="consent_rejection_with_reason"),
        ]

    def __str__(self) -> str:
        return self.reason


class DryRun(models.Model):
    """A look at one data set of a plan that waits for approval; nothing is touched.

    The row is the work, as a step is. It ends with ``rows`` and the ``parts`` that hold them, or
    with the code of what stood in the way. Those of one ``asked_at`` belong together.
    """

    plan = models.ForeignKey(ErasurePlan, on_delete=models.PROTECT, related_name="dry_runs")
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField()
    attempt = models.PositiveIntegerField(default=0)
    token = models.PositiveBigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    rows = models.PositiveBigIntegerField(null=True)
    parts: "models.JSONField[Any, Any]" = models.JSONField(default=list, blank=True)
    code = models.TextField(blank=True)
    reason = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["plan", "dataset", "asked_at"], name="consent_dryrun_once"
            ),
            models.CheckConstraint(
                condition=Q(finished_at=None, rows=None, code="")
                | Q(finished_at__isnull=False, rows__isnull=False, code="")
                | Q(finished_at__isnull=False, rows=None) & ~Q(code=""),
                name="consent_dryrun_ends_with_rows_or_code",
            ),
        ]
        indexes = [
            # What the sweeper looks for.
            models.Index(F("id"), name="consent_dryrun_open", condition=Q(finished_at=None)),
        ]

    def __str__(self) -> str:
        return f"{self.plan_id} {self.dataset_id}"
