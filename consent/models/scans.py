"""Reading from a storage itself who is in a data set."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from consent.models.membership import Manifest
from governance.fields import public_id
from governance.models import ApiClient, Dataset


class MembershipScan(models.Model):
    """One reading of a data set's subject column, and the manifest that came of it.

    The row is the work, as an erasure's step is: a worker claims it by raising ``token`` and
    setting ``lease_until`` by the database's clock, and only the holder of the token can finish
    it. A data set has one that is not done, at most.

    ``rows`` counts values that were read, ``unusable`` those of them that can identify nobody;
    ``code`` and ``reason`` say what stands in the way, or what the outcome lacks. What was read
    is kept nowhere.
    """

    class State(models.TextChoices):
        """Where the work stands."""

        READY = "ready", "waits for a worker"
        RUNNING = "running", "is being read"
        BLOCKED = "blocked", "is tried again"
        DONE = "done", "has an outcome"

    class Outcome(models.TextChoices):
        """What came of it."""

        COMPLETE = "complete", "exactly the people read are in the version"
        INCOMPLETE = "incomplete", "the people read are in the version, and others may be"
        FAILED = "failed", "nothing was taken"

    uuid = public_id()
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="+")
    requested_from = models.ForeignKey(
        ApiClient, on_delete=models.PROTECT, null=True, related_name="+"
    )
    requested_at = models.DateTimeField(db_default=Now(), editable=False)
    state = models.TextField(choices=State.choices, default=State.READY)
    outcome = models.TextField(choices=Outcome.choices, blank=True)
    code = models.TextField(blank=True)
    reason = models.TextField(blank=True)
    attempt = models.PositiveIntegerField(default=0)
    token = models.PositiveBigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    retry_at = models.DateTimeField(db_default=Now())
    rows = models.PositiveBigIntegerField(default=0)
    unusable = models.PositiveBigIntegerField(default=0)
    manifest = models.OneToOneField(
        Manifest, on_delete=models.PROTECT, null=True, related_name="scan"
    )
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["dataset"], condition=~Q(state="done"), name="consent_scan_open_once"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["ready", "running", "blocked", "done"]),
                name="consent_scan_state_known",
            ),
            models.CheckConstraint(
                condition=Q(outcome__in=["", "complete", "incomplete", "failed"]),
                name="consent_scan_outcome_known",
            ),
            models.CheckConstraint(
                condition=Q(state="done", finished_at__isnull=False) & ~Q(outcome="")
                | ~Q(state="done") & Q(finished_at=None, outcome=""),
                name="consent_scan_done_has_outcome",
            ),
            models.CheckConstraint(
                condition=~Q(state="running") | Q(lease_until__isnull=False),
                name="consent_scan_running_has_lease",
            ),
            models.CheckConstraint(
                condition=~Q(state="blocked") | ~Q(code=""), name="consent_scan_blocked_has_code"
            ),
            models.CheckConstraint(
                condition=~Q(outcome__in=["incomplete", "failed"]) | ~Q(code=""),
                name="consent_scan_lacking_has_code",
            ),
            models.CheckConstraint(
                condition=Q(outcome__in=["complete", "incomplete"], manifest__isnull=False)
                | Q(outcome__in=["", "failed"], manifest=None),
                name="consent_scan_taken_has_manifest",
            ),
            models.CheckConstraint(
                condition=Q(unusable__lte=F("rows")), name="consent_scan_unusable_of_rows"
            ),
        ]  # fmt: skip
        indexes = [
            # What the sweeper looks for.
            models.Index(F("retry_at"), name="consent_scan_open", condition=~Q(state="done")),
        ]

    def __str__(self) -> str:
        return str(self.uuid)
