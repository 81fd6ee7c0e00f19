"""What people were told and what they decided."""

from datetime import UTC, datetime, timedelta
from typing import Any, Self

from django.db import models
from django.db.models import Exists, ExpressionWrapper, F, OuterRef, Q
from django.db.models.functions import Now
from django.db.models.lookups import Exact

from consent.models.subjects import Subject
from consent.rules import DecisionKind, DecisionSource
from governance.fields import public_id
from governance.models import Purpose

SIGNAL = DecisionSource.SIGNAL.value
# What a browser signals is no match for what was said, nor the other way round: each has a last.
IN_THE_SAME_VOICE = Q(source=OuterRef("source")) | ~(
    Q(source=SIGNAL) | Q(Exact(OuterRef("source"), SIGNAL))
)

# How far the clock of whoever took a decision may run ahead of the database's.
CLOCK_TOLERANCE = timedelta(minutes=5)

# BCP 47 as far as it is used: a language, then script, region or variant.
LANGUAGE = r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$"


class Notice(models.Model):
    """What people are told before they decide; its text lives in versions."""

    uuid = public_id()
    key = models.SlugField(unique=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    def __str__(self) -> str:
        return self.key


class NoticeVersion(models.Model):
    """One text in one language; a draft until ``published_at``, at most one a language.

    Once it is published, triggers refuse to change or delete it or the purposes it names.
    """

    uuid = public_id()
    notice = models.ForeignKey(Notice, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    language = models.TextField()
    title = models.TextField()
    text = models.TextField()
    purposes = models.ManyToManyField(Purpose, related_name="+")
    published_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["notice", "language", "number"], name="consent_noticeversion_number_once"
            ),
            models.UniqueConstraint(
                fields=["notice", "language"],
                condition=Q(published_at=None),
                name="consent_noticeversion_one_draft",
            ),
            models.CheckConstraint(
                condition=Q(number__gte=1), name="consent_noticeversion_number_from_one"
            ),
            models.CheckConstraint(
                condition=Q(language__regex=LANGUAGE),
                name="consent_noticeversion_language_is_a_tag",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.notice_id} {self.number} {self.language}"


class DecisionImport(models.Model):
    """Decisions that were taken over from elsewhere, and what was shown as proof of them.

    ``digest`` is a keyed digest of the file as it came, which is not kept; ``evidence`` says where
    whoever doubts it can look. The counts are of its rows: the last look at the same file counts.
    """

    uuid = public_id()
    digest = models.BinaryField(unique=True)
    evidence = models.TextField()
    recorded = models.PositiveBigIntegerField(default=0)
    repeated = models.PositiveBigIntegerField(default=0)
    refused = models.PositiveBigIntegerField(default=0)
    started_at = models.DateTimeField(db_default=Now(), editable=False)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~Q(evidence=""), name="consent_decisionimport_has_evidence"
            ),
        ]

    def __str__(self) -> str:
        return str(self.uuid)


class ConsentDecisionQuerySet(models.QuerySet["ConsentDecision"]):
    """Questions that are answered by the database."""

    def in_force(self, at: datetime) -> Self:
        """Keep, per subject and purpose, only the decision that stands at ``at``.

        It is the last by ``decided_at``; at the same instant the stronger word, and a "no" is
        always the stronger; then the one recorded later. A signal stands only where nothing was
        said by or for the person, or a "yes" that has run out. `consent.rules.in_force` says the
        same.
        """
        return self.last_words(at).heard(at, purpose_id=OuterRef("purpose_id"))

    def last_words(self, at: datetime) -> Self:
        """Keep, per subject and purpose, what was said last; and the last signal beside it."""
        same = {"subject_id": OuterRef("subject_id"), "purpose_id": OuterRef("purpose_id")}
        weightier = Q(weight__gt=OuterRef("weight")) | Q(
            weight=OuterRef("weight"), pk__gt=OuterRef("pk")
        )
        later = self.model.objects.filter(
            Q(decided_at__gt=OuterRef("decided_at"))
            | Q(decided_at=OuterRef("decided_at")) & weightier,
            IN_THE_SAME_VOICE,
            decided_at__lte=at,
            **same,
        )
        return self.filter(~Exists(later), decided_at__lte=at)

    def heard(self, at: datetime, **purposes: Any) -> Self:
        """Of each person keep, of last words on these purposes, what was said, or the signals."""
        last = self.model.objects.last_words(at).filter(
            subject_id=OuterRef("subject_id"), **purposes
        )
        run_out = Q(valid_until__lte=at)
        said = Exists(last.exclude(source=SIGNAL).exclude(run_out))
        signalled = Exists(last.filter(source=SIGNAL))
        return self.exclude(said, source=SIGNAL).exclude(run_out, ~said, signalled)


