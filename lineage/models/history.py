"""What was said when, so that the graph can be seen as it stood at any instant.

Nothing here is needed to answer about now: it is the history behind the rows of
``lineage.models.graph``, and it goes with its month.
"""

from django.db import models

from lineage.models.graph import DatasetVersion, Run
from lineage.openlineage import RunState


class RunEvent(models.Model):
    """One event of a run: when, and the state that it gave."""

    run = models.ForeignKey(
        Run, on_delete=models.DO_NOTHING, db_constraint=False, related_name="events"
    )
    month = models.DateField()
    at = models.DateTimeField()
    state = models.PositiveSmallIntegerField(choices=[(each.value, each.name) for each in RunState])

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["run", "at", "state", "month"], name="lineage_runevent_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.run_id} {RunState(self.state).name} {self.at:%Y-%m-%d %H:%M}"


class OutputStatement(models.Model):
    """What one event said of a write: the version's name and the change of its life cycle."""

    version = models.ForeignKey(
        DatasetVersion, on_delete=models.DO_NOTHING, db_constraint=False, related_name="+"
    )
    month = models.DateField()
    at = models.DateTimeField()
    declared = models.TextField(blank=True)
    lifecycle = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["version", "at", "declared", "lifecycle", "month"],
                name="lineage_outputstatement_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.version_id} {self.declared} {self.lifecycle}"


class Horizon(models.Model):
    """Before this month nothing is known run by run any more; the last row is the one in force."""

    month = models.DateField(unique=True)
    reached_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.month:%Y-%m}"
