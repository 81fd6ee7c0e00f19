"""The operator's view: everything here is to be read, and changed only through the services."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Model as Row
from django.http import HttpRequest

from governance import models

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Row]
else:
    Base = admin.ModelAdmin


class ReadOnly(Base):
    """No adding, no changing, no deleting: that would go past ledger and services.

    Sealed bytes and digests are left out; they say nothing to a person.
    """

    ordering = ("-pk",)
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse."""
        return False


@admin.register(models.Storage)
class StorageAdmin(ReadOnly):
    """Storages, without their addresses."""

    list_display = ("name", "kind", "enabled", "created_at")
    list_filter = ("kind", "enabled")
    search_fields = ("name",)
    exclude = ("address_sealed",)


@admin.register(models.Dataset)
class DatasetAdmin(ReadOnly):
    """Data sets, registered or known from events."""

    list_display = ("namespace", "name", "storage", "subject_column", "registered_at")
    list_filter = (("registered_at", admin.EmptyFieldListFilter), "storage")
    list_select_related = ("storage",)
    search_fields = ("namespace", "name")


@admin.register(models.Model)
class ModelAdmin(ReadOnly):
    """Models."""

    list_display = ("dataset", "created_at")
    list_select_related = ("dataset",)
    search_fields = ("dataset__namespace", "dataset__name")


@admin.register(models.Purpose)
class PurposeAdmin(ReadOnly):
    """Purposes."""

    list_display = ("key", "title", "legal_basis", "parent")
    list_filter = ("legal_basis",)
    list_select_related = ("parent",)
    search_fields = ("key", "title")


@admin.register(models.PolicyVersion)
class PolicyVersionAdmin(ReadOnly):
    """Texts of policies; those without an instant of publication are drafts."""

    list_display = ("policy", "number", "title", "published_at")
    list_filter = (("published_at", admin.EmptyFieldListFilter),)
    list_select_related = ("policy",)
    search_fields = ("policy__key", "title")


@admin.register(models.ApiKey)
class ApiKeyAdmin(ReadOnly):
    """Keys; `manage.py issue_key` and `revoke_key` make and end them."""

    list_display = ("key_id", "client", "scopes", "namespaces", "expires_at", "revoked_at")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter),)
    list_select_related = ("client",)
    search_fields = ("key_id", "client__name")
    exclude = ("secret_sha256",)


@admin.register(models.LedgerRecord)
class LedgerRecordAdmin(ReadOnly):
    """What happened, by kind; the facts themselves are sealed."""

    list_display = ("uuid", "kind", "queued_at")
    search_fields = ("=uuid", "kind")
    exclude = ("sealed",)


@admin.register(models.LedgerEntry)
class LedgerEntryAdmin(ReadOnly):
    """Numbered leaves."""

    list_display = ("index", "record")
    list_select_related = ("record",)
    search_fields = ("=index",)
    exclude = ("leaf", "leaf_hash")
