"""What flowed where: jobs, runs, what they read, and the versions they wrote.

Only facts are kept, each merged so that order and repetition of events do not matter: minima,
maxima by event time, and unions. Which version a run read is not a fact but follows from the
times, in one place: the database function ``lineage_versions_read``.
"""

from typing import Any

from django.contrib.postgres.functions import RandomUUID
from django.db import models
from django.db.models import F, Q

from governance.models import Dataset
from lineage.openlineage import RunState


class Job(models.Model):
    """As in OpenLineage."""

    uuid = models.UUIDField(db_default=RandomUUID(), unique=True, editable=False)
    namespace = models.TextField()
    name = models.TextField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["namespace", "name"], name="lineage_job_name_once"),
        ]

    def __str__(self) -> str:
        return f"{self.namespace} {self.name}"


class Run(models.Model):
    """One run of one job; the same run id under two jobs is two runs, as Dagster sends it.

    ``state_at`` is the event time of the state, so it is the end of a run whose state is
    terminal. A run without a terminal state is taken to have gone on until it was last heard of.

    Runs and what hangs on them are partitioned by ``month``, the one in which the run was when it
    became known, so that old months can be dropped at once. A key of a partitioned table cannot be
    referred to by the database, so references to runs have no constraint.
    """

    uuid = models.UUIDField(db_default=RandomUUID(), editable=False)
    month = models.DateField()
    run_id = models.TextField()
    job = models.ForeignKey(Job, on_delete=models.PROTECT, related_name="runs")
    state = models.PositiveSmallIntegerField(choices=[(each.value, each.name) for each in RunState])
    state_at = models.DateTimeField()
    started_at = models.DateTimeField()
    last_heard_at = models.DateTimeField()
    parent = models.ForeignKey(
        "self", on_delete=models.DO_NOTHING, db_constraint=False, null=True,
        related_name="children",
    )  # fmt: skip
    root = models.ForeignKey(
        "self", on_delete=models.DO_NOTHING, db_constraint=False, null=True, related_name="+"
    )
    parent_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["uuid", "month"], name="lineage_run_uuid_once"),
            models.UniqueConstraint(fields=["job", "run_id", "month"], name="lineage_run_id_once"),
            models.CheckConstraint(
                condition=Q(started_at__lte=F("state_at"), state_at__lte=F("last_heard_at")),
                name="lineage_run_times_in_order",
            ),
        ]

    def __str__(self) -> str:
        return self.run_id


class RunInput(models.Model):
    """A run read a data set; ``declared`` is the version it named, or empty."""

    run = models.ForeignKey(
        Run, on_delete=models.DO_NOTHING, db_constraint=False, related_name="inputs"
    )
    month = models.DateField()
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="+")
    declared = models.TextField(blank=True)
    announced_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["run", "dataset", "declared", "month"], name="lineage_runinput_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.run_id} reads {self.dataset_id}"


