"""Where versions of models are in use, from when until when, as pipelines tell it."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from governance.fields import public_id
from lineage.models.provenance import ModelVersion


class Deployment(models.Model):
    """A model version in use in an environment; over once ``until`` is said.

    ``since`` is the earliest and ``until`` the first that was said, so that neither order nor
    repetition of what pipelines tell matters.
    """

    uuid = public_id()
    model_version = models.ForeignKey(
        ModelVersion, on_delete=models.PROTECT, related_name="deployments"
    )
    environment = models.TextField()
    since = models.DateTimeField()
    until = models.DateTimeField(null=True)
    announced_at = models.DateTimeField(db_default=Now(), editable=False)
    ended_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["model_version", "environment", "since"], name="lineage_deployment_once"
            ),
            models.UniqueConstraint(
                fields=["model_version", "environment"], condition=Q(until=None),
                name="lineage_deployment_runs_once",
            ),
            models.CheckConstraint(
                condition=Q(until=None) | Q(until__gte=F("since")),
                name="lineage_deployment_ends_after_it_began",
            ),
            models.CheckConstraint(
                condition=Q(until=None, ended_at=None)
                | Q(until__isnull=False, ended_at__isnull=False),
                name="lineage_deployment_end_was_told",
            ),
            models.CheckConstraint(
                condition=~Q(environment=""), name="lineage_deployment_is_somewhere"
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.environment} {self.uuid}"
