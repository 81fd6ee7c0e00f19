"""Keys that sign what others check; what a key is never changes."""

import django.contrib.postgres.constraints
import django.contrib.postgres.fields.ranges
import django.db.models.expressions
import django.db.models.functions.datetime
from django.db import migrations, models
from django.db.models import F, Func, Q

REFUSE = """
CREATE TRIGGER governance_signingkey_immutable
    BEFORE DELETE OR UPDATE OF kid, public ON governance_signingkey
    FOR EACH ROW EXECUTE FUNCTION governance_refuse_change('a signing key');
"""
ALLOW = "DROP TRIGGER governance_signingkey_immutable ON governance_signingkey;"


class Migration(migrations.Migration):
    dependencies = [("governance", "0004_storage_kinds")]

    operations = [
        migrations.CreateModel(
            name="SigningKey",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("kid", models.TextField(unique=True)),
                ("public", models.BinaryField()),
                ("sealed", models.BinaryField(null=True)),
                ("active_from", models.DateTimeField()),
                ("active_until", models.DateTimeField(null=True)),
                ("withdrawn_at", models.DateTimeField(null=True)),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(public__length=32), name="governance_signingkey_public_is_a_key"
                    ),
                    models.CheckConstraint(
                        condition=Q(sealed=None) | Q(sealed__length=60),
                        name="governance_signingkey_secret_is_sealed",
                    ),
                    models.CheckConstraint(
                        condition=Q(active_until=None) | Q(active_until__gte=F("active_from")),
                        name="governance_signingkey_ends_after_it_begins",
                    ),
                    models.CheckConstraint(
                        condition=Q(withdrawn_at=None) | Q(sealed=None, active_until__isnull=False),
                        name="governance_signingkey_withdrawn_signs_no_more",
                    ),
                    models.CheckConstraint(
                        condition=Q(sealed__isnull=False) | Q(active_until__isnull=False),
                        name="governance_signingkey_active_has_a_secret",
                    ),
                    django.contrib.postgres.constraints.ExclusionConstraint(
                        name="governance_signingkey_one_at_a_time",
                        expressions=[
                            (
                                Func(
                                    "active_from",
                                    "active_until",
                                    function="TSTZRANGE",
                                    output_field=django.contrib.postgres.fields.ranges.DateTimeRangeField(),
                                ),
                                "&&",
                            )
                        ],
                    ),
                ],
            },
        ),
        migrations.RunSQL(sql=REFUSE, reverse_sql=ALLOW),
    ]