class DatasetVersion(models.Model):
    """A data set's content from one write to the next.

    ``origin``: what was there before anyone we know wrote. ``written``: by a run. ``named``: a
    version that a reader named and nobody is known to have written. ``erased``: what an erasure
    left. A version can be seen from ``visible_from``, when its writer started, and is whole at
    ``complete_at``. It carries on what was there before unless it ``replaces`` it.
    """

    class Kind(models.TextChoices):
        """Where the version comes from."""

        ORIGIN = "origin", "before the first known write"
        WRITTEN = "written", "written by a run"
        NAMED = "named", "named by a reader only"
        ERASED = "erased", "left by an erasure"

    uuid = models.UUIDField(db_default=RandomUUID(), unique=True, editable=False)
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="+")
    kind = models.TextField(choices=Kind.choices)
    identity = models.BigIntegerField()
    run = models.ForeignKey(
        Run, on_delete=models.DO_NOTHING, db_constraint=False, null=True, related_name="outputs"
    )
    declared = models.TextField(blank=True)
    declared_at = models.DateTimeField(null=True)
    lifecycle = models.TextField(blank=True)
    lifecycle_at = models.DateTimeField(null=True)
    announced_at = models.DateTimeField()
    visible_from = models.DateTimeField()
    complete_at = models.DateTimeField()
    replaces = models.BooleanField(default=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["dataset"], condition=Q(kind="origin"), name="lineage_version_one_origin"
            ),
            models.UniqueConstraint(
                fields=["dataset", "run"],
                condition=Q(kind="written"),
                name="lineage_version_once_a_run",
            ),
            models.UniqueConstraint(
                fields=["dataset", "declared"],
                condition=Q(kind="named"),
                name="lineage_version_named_once",
            ),
            models.CheckConstraint(
                condition=Q(kind="written", run__isnull=False)
                | Q(kind__in=["origin", "named", "erased"], run__isnull=True),
                name="lineage_version_written_by_a_run",
            ),
            models.CheckConstraint(
                condition=~Q(kind="named") | ~Q(declared=""), name="lineage_version_named_has_name"
            ),
            models.CheckConstraint(
                condition=Q(visible_from__lte=F("complete_at")),
                name="lineage_version_seen_before_whole",
            ),
        ]
        indexes = [
            # A data set's timeline: the last whole version before an instant, and those after.
            models.Index(F("identity"), F("complete_at"), name="lineage_version_timeline"),
            models.Index(
                F("identity"), F("declared"), name="lineage_version_declared",
                condition=~Q(declared=""),
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.dataset_id} {self.kind} {self.complete_at:%Y-%m-%d %H:%M}"


class Facet(models.Model):
    """The last facet of one name by event time; at the same instant the greater fingerprint stands.

    What may hold something personal is ``sealed`` under the organisation's key. ``fingerprint`` is
    a keyed digest of the facet as it came.
    """

    name = models.TextField()
    event_at = models.DateTimeField()
    fingerprint = models.BinaryField()
    value: "models.JSONField[Any, Any]" = models.JSONField(null=True)
    sealed = models.BinaryField(null=True)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return self.name


OPEN_OR_SEALED = Q(value__isnull=False, sealed__isnull=True) | Q(
    value__isnull=True, sealed__isnull=False
)


class RunFacet(Facet):
    """What a run's events say of the run."""

    run = models.ForeignKey(
        Run, on_delete=models.DO_NOTHING, db_constraint=False, related_name="facets"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "name"], name="lineage_runfacet_once"),
            models.CheckConstraint(
                condition=OPEN_OR_SEALED, name="lineage_runfacet_open_or_sealed"
            ),
        ]
        indexes = [
            # The runs that say of themselves that they train.
            models.Index(
                F("run"), name="lineage_runfacet_training", condition=Q(name="colophon_training")
            ),
        ]


class UseFacet(Facet):
    """What a run says of its own use of a data set that it read or wrote: figures, a version."""

    run = models.ForeignKey(
        Run, on_delete=models.DO_NOTHING, db_constraint=False, related_name="use_facets"
    )
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="+")
    written = models.BooleanField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["run", "dataset", "written", "name"], name="lineage_usefacet_once"
            ),
            models.CheckConstraint(
                condition=OPEN_OR_SEALED, name="lineage_usefacet_open_or_sealed"
            ),
        ]


class JobFacet(Facet):
    """What events say of a job."""

    job = models.ForeignKey(Job, on_delete=models.PROTECT, related_name="facets")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["job", "name"], name="lineage_jobfacet_once"),
            models.CheckConstraint(
                condition=OPEN_OR_SEALED, name="lineage_jobfacet_open_or_sealed"
            ),
        ]


class DatasetFacet(Facet):
    """What events say of a data set."""

    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="+")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["dataset", "name"], name="lineage_datasetfacet_once"),
            models.CheckConstraint(
                condition=OPEN_OR_SEALED, name="lineage_datasetfacet_open_or_sealed"
            ),
        ]
