"""The operator's view of requests and decisions. It never says who a person is."""

from django.contrib import admin

from consent import models
from governance.admin import ReadOnly


@admin.register(models.Subject)
class SubjectAdmin(ReadOnly):
    """People, by a name that means nothing outside."""

    list_display = ("uuid", "created_at", "erased_at")
    search_fields = ("uuid",)
    fields = ("uuid", "created_at", "erased_at")


@admin.register(models.SubjectMerge)
class SubjectMergeAdmin(ReadOnly):
    """Which rows are one person; not why, which is sealed."""

    list_display = ("uuid", "one", "other", "merged_at", "merged_by", "undone_at", "undone_by")
    list_select_related = ("one", "other", "merged_by", "undone_by")
    exclude = ("reason_sealed", "undo_reason_sealed")


@admin.register(models.NoticeVersion)
class NoticeVersionAdmin(ReadOnly):
    """What people were told."""

    list_display = ("notice", "number", "language", "title", "published_at")
    list_filter = ("language",)
    list_select_related = ("notice",)


@admin.register(models.ConsentDecision)
class ConsentDecisionAdmin(ReadOnly):
    """Decisions, as they were recorded."""

    list_display = ("uuid", "subject", "purpose", "kind", "source", "decided_at", "recorded_at")
    list_filter = ("kind", "source")
    list_select_related = ("subject", "purpose")


@admin.register(models.Manifest)
class ManifestAdmin(ReadOnly):
    """Lists of people that were handed in; the lists themselves are not kept."""

    list_display = ("uuid", "dataset", "mode", "rows", "received_at")
    list_filter = ("mode",)
    list_select_related = ("dataset",)
    exclude = ("digest",)


@admin.register(models.MembershipScan)
class MembershipScanAdmin(ReadOnly):
    """Readings of storages, by what came of them."""

    list_display = ("uuid", "dataset", "state", "outcome", "code", "attempt", "requested_at")
    list_filter = ("state", "outcome", "code")
    list_select_related = ("dataset",)


@admin.register(models.GateDecision)
class GateDecisionAdmin(ReadOnly):
    """What the gate answered; not whom it left out."""

    list_display = ("uuid", "client", "purpose", "outcome", "reasons", "decided_at")
    list_filter = ("outcome",)
    list_select_related = ("client", "purpose")
    exclude = ("excluded",)


@admin.register(models.RightsRequest)
class RightsRequestAdmin(ReadOnly):
    """Requests, the nearest due date first."""

    ordering = ("due_at",)
    list_display = (
        "uuid", "kind", "law", "received_at", "due_at", "verified_at", "refused_at",
        "completion_recorded_at",
    )  # fmt: skip
    list_filter = ("kind", "law", "source")
    search_fields = ("uuid",)
    exclude = ("reason_sealed", "details_sealed", "answer_sealed")


@admin.register(models.ErasureStep)
class ErasureStepAdmin(ReadOnly):
    """Steps; a blocked one says what stands in the way."""

    list_display = ("uuid", "request", "dataset", "state", "outcome", "code", "attempt", "retry_at")
    list_filter = ("state", "outcome", "code")
    list_select_related = ("request", "dataset")
    search_fields = ("uuid", "request__uuid")


@admin.register(models.Remediation)
class RemediationAdmin(ReadOnly):
    """Model versions to be made good."""

    list_display = ("uuid", "request", "model_version", "outcome", "opened_at", "closed_at")
    list_filter = ("outcome",)
    list_select_related = ("request", "model_version")


@admin.register(models.RemediationMeasure)
class RemediationMeasureAdmin(ReadOnly):
    """What was done about model versions."""

    list_display = ("uuid", "remediation", "kind", "by", "taken_at", "ends_at", "lapsed_code")
    list_filter = ("kind",)
    list_select_related = ("remediation", "by")


@admin.register(models.Recipient)
class RecipientAdmin(ReadOnly):
    """Who received data or models; not their address."""

    list_display = ("name", "host", "scheme", "created_at", "ended_at")
    exclude = ("url_sealed",)


@admin.register(models.RecipientNotice)
class RecipientNoticeAdmin(ReadOnly):
    """What recipients are told of requests."""

    list_display = ("uuid", "request", "recipient", "attempt", "last_code", "delivered_at")
    list_filter = ("last_code",)
    list_select_related = ("request", "recipient")
