"""Which inputs flow into which outputs, where producers say more than "read" and "wrote"."""

from django.db import models
from django.db.models import F, Q

from governance.models import Dataset
from lineage.models.graph import Job, Run


class Flow(models.Model):
    """A run's output comes from this input, or, where ``input`` is empty, from none.

    Where a run says so of an output, the product of all its inputs and outputs does not hold for
    it. ``explicit`` is the ``lineage`` facet, which adds up over a run's events; ``columns`` is
    ``columnLineage``, of which the last stands. ``masked``: no column passes unmasked.
    """

    class Kind(models.TextChoices):
        """Which facet says it; the first that is there stands for an output."""

        EXPLICIT = "explicit", "the lineage facet"
        COLUMNS = "columns", "the columnLineage facet"

    run = models.ForeignKey(
        Run, on_delete=models.DO_NOTHING, db_constraint=False, related_name="flows"
    )
    month = models.DateField()
    output = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="+")
    input = models.ForeignKey(Dataset, on_delete=models.PROTECT, null=True, related_name="+")
    kind = models.TextField(choices=Kind.choices)
    masked = models.BooleanField()
    event_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["run", "output", "kind", "event_at", "input", "month"],
                name="lineage_flow_once",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=Q(kind__in=["explicit", "columns"]), name="lineage_flow_kind_known"
            ),
            models.CheckConstraint(
                condition=Q(input__isnull=False) | Q(masked=False),
                name="lineage_flow_masks_a_source",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.input_id} → {self.output_id}"


class Design(models.Model):
    """What a job, or whoever describes a data set, says of it without a run.

    The last statement of a job stands until its next. Whoever reads the output of a job that is
    known by its design alone, such as a view, reads the inputs behind it as they stand then.
    """

    job = models.ForeignKey(Job, on_delete=models.PROTECT, null=True, related_name="designs")
    about = models.ForeignKey(Dataset, on_delete=models.PROTECT, null=True, related_name="+")
    event_at = models.DateTimeField()
    input = models.ForeignKey(Dataset, on_delete=models.PROTECT, null=True, related_name="+")
    output = models.ForeignKey(Dataset, on_delete=models.PROTECT, null=True, related_name="+")
    masked = models.BooleanField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["job", "about", "event_at", "input", "output"],
                name="lineage_design_once",
                nulls_distinct=False,
            ),
            models.CheckConstraint(
                condition=Q(job__isnull=False, about__isnull=True)
                | Q(job__isnull=True, about__isnull=False),
                name="lineage_design_of_a_job_or_a_dataset",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.input_id} → {self.output_id} by {self.job_id or 'nobody'}"


class DatasetEdge(models.Model):
    """Content of one data set may have flowed into another, by whatever was ever said.

    The database notes it, whoever writes that a run read or wrote, a flow, a design or a kept
    edge. Nothing is taken back, not even when a run's month goes. ``down`` is followed from input
    to output, ``up`` from output to input: a source that a run did not announce as read lies above
    all that the run wrote, and only what it is said to flow into lies below. ``masks``: something
    masked was said, so whether all of it was has to be looked up.
    """

    input = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="+", db_index=False)
    output = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="+")
    down = models.BooleanField()
    up = models.BooleanField()
    masks = models.BooleanField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["input", "output"], name="lineage_datasetedge_once"),
            models.CheckConstraint(
                condition=Q(down=True) | Q(up=True), name="lineage_datasetedge_is_followed"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.input_id} → {self.output_id}"


class ColumnEdge(models.Model):
    """A column flowed into a column, when it was first and last said, and how.

    An empty ``output_field`` is the whole data set: a filter, a join or a sort by the input's
    column. ``job`` is empty where the data set itself was described. ``masking`` says that the
    value cannot be read from the result.
    """

    job = models.ForeignKey(Job, on_delete=models.PROTECT, null=True, related_name="+")
    input = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="+")
    input_field = models.TextField()
    output = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="+")
    output_field = models.TextField(blank=True)
    kind = models.TextField(blank=True)
    subtype = models.TextField(blank=True)
    description = models.TextField(blank=True)
    masking = models.BooleanField()
    digest = models.BinaryField()
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["digest"], name="lineage_columnedge_once"),
            models.CheckConstraint(
                condition=Q(first_at__lte=F("last_at")), name="lineage_columnedge_times_in_order"
            ),
        ]
        indexes = [
            models.Index(F("input"), F("input_field"), name="lineage_columnedge_down"),
            models.Index(F("output"), F("output_field"), name="lineage_columnedge_up"),
        ]

    def __str__(self) -> str:
        return f"{self.input_id}.{self.input_field} → {self.output_id}.{self.output_field}"
