"""Facets that may hold something personal are sealed; a run's own use of a data set has facets."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q

OPEN_OR_SEALED = Q(value__isnull=False, sealed__isnull=True) | Q(
    value__isnull=True, sealed__isnull=False
)


def sealed(model: str) -> list[migrations.operations.base.Operation]:
    return [
        migrations.AlterField(model, "value", models.JSONField(null=True)),
        migrations.AddField(model, "sealed", models.BinaryField(null=True)),
        migrations.AddField(model, "fingerprint", models.BinaryField(default=b""), False),
        migrations.AddConstraint(
            model,
            models.CheckConstraint(
                condition=OPEN_OR_SEALED, name=f"lineage_{model}_open_or_sealed"
            ),
        ),
    ]


class Migration(migrations.Migration):
    dependencies = [("lineage", "0004_signed_sources")]

    operations = [
        *sealed("runfacet"),
        *sealed("jobfacet"),
        *sealed("datasetfacet"),
        migrations.CreateModel(
            "UseFacet",
            [
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.TextField()),
                ("event_at", models.DateTimeField()),
                ("fingerprint", models.BinaryField()),
                ("value", models.JSONField(null=True)),
                ("sealed", models.BinaryField(null=True)),
                ("written", models.BooleanField()),
                (
                    "run",
                    models.ForeignKey(
                        "lineage.run",
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        db_constraint=False,
                        related_name="use_facets",
                    ),
                ),
                (
                    "dataset",
                    models.ForeignKey(
                        "governance.dataset",
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=["run", "dataset", "written", "name"], name="lineage_usefacet_once"
                    ),
                    models.CheckConstraint(
                        condition=OPEN_OR_SEALED, name="lineage_usefacet_open_or_sealed"
                    ),
                ]
            },
        ),
    ]
