"""How far back runs are kept."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("lineage", "0006_search")]

    operations = [
        migrations.CreateModel(
            "Horizon",
            [
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("month", models.DateField(unique=True)),
                ("reached_at", models.DateTimeField()),
            ],
        ),
    ]