class ConsentDecision(models.Model):
    """One person's decision on one purpose; added, never changed, so no ``is_active``.

    ``decided_at`` is when the person said it, ``recorded_at`` when the database learned of it.
    ``weight`` follows from ``kind`` and settles what stands when two were said at one instant.
    ``reason_sealed`` is why an operator wrote it down, or by which right a guardian or a delegate
    spoke, under the person's own key: people write names there.
    """

    uuid = public_id()
    subject = models.ForeignKey(Subject, on_delete=models.PROTECT, related_name="decisions")
    purpose = models.ForeignKey(Purpose, on_delete=models.PROTECT, related_name="+", db_index=False)
    kind = models.TextField(choices=[(each.value, each.value) for each in DecisionKind])
    weight = models.GeneratedField(
        expression=models.Case(
            *(models.When(kind=each.value, then=each.weight) for each in DecisionKind),
            default=0,
        ),
        output_field=models.PositiveSmallIntegerField(),
        db_persist=True,
    )
    decided_at = models.DateTimeField()
    recorded_at = models.DateTimeField(db_default=Now(), editable=False)
    valid_until = models.DateTimeField(null=True)
    notice_version = models.ForeignKey(
        NoticeVersion, on_delete=models.PROTECT, null=True, related_name="+"
    )
    source = models.TextField(choices=[(each.value, each.value) for each in DecisionSource])
    reason_sealed = models.BinaryField(null=True)
    imported_by = models.ForeignKey(
        DecisionImport, on_delete=models.PROTECT, null=True, db_index=False, related_name="+"
    )
    idempotency_key = models.UUIDField()

    objects = ConsentDecisionQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["subject", "idempotency_key"], name="consent_decision_key_once"
            ),
            models.CheckConstraint(
                condition=Q(kind__in=[each.value for each in DecisionKind]),
                name="consent_decision_kind_known",
            ),
            models.CheckConstraint(
                condition=Q(source__in=[each.value for each in DecisionSource]),
                name="consent_decision_source_known",
            ),
            models.CheckConstraint(
                condition=~Q(
                    source__in=[each.value for each in DecisionSource if each.needs_reason]
                )
                | Q(reason_sealed__isnull=False),
                name="consent_decision_of_others_has_reason",
            ),
            models.CheckConstraint(
                condition=Q(valid_until=None)
                | Q(valid_until__gt=F("decided_at"), kind__in=["given", "renewed"]),
                name="consent_decision_only_a_yes_expires",
            ),
            models.CheckConstraint(
                condition=Q(
                    decided_at__lte=ExpressionWrapper(
                        F("recorded_at") + CLOCK_TOLERANCE, output_field=models.DateTimeField()
                    )
                ),
                name="consent_decision_not_in_the_future",
            ),
        ]
        indexes = [
            # What stands for one purpose, and per person what was said later.
            models.Index(
                F("purpose"), F("subject"), F("decided_at"), name="consent_decision_timeline"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.uuid}"

    def evidence(self) -> dict[str, str | None]:
        """Return what the ledger keeps of it, sealed under the person's key."""
        return {
            "decision": str(self.uuid),
            "subject": str(self.subject.uuid),
            "purpose": self.purpose.key,
            "kind": self.kind,
            "decided_at": _instant(self.decided_at),
            "recorded_at": _instant(self.recorded_at),
            "valid_until": _instant(self.valid_until) if self.valid_until else None,
            "notice_version": str(self.notice_version.uuid) if self.notice_version else None,
            "source": self.source,
        }


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
