"""What carrying out an erasure leaves behind as facts."""

import hashlib
from typing import Any

import rfc8785
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from consent.models.requests import RightsRequest
from governance.fields import public_id
from governance.models import Dataset
from lineage.models import DatasetVersion, ModelVersion


class ErasureBatch(models.Model):
    """What the erasures of several people from one data set left behind as evidence, together.

    It names nobody: figures and digests of files or tables before and after. A part that was
    erased before a storage failed is a batch without steps. Never changed.
    """

    uuid = public_id()
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="+")
    evidence: "models.JSONField[Any, Any]" = models.JSONField()
    made_at = models.DateTimeField(db_default=Now(), editable=False)

    def __str__(self) -> str:
        return str(self.uuid)

    def digest(self) -> str:
        """Return the SHA-256 of the evidence as canonical JSON (RFC 8785), in hexadecimal."""
        return hashlib.sha256(rfc8785.dumps(self.evidence)).hexdigest()


class ErasureStep(models.Model):
    """One data set of one request: locate, erase, verify.

    The row is the work: a message carries its id, a worker claims it by raising ``token`` and
    setting ``lease_until`` by the database's clock, and only the holder of the token can finish
    it. Nobody can before ``released_at``: when the plan that it belongs to was approved, which is
    at once where no policy asks for people. ``evidence`` is what a person brings who settles it by
    hand; a connector's is the batch's. ``version`` is the first that does not hold the person any
    more, by a reading or by such a word.
    ``located_rows`` is set once, before anything is erased, so that a worker that dies after
    erasing and before saying so does not turn "erased" into "not found". ``others`` are the keys of
    the person's further rows that were looked for too: what was erased stays so, whatever is said
    later of who is whom.
    ``deaths`` is how many leases in a row ran out without an answer. After some of them it is given
    up: blocked, with no ``retry_at``, so that nobody claims it before a person has it tried again.
    """

    class State(models.TextChoices):
        """Where the work stands."""

        READY = "ready", "to be done"
        RUNNING = "running", "a worker holds the lease"
        BLOCKED = "blocked", "cannot be done as things are"
        DONE = "done", "has its outcome"

    class Outcome(models.TextChoices):
        """How it ended."""

        ERASED = "erased", "erased, and read back"
        NOT_FOUND = "not_found", "looked for, and not there"
        BY_HAND = "by_hand", "erased by a person, who says so"
        EXEMPT = "exempt", "kept, with the exemption's code"

    uuid = public_id()
    request = models.ForeignKey(RightsRequest, on_delete=models.PROTECT, related_name="steps")
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="+")
    position = models.PositiveIntegerField()
    certainty = models.TextField()
    state = models.TextField(choices=State.choices, default=State.READY)
    outcome = models.TextField(choices=Outcome.choices, blank=True)
    code = models.TextField(blank=True)
    reason = models.TextField(blank=True)
    attempt = models.PositiveIntegerField(default=0)
    deaths = models.PositiveIntegerField(default=0, db_default=0)
    token = models.PositiveBigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    released_at = models.DateTimeField(null=True, db_default=Now())
    retry_at = models.DateTimeField(null=True, db_default=Now())
    located_rows = models.PositiveBigIntegerField(null=True)
    others = ArrayField(models.BigIntegerField(), default=list, db_default=[], editable=False)
    evidence: "models.JSONField[Any, Any]" = models.JSONField(default=dict, blank=True)
    batch = models.ForeignKey(
        ErasureBatch, on_delete=models.PROTECT, null=True, related_name="steps"
    )
    version = models.ForeignKey(
        DatasetVersion, on_delete=models.PROTECT, null=True, related_name="+"
    )
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["request", "dataset"], name="consent_step_once"),
            models.CheckConstraint(
                condition=Q(state__in=["ready", "running", "blocked", "done"]),
                name="consent_step_state_known",
            ),
            models.CheckConstraint(
                condition=Q(state="done", finished_at__isnull=False) & ~Q(outcome="")
                | ~Q(state="done") & Q(finished_at=None, outcome=""),
                name="consent_step_done_has_outcome",
            ),
            models.CheckConstraint(
                condition=~Q(state="running") | Q(lease_until__isnull=False),
                name="consent_step_running_has_lease",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["running", "done"]) | Q(released_at__isnull=False),
                name="consent_step_released_before_touched",
            ),
            models.CheckConstraint(
                condition=~Q(state="blocked") | ~Q(code=""), name="consent_step_blocked_has_code"
            ),
            models.CheckConstraint(
                condition=~Q(outcome="exempt") | ~Q(code=""), name="consent_step_exempt_has_code"
            ),
            models.CheckConstraint(
                condition=Q(deaths__lte=F("attempt")), name="consent_step_deaths_of_attempts"
            ),
            models.CheckConstraint(
                condition=Q(retry_at__isnull=False) | Q(state__in=["blocked", "done"]),
                name="consent_step_given_up_is_blocked",
            ),
        ]
        indexes = [
            # What the sweeper looks for.
            models.Index(
                F("retry_at"), name="consent_step_open",
                condition=~Q(state="done") & Q(released_at__isnull=False),
            ),
            # The requests that have some left.
            models.Index(F("request"), name="consent_step_undone", condition=~Q(state="done")),
            # From a row to the steps of other rows that were one person with it.
            GinIndex(fields=["others"], name="consent_step_others", condition=~Q(others=[])),
        ]  # fmt: skip

    def __str__(self) -> str:
        return str(self.uuid)

    @property
    def read_back(self) -> bool:
        """Say whether its outcome rests on a reading of the data, and not on a person's word."""
        return self.outcome == self.Outcome.ERASED or self.batch_id is not None


