"""A key may be for reading what events say."""

import django.contrib.postgres.fields
from django.db import migrations, models

SCOPES = [
    ("lineage:write", "send OpenLineage events"),
    ("lineage:read", "read what events say, source code and error messages included"),
    ("registry:read", "read data sets, models, purposes and policies"),
    ("registry:write", "register data sets, storages, models, purposes, policies"),
    ("consent:read", "read one person's decisions and uses"),
    ("consent:write", "record people, memberships and decisions"),
    ("gate:ask", "ask whether rows may be used"),
    ("requests:read", "follow rights requests"),
    ("requests:write", "open and decide rights requests"),
    ("audit:read", "ask transparency questions and read the ledger"),
]


class Migration(migrations.Migration):
    dependencies = [("governance", "0002_immutable_facts")]

    operations = [
        migrations.AlterField(
            "apikey",
            "scopes",
            django.contrib.postgres.fields.ArrayField(models.TextField(choices=SCOPES)),
        )
    ]
