"""What was done about model versions that hold a person's data, and who was told of delays."""

import hashlib
from typing import Any

import rfc8785
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from consent.measures import ENDING, MeasureKind
from consent.models.erasure import Remediation
from consent.models.plans import PlanApproval
from governance.fields import public_id
from governance.models import ApiClient


class RemediationMeasure(models.Model):
    """One measure, with its evidence. Whether it holds follows from it, and is stored nowhere.

    ``by`` is the client that recorded it. Where a second word is needed it is that of a person at
    the desk, ``approved_by_staff``: ``staff:`` and a key. ``approved_by`` is a second client, which
    was enough once; a trigger lets none be added. It holds until ``ends_at``, if it has an end.
    What it rests on was looked at last at ``checked_at``, and did not hold any more at
    ``lapsed_at``.
    """

    uuid = public_id()
    remediation = models.ForeignKey(Remediation, on_delete=models.PROTECT, related_name="measures")
    idempotency_key = models.UUIDField()
    kind = models.TextField(choices=[(each.value, each.value) for each in MeasureKind])
    evidence: "models.JSONField[Any, Any]" = models.JSONField()
    by = models.ForeignKey(ApiClient, on_delete=models.PROTECT, related_name="+")
    taken_at = models.DateTimeField(db_default=Now(), editable=False)
    ends_at = models.DateTimeField(null=True)
    approved_by = models.ForeignKey(
        ApiClient, on_delete=models.PROTECT, null=True, related_name="+"
    )
    approved_by_staff = models.TextField(blank=True, default="", db_default="")
    approved_at = models.DateTimeField(null=True)
    checked_at = models.DateTimeField(db_default=Now())
    lapsed_at = models.DateTimeField(null=True)
    lapsed_code = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["remediation", "idempotency_key"], name="consent_measure_key_once"
            ),
            models.CheckConstraint(
                condition=Q(kind__in=[each.value for each in MeasureKind]),
                name="consent_measure_kind_known",
            ),
            models.CheckConstraint(
                condition=Q(kind__in=[each.value for each in ENDING], ends_at__isnull=False)
                | ~Q(kind__in=[each.value for each in ENDING]) & Q(ends_at=None),
                name="consent_measure_ends_by_its_kind",
            ),
            models.CheckConstraint(
                condition=Q(ends_at=None) | Q(ends_at__gt=F("taken_at")),
                name="consent_measure_ends_later",
            ),
            models.CheckConstraint(
                condition=Q(approved_by=None, approved_by_staff="", approved_at=None)
                | Q(approved_by__isnull=False, approved_by_staff="", approved_at__isnull=False)
                & ~Q(approved_by=F("by"))
                | Q(approved_by=None, approved_at__isnull=False)
                & Q(approved_by_staff__startswith=PlanApproval.STAFF),
                name="consent_measure_approved_by_another",
            ),
            models.CheckConstraint(
                condition=Q(lapsed_at=None, lapsed_code="")
                | Q(lapsed_at__isnull=False) & ~Q(lapsed_code=""),
                name="consent_measure_lapsed_with_code",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.uuid}"

    @property
    def second(self) -> str | None:
        """Return who stands for it besides whoever recorded it, by a name that we can resolve."""
        if self.approved_by is not None:
            return f"client:{self.approved_by.uuid}"
        return self.approved_by_staff or None

    def digest(self) -> str:
        """Return the SHA-256 of the evidence as canonical JSON (RFC 8785), in hexadecimal."""
        return hashlib.sha256(rfc8785.dumps(self.evidence)).hexdigest()


class Escalation(models.Model):
    """That a delay was told, once."""

    class Kind(models.TextChoices):
        """Which delay."""

        DUE_SOON = "due_soon", "due within a week, and nothing was done"
        OVERDUE = "overdue", "not made good in time"

    remediation = models.ForeignKey(
        Remediation, on_delete=models.PROTECT, related_name="escalations"
    )
    kind = models.TextField(choices=Kind.choices)
    told_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["remediation", "kind"], name="consent_escalation_once"),
            models.CheckConstraint(
                condition=Q(kind__in=["due_soon", "overdue"]), name="consent_escalation_kind_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.remediation_id}"