class Remediation(models.Model):
    """One affected model version of one request, until it is made good.

    ``retrain`` is never claimed but observed: ``closed_by`` is the later version of the model
    whose provenance no longer holds the person's data. Every other way to make it good is a
    measure, and whether one holds now is asked (``consent.selectors.remedies``);
    ``closing_recorded_at`` says only that the ledger knows of it. ``due_at`` can bring the
    request's due date forward.
    """

    class Outcome(models.TextChoices):
        """How it was made good."""

        RETRAINED = "retrained", "a later version was trained without the data"
        UNLEARNED = "unlearned", "unlearned by a certified method"
        RETIRED = "retired", "not in use any more"
        EXEMPT = "exempt", "left as it is, with the exemption's code"

    uuid = public_id()
    request = models.ForeignKey(
        RightsRequest, on_delete=models.PROTECT, related_name="remediations"
    )
    model_version = models.ForeignKey(ModelVersion, on_delete=models.PROTECT, related_name="+")
    certainty = models.TextField()
    opened_at = models.DateTimeField(db_default=Now())
    closed_at = models.DateTimeField(null=True)
    outcome = models.TextField(choices=Outcome.choices, blank=True)
    code = models.TextField(blank=True)
    closed_by = models.ForeignKey(
        ModelVersion, on_delete=models.PROTECT, null=True, related_name="+"
    )
    owner = models.TextField(blank=True, default="", db_default="")
    due_at = models.DateTimeField(null=True)
    closing_recorded_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["request", "model_version"], name="consent_remediation_once"
            ),
            models.CheckConstraint(
                condition=Q(closed_at=None, outcome="")
                | Q(closed_at__isnull=False, outcome="retrained", closed_by__isnull=False)
                | Q(closed_at__isnull=False, outcome="exempt") & ~Q(code=""),
                name="consent_remediation_closed_with_reason",
            ),
            models.CheckConstraint(
                condition=Q(closed_by=None) | ~Q(closed_by=F("model_version")),
                name="consent_remediation_not_closed_by_itself",
            ),
        ]
        indexes = [
            models.Index(F("request"), name="consent_remediation_open", condition=Q(outcome="")),
        ]

    def __str__(self) -> str:
        return str(self.uuid)
