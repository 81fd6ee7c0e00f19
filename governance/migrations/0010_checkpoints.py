"""Keep the last signed head of the ledger."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("governance", "0009_webhook_request_due"),
    ]

    operations = [
        migrations.CreateModel(
            name="LedgerCheckpoint",
            fields=[
                ("only", models.BooleanField(default=True, primary_key=True, serialize=False)),
                ("size", models.BigIntegerField()),
                ("root", models.BinaryField()),
                ("note", models.TextField()),
                ("verifier", models.TextField()),
                ("signed_at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("only", True)),
                        name="governance_ledgercheckpoint_one_row",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("size__gte", 0)),
                        name="governance_ledgercheckpoint_size_from_zero",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("root__length", 32)),
                        name="governance_ledgercheckpoint_root_is_a_digest",
                    ),
                ],
            },
        ),
    ]
