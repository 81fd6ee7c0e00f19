"""What exists: storages, data sets and models."""

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q

from governance.fields import public_id


class Storage(models.Model):
    """A place where data sets lie and from which people's data can be erased.

    The address can hold a password, so it is kept sealed under the organisation's key.
    """

    class Kind(models.TextChoices):
        """What is spoken there."""

        SQL = "sql", "SQL database (SQLAlchemy address)"
        FILES = "files", "files or an object store (fsspec address)"
        DELTA = "delta", "Delta Lake tables (address of their folder or bucket)"
        ICEBERG = "iceberg", "Iceberg tables (SQLAlchemy address of their catalogue)"
        HTTP = "http", "an owner's endpoint (HTTPS address with a shared key)"
        MANUAL = "manual", "only a person reaches it"

    uuid = public_id()
    name = models.TextField(unique=True)
    kind = models.TextField(choices=Kind.choices)
    address_sealed = models.BinaryField()
    enabled = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=["sql", "files", "delta", "iceberg", "http", "manual"]),
                name="governance_storage_kind_known",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Dataset(models.Model):
    """A named collection: OpenLineage's ``(namespace, name)``.

    ``registered_at`` is empty while the data set is known from events only. ``location`` is a
    table name, or a path or glob inside the storage; ``subject_column`` holds the identifier of
    the person each row is about, written in ``subject_scheme``. ``erasure_options`` are what the
    storage's kind lets its owner choose, such as to mask columns instead of deleting rows; of any
    kind, ``{"copy": false}`` keeps the rows out of the copies that people ask for.
    """

    uuid = public_id()
    namespace = models.TextField()
    name = models.TextField()
    description = models.TextField(blank=True)
    categories = ArrayField(models.TextField(), default=list, blank=True)
    storage = models.ForeignKey(
        Storage, on_delete=models.PROTECT, null=True, blank=True, related_name="datasets"
    )
    location = models.TextField(blank=True)
    subject_column = models.TextField(blank=True)
    subject_scheme = models.TextField(blank=True)
    erasure_options: "models.JSONField[Any, Any]" = models.JSONField(
        default=dict, db_default={}, blank=True
    )
    registered_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["namespace", "name"], name="governance_dataset_name_once"
            ),
            models.CheckConstraint(
                condition=Q(storage=None) | ~Q(location=""),
                name="governance_dataset_stored_somewhere",
            ),
            models.CheckConstraint(
                condition=Q(subject_column="") | ~Q(subject_scheme=""),
                name="governance_dataset_subject_scheme_said",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.namespace} {self.name}"


class Model(models.Model):
    """A thing that training produces; announced as a data set of type MODEL, or registered.

    It has no state of its own: its versions, and what they descend from, are lineage's.
    """

    uuid = public_id()
    dataset = models.OneToOneField(Dataset, on_delete=models.PROTECT, related_name="model")
    description = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return str(self.dataset)
