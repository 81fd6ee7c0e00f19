"""What the gate answered."""

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from governance.fields import public_id
from governance.models import ApiClient, Dataset, Purpose
from lineage.models import DatasetVersion


class GateDecision(models.Model):
    """Whether data sets may be used for a purpose, as it stood at ``decided_at``.

    ``excluded`` is a serialised roaring bitmap (portable format) of the people whose rows may
    not be used. It stays inside: whoever asked filters by identifiers it already has.
    ``explicit`` says that a "yes" is needed whatever the legal ground, ``policies`` which versions
    of policies ask for something, ``mechanism`` what was said to protect people. ``purpose``
    is empty if the one that was asked about is not known, which is refused. The model's names are
    empty if none was named: then the answer is for any.
    """

    class Outcome(models.TextChoices):
        """The four answers."""

        PERMIT = "permit", "all rows may be used"
        DENY = "deny", "no row may be used"
        PERMIT_WITH_EXCLUSIONS = "permit_with_exclusions", "all rows but those of some people"
        GAP = "gap", "what is known is not enough to say"

    class Reason(models.TextChoices):
        """Why; about data sets, never about people."""

        UNKNOWN_PURPOSE = "unknown_purpose", "the purpose is not registered"
        EVERYBODY_EXCLUDED = "everybody_excluded", "every known person is excluded"
        SOME_EXCLUDED = "some_excluded", "some people are excluded"
        NEEDS_DIFFERENTIAL_PRIVACY = (
            "needs_differential_privacy", "a policy asks for training that hides each person"
        )  # fmt: skip
        BUDGET_EXCEEDED = "budget_exceeded", "the training's facts leak more than a policy allows"
        NEEDS_FEDERATION = "needs_federation", "a policy asks for training that goes to the data"
        NEEDS_SECURE_AGGREGATION = (
            "needs_secure_aggregation", "a policy asks for rounds that nobody can look into"
        )  # fmt: skip
        COHORT_TOO_SMALL = "cohort_too_small", "fewer people than a policy asks for"
        KEPT_TOO_LONG = "kept_too_long", "people are in it for longer than a policy allows"
        ERASED_DATA_PRESENT = "erased_data_present", "data that was erased has come back"
        UNKNOWN_DATASET = "unknown_dataset", "nobody is known to answer for a data set upstream"
        MEMBERS_UNKNOWN = "members_unknown", "a data set of people has not named them"
        LINEAGE_TRUNCATED = "lineage_truncated", "the walk upstream was cut at its bound"

    uuid = public_id()
    client = models.ForeignKey(ApiClient, on_delete=models.PROTECT, null=True, related_name="+")
    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT, null=True, related_name="+")
    outcome = models.TextField(choices=Outcome.choices)
    reasons = ArrayField(models.TextField(choices=Reason.choices), default=list)
    excluded_count = models.PositiveBigIntegerField()
    excluded = models.BinaryField()
    explicit = models.BooleanField(default=False, db_default=False)
    policies = ArrayField(models.TextField(), default=list, db_default=[])
    mechanism: "models.JSONField[Any, Any]" = models.JSONField(default=dict, db_default={})
    model_namespace = models.TextField(default="", db_default="")
    model_name = models.TextField(default="", db_default="")
    decided_at = models.DateTimeField()
    expires_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(model_namespace="", model_name="")
                | ~Q(model_namespace="") & ~Q(model_name=""),
                name="consent_gatedecision_model_has_both_names",
            ),
            models.CheckConstraint(
                condition=Q(outcome__in=["permit", "deny", "permit_with_exclusions", "gap"]),
                name="consent_gatedecision_outcome_known",
            ),
            models.CheckConstraint(
                condition=Q(outcome="permit", reasons=[]) | ~Q(outcome="permit") & ~Q(reasons=[]),
                name="consent_gatedecision_says_why",
            ),
            models.CheckConstraint(
                condition=~Q(outcome="permit") | Q(excluded_count=0),
                name="consent_gatedecision_permit_excludes_nobody",
            ),
            models.CheckConstraint(
                condition=Q(purpose__isnull=False) | Q(outcome="deny"),
                name="consent_gatedecision_unknown_purpose_denied",
            ),
            models.CheckConstraint(
                condition=Q(expires_at__gt=F("decided_at")), name="consent_gatedecision_expires"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.outcome} {self.uuid}"


class GateInput(models.Model):
    """A data set that was asked about, and its version at that moment."""

    decision = models.ForeignKey(
        GateDecision, on_delete=models.PROTECT, related_name="inputs", db_index=False
    )
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="+")
    version = models.ForeignKey(DatasetVersion, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["decision", "dataset"], name="consent_gateinput_dataset_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.dataset_id} in {self.decision_id}"
