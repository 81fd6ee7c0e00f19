"""Senders that sign, and what operators see of events that could not be understood."""

import django.contrib.postgres.fields
import django.db.models.deletion
import uuid_utils.compat
from django.db import migrations, models
from django.db.models import F, Q

KINDS = [
    ("v1", "HMAC-SHA-256 with a shared secret"),
    ("v1a", "Ed25519 with a key pair of the sender's"),
]


def key() -> models.BigAutoField:
    return models.BigAutoField(
        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
    )


def public_id() -> models.UUIDField:
    return models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, unique=True)


def of_source(name: str) -> models.ForeignKey:
    return models.ForeignKey(
        "lineage.source", on_delete=django.db.models.deletion.PROTECT, related_name=name
    )


class Migration(migrations.Migration):
    dependencies = [
        ("governance", "0002_immutable_facts"),
        ("lineage", "0003_history"),
    ]

    operations = [
        migrations.CreateModel(
            "Source",
            [
                ("id", key()),
                ("uuid", public_id()),
                (
                    "client",
                    models.OneToOneField(
                        "governance.apiclient",
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                    ),
                ),
                (
                    "namespaces",
                    django.contrib.postgres.fields.ArrayField(
                        models.TextField(),
                        blank=True,
                        default=list,
                    ),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("disabled_at", models.DateTimeField(null=True)),
            ],
        ),
        migrations.CreateModel(
            "SourceSecret",
            [
                ("id", key()),
                ("uuid", public_id()),
                ("source", of_source("secrets")),
                ("kind", models.TextField(choices=KINDS)),
                ("sealed", models.BinaryField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("ends_at", models.DateTimeField(null=True)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(kind__in=["v1", "v1a"]), name="lineage_secret_kind_known"
                    )
                ]
            },
        ),
        migrations.CreateModel(
            "SourceMessage",
            [
                ("id", key()),
                ("source", of_source("+")),
                ("message_id", models.TextField()),
                ("digest", models.BinaryField()),
                ("received_at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=["source", "message_id"], name="lineage_message_id_once"
                    )
                ],
                "indexes": [models.Index(F("received_at"), name="lineage_message_received")],
            },
        ),
        migrations.AddField(
            "inboxevent",
            "reason_code",
            models.TextField(blank=True, default="", db_default=""),
        ),
        migrations.AddField(
            "inboxevent", "warnings", models.JSONField(default=list, db_default=[])
        ),
        migrations.AddField("inboxevent", "applied_at", models.DateTimeField(null=True)),
    ]
