"""What we concluded about trainings, and what is done about those that were not permitted."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from consent.models.decisions import ConsentDecision
from consent.models.gate import GateDecision
from consent.models.membership import Manifest
from consent.models.merges import SubjectMerge
from consent.models.requests import Restriction
from governance.fields import public_id
from lineage.models import ModelVersion, Run


class UseAssessment(models.Model):
    """One conclusion about one training run; the one of the highest number counts.

    It is never changed: when something is learned late, another is added. ``used`` is a serialised
    roaring bitmap (portable format) of the people whose data the run used, and stays inside;
    ``without_permission`` says how many of them had not permitted it when it read, at
    ``read_at``. ``frozen_at`` is when the provenance that was looked at had been computed, and
    ``facet`` the fingerprint of what the run said of itself: when either is another now, there is
    something to assess.
    """

    class Verdict(models.TextChoices):
        """What the use was."""

        COMPLIANT = "compliant", "permitted when it read"
        VIOLATION = "violation", "not permitted when it read"
        GAP = "gap", "what is known is not enough to say"

    class Reason(models.TextChoices):
        """Why; about runs and data sets, never about people."""

        UNKNOWN_PURPOSE = "unknown_purpose", "it declared a purpose that is not registered"
        USED_WITHOUT_PERMISSION = "used_without_permission", "people had not permitted it"
        POLICY_UNMET = "policy_unmet", "it did not meet what a policy asked for"
        ERASED_DATA_USED = "erased_data_used", "data that was erased had come back"
        GATE_ANSWER_DOES_NOT_FIT = (
            "gate_answer_does_not_fit",
            "it named an answer to another question",
        )
        PURPOSE_UNDECLARED = "purpose_undeclared", "it declared no purpose"
        INPUTS_UNKNOWN = "inputs_unknown", "nothing is known of what it read"
        UNKNOWN_DATASET = "unknown_dataset", "nobody is known to answer for a data set upstream"
        MEMBERS_UNKNOWN = "members_unknown", "a data set of people has not named them"
        LINEAGE_TRUNCATED = "lineage_truncated", "the walk upstream was cut at its bound"

    uuid = public_id()
    run = models.ForeignKey(
        Run, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    run_uuid = models.UUIDField()
    number = models.PositiveIntegerField()
    model_version = models.ForeignKey(
        ModelVersion, on_delete=models.PROTECT, null=True, related_name="+"
    )
    verdict = models.TextField(choices=Verdict.choices)
    reasons = ArrayField(models.TextField(choices=Reason.choices), default=list)
    purposes = ArrayField(models.TextField(), default=list)
    gate_decision = models.ForeignKey(
        GateDecision, on_delete=models.PROTECT, null=True, related_name="+"
    )
    used = models.BinaryField()
    without_permission = models.PositiveBigIntegerField()
    read_at = models.DateTimeField()
    frozen_at = models.DateTimeField(null=True)
    facet = models.BinaryField(default=bytes)
    assessed_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "number"], name="consent_useassessment_once"),
            models.CheckConstraint(
                condition=Q(number__gte=1), name="consent_useassessment_number_from_one"
            ),
            models.CheckConstraint(
                condition=Q(verdict__in=["compliant", "violation", "gap"]),
                name="consent_useassessment_verdict_known",
            ),
            models.CheckConstraint(
                condition=Q(verdict="compliant") | ~Q(reasons=[]),
                name="consent_useassessment_says_why",
            ),
            models.CheckConstraint(
                condition=Q(without_permission=0) | Q(verdict="violation"),
                name="consent_useassessment_unpermitted_is_violation",
            ),
        ]
        indexes = [models.Index(F("read_at"), name="consent_useassessment_read")]

    def __str__(self) -> str:
        return f"{self.verdict} {self.uuid}"


class Violation(models.Model):
    """A use without permission, until somebody settles it or a later conclusion takes it back.

    A training has at most one open violation. ``withdrawn_by`` is the later conclusion that it
    was none.
    """

    class Resolution(models.TextChoices):
        """How it was settled."""

        CONSENT_OBTAINED = "consent_obtained", "the people have permitted it since"
        DATA_REMOVED = "data_removed", "a later version was trained without the data"
        MODEL_RETIRED = "model_retired", "the model is not used any more"
        FALSE_ALARM = "false_alarm", "what was recorded was wrong"
        ACCEPTED_RISK = "accepted_risk", "it is left as it is, for the reason given"

    uuid = public_id()
    run = models.ForeignKey(
        Run, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    assessment = models.ForeignKey(UseAssessment, on_delete=models.PROTECT, related_name="+")
    opened_at = models.DateTimeField(db_default=Now(), editable=False)
    assigned_to = models.TextField(blank=True)
    assigned_at = models.DateTimeField(null=True)
    resolved_at = models.DateTimeField(null=True)
    resolution = models.TextField(choices=Resolution.choices, blank=True)
    reason = models.TextField(blank=True)
    withdrawn_by = models.ForeignKey(
        UseAssessment, on_delete=models.PROTECT, null=True, related_name="+"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["run"], condition=Q(resolved_at=None), name="consent_violation_open_once"
            ),
            models.CheckConstraint(
                condition=Q(resolved_at=None, resolution="", withdrawn_by=None)
                | Q(resolved_at__isnull=False, withdrawn_by__isnull=False, resolution="")
                | Q(resolved_at__isnull=False, withdrawn_by=None)
                & ~Q(resolution="") & ~Q(reason=""),
                name="consent_violation_settled_with_reason",
            ),
            models.CheckConstraint(
                condition=Q(assigned_to="", assigned_at=None)
                | ~Q(assigned_to="") & Q(assigned_at__isnull=False),
                name="consent_violation_assigned_to_somebody",
            ),
        ]  # fmt: skip
        indexes = [models.Index(F("run"), name="consent_violation_of_run")]

    def __str__(self) -> str:
        return str(self.uuid)


class AssessmentDue(models.Model):
    """A run whose assessment has to be made again, because something was learned late."""

    run = models.OneToOneField(
        Run, on_delete=models.DO_NOTHING, db_constraint=False, primary_key=True, related_name="+"
    )

    def __str__(self) -> str:
        return str(self.run_id)


class Unweighed(models.Model):
    """A decision, a list, a merge or a restriction that nobody has weighed yet against trainings.

    Written with what it is about, deleted when the trainings concerned are due. So the decision
    that is recorded late changes what was concluded, whoever dies in between. A merge is weighed
    when it is made and again when it is undone.
    """

    decision = models.OneToOneField(
        ConsentDecision, on_delete=models.PROTECT, null=True, related_name="+"
    )
    manifest = models.OneToOneField(Manifest, on_delete=models.PROTECT, null=True, related_name="+")
    merge = models.ForeignKey(SubjectMerge, on_delete=models.PROTECT, null=True, related_name="+")
    restriction = models.OneToOneField(
        Restriction, on_delete=models.PROTECT, null=True, related_name="+"
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(decision__isnull=False, manifest=None, merge=None, restriction=None)
                | Q(decision=None, manifest__isnull=False, merge=None, restriction=None)
                | Q(decision=None, manifest=None, merge__isnull=False, restriction=None)
                | Q(decision=None, manifest=None, merge=None, restriction__isnull=False),
                name="consent_unweighed_is_one_thing",
            ),
        ]

    def __str__(self) -> str:
        return str(self.pk)
