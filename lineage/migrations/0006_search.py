"""Not filled yet."""

from django.db import migrations


class Migration(migrations.Migration):
    """Nothing yet."""

    dependencies = [("lineage", "0005_facets")]

    operations: list[migrations.operations.base.Operation] = []
