"""More kinds of storage; going back needs those of the new kinds to be unregistered first."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("governance", "0003_scope_lineage_read")]

    operations = [
        migrations.RemoveConstraint("storage", "governance_storage_kind_known"),
        migrations.AlterField(
            model_name="storage",
            name="kind",
            field=models.TextField(
                choices=[
                    ("sql", "SQL database (SQLAlchemy address)"),
                    ("files", "files or an object store (fsspec address)"),
                    ("delta", "Delta Lake tables (address of their folder or bucket)"),
                    ("iceberg", "Iceberg tables (SQLAlchemy address of their catalogue)"),
                    ("http", "an owner's endpoint (HTTPS address with a shared key)"),
                    ("manual", "only a person reaches it"),
                ]
            ),
        ),
        migrations.AddConstraint(
            "storage",
            models.CheckConstraint(
                condition=models.Q(kind__in=["sql", "files", "delta", "iceberg", "http", "manual"]),
                name="governance_storage_kind_known",
            ),
        ),
    ]
