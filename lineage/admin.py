"""The operator's view of what flowed where; raw events stay sealed."""

from django.contrib import admin

from governance.admin import ReadOnly
from lineage import models


@admin.register(models.InboxEvent)
class InboxEventAdmin(ReadOnly):
    """Events by state; a dead one says why."""

    list_display = ("uuid", "client", "state", "reason", "received_at")
    list_filter = ("state",)
    list_select_related = ("client",)
    search_fields = ("uuid", "reason")
    exclude = ("digest", "body_sealed")


@admin.register(models.Job)
class JobAdmin(ReadOnly):
    """Jobs."""

    list_display = ("namespace", "name")
    search_fields = ("namespace", "name")


@admin.register(models.Run)
class RunAdmin(ReadOnly):
    """Runs and how far they are."""

    list_display = ("run_id", "job", "state", "started_at", "state_at")
    list_filter = ("state",)
    list_select_related = ("job",)
    search_fields = ("run_id", "job__name")


@admin.register(models.DatasetVersion)
class DatasetVersionAdmin(ReadOnly):
    """Versions of data sets."""

    list_display = ("uuid", "dataset", "kind", "declared", "lifecycle", "complete_at")
    list_filter = ("kind", "replaces")
    list_select_related = ("dataset",)
    search_fields = ("dataset__namespace", "dataset__name", "declared")


@admin.register(models.ModelVersion)
class ModelVersionAdmin(ReadOnly):
    """Versions of models; with ``stale_at``, provenance is to be computed again."""

    list_display = ("uuid", "model", "version", "stale_at")
    list_select_related = ("model__dataset", "version")
    search_fields = ("model__dataset__namespace", "model__dataset__name")


@admin.register(models.Deployment)
class DeploymentAdmin(ReadOnly):
    """Where model versions are in use."""

    list_display = ("uuid", "model_version", "environment", "since", "until")
    list_filter = ("environment",)
    list_select_related = ("model_version",)
