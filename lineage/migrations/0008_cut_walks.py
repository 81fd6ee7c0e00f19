"""Whether any walk was cut is asked with every answer, so it is an index's business."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False  # an index that is built beside writers cannot be built in a transaction

    dependencies = [("lineage", "0007_retention")]

    operations = [
        AddIndexConcurrently(
            model_name="provenance",
            index=models.Index(
                models.F("id"), condition=models.Q(("truncated", True)),
                name="lineage_provenance_cut",
            ),
        ),
    ]  # fmt: skip
