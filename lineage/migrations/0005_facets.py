"""Not filled yet."""

from django.db import migrations


class Migration(migrations.Migration):
    """Nothing yet."""

    dependencies = [("lineage", "0004_signed_sources")]

    operations: list[migrations.operations.base.Operation] = []
