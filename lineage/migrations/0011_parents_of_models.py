"""Keep with a model version's provenance what a single step leads to."""

from django.db import migrations, models

FREEZE_AGAIN = """
UPDATE lineage_modelversion SET stale_at = now()
 WHERE stale_at IS NULL AND id IN (SELECT model_version_id FROM lineage_provenance)
"""


class Migration(migrations.Migration):
    """Whatever is frozen already is frozen again, by and by; its digest stays what it was."""

    dependencies = [("lineage", "0010_deployments")]

    operations = [
        migrations.AddField(
            model_name="provenance", name="parents", field=models.BinaryField(null=True)
        ),
        migrations.RunSQL(FREEZE_AGAIN, migrations.RunSQL.noop),
    ]
