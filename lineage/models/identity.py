"""Data sets that are one under several names."""

from django.db import models
from django.db.models import F, Q

from governance.models import Dataset


class Alias(models.Model):
    """Two names that an event called one: a symlink, or a rename. ``low`` has the smaller key."""

    low = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="+")
    high = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="+")
    announced_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["low", "high"], name="lineage_alias_once"),
            models.CheckConstraint(condition=Q(low__lt=F("high")), name="lineage_alias_of_two"),
        ]

    def __str__(self) -> str:
        return f"{self.low_id} = {self.high_id}"


class Identity(models.Model):
    """The smallest key among the names of one data set; a data set with one name has no row."""

    dataset = models.OneToOneField(
        Dataset, on_delete=models.PROTECT, primary_key=True, related_name="+"
    )
    identity = models.BigIntegerField(db_index=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(identity__lte=F("dataset")), name="lineage_identity_is_the_smallest"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.dataset_id} is {self.identity}"


class ModelClaim(models.Model):
    """When an event first called a data set a model."""

    dataset = models.OneToOneField(Dataset, on_delete=models.PROTECT, related_name="+")
    announced_at = models.DateTimeField()

    def __str__(self) -> str:
        return str(self.dataset_id)
