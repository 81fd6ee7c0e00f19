import django.db.models.deletion
import django.db.models.functions.datetime
import uuid_utils.compat
from django.db import migrations, models

KEPT = {
    "consent_erasureplan": "a plan of an erasure",
    "consent_planapproval": "an approval",
    "consent_planrejection": "a rejection",
}


class Migration(migrations.Migration):
    dependencies = [
        ("consent", "0018_access_packages"),
        ("governance", "0008_special_basis"),
        ("lineage", "0009_training_runs"),
    ]

    operations = [
        migrations.CreateModel(
            name="DryRun",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("asked_at", models.DateTimeField()),
                ("attempt", models.PositiveIntegerField(default=0)),
                ("token", models.PositiveBigIntegerField(default=0)),
                ("lease_until", models.DateTimeField(null=True)),
                ("finished_at", models.DateTimeField(null=True)),
                ("rows", models.PositiveBigIntegerField(null=True)),
                ("parts", models.JSONField(blank=True, default=list)),
                ("code", models.TextField(blank=True)),
                ("reason", models.TextField(blank=True)),
            ],
        ),
        migrations.CreateModel(
            name="ErasurePlan",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "uuid",
                    models.UUIDField(default=uuid_utils.compat.uuid7, editable=False, unique=True),
                ),
                ("number", models.PositiveSmallIntegerField()),
                ("content", models.JSONField()),
                ("digest", models.TextField()),
                ("approvals", models.PositiveSmallIntegerField()),
                (
                    "made_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="PlanApproval",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("by", models.TextField()),
                (
                    "at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="PlanRejection",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("by", models.TextField(blank=True)),
                ("reason", models.TextField()),
                (
                    "at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
            ],
        ),
        migrations.RemoveIndex(
            model_name="erasurestep",
            name="consent_step_open",
        ),
        migrations.AddField(
            model_name="erasurestep",
            name="released_at",
            field=models.DateTimeField(
                db_default=django.db.models.functions.datetime.Now(), null=True
            ),
        ),
        migrations.AddIndex(
            model_name="erasurestep",
            index=models.Index(
                models.F("retry_at"),
                condition=models.Q(
                    models.Q(("state", "done"), _negated=True), ("released_at__isnull", False)
                ),
                name="consent_step_open",
            ),
        ),
        migrations.AddConstraint(
            model_name="erasurestep",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("state__in", ["running", "done"]), _negated=True),
                    ("released_at__isnull", False),
                    _connector="OR",
                ),
                name="consent_step_released_before_touched",
            ),
        ),
        migrations.AddField(
            model_name="dryrun",
            name="dataset",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="governance.dataset",
            ),
        ),
        migrations.AddField(
            model_name="erasureplan",
            name="request",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="plans",
                to="consent.rightsrequest",
            ),
        ),
        migrations.AddField(
            model_name="dryrun",
            name="plan",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="dry_runs",
                to="consent.erasureplan",
            ),
        ),
        migrations.AddField(
            model_name="planapproval",
            name="plan",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="approved_by",
                to="consent.erasureplan",
            ),
        ),
        migrations.AddField(
            model_name="planrejection",
            name="plan",
            field=models.OneToOneField(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="rejection",
                to="consent.erasureplan",
            ),
        ),
        migrations.AddConstraint(
            model_name="erasureplan",
            constraint=models.UniqueConstraint(
                fields=("request", "number"), name="consent_plan_number_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="erasureplan",
            constraint=models.CheckConstraint(
                condition=models.Q(("approvals__lte", 2)), name="consent_plan_approvals_possible"
            ),
        ),
        migrations.AddIndex(
            model_name="dryrun",
            index=models.Index(
                models.F("id"),
                condition=models.Q(("finished_at", None)),
                name="consent_dryrun_open",
            ),
        ),
        migrations.AddConstraint(
            model_name="dryrun",
            constraint=models.UniqueConstraint(
                fields=("plan", "dataset", "asked_at"), name="consent_dryrun_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="dryrun",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("code", ""), ("finished_at", None), ("rows", None)),
                    models.Q(("code", ""), ("finished_at__isnull", False), ("rows__isnull", False)),
                    models.Q(
                        ("finished_at__isnull", False),
                        ("rows", None),
                        models.Q(("code", ""), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="consent_dryrun_ends_with_rows_or_code",
            ),
        ),
        migrations.AddConstraint(
            model_name="planapproval",
            constraint=models.UniqueConstraint(
                fields=("plan", "by"), name="consent_approval_once_a_person"
            ),
        ),
        migrations.AddConstraint(
            model_name="planapproval",
            constraint=models.CheckConstraint(
                condition=models.Q(("by", ""), _negated=True), name="consent_approval_by_somebody"
            ),
        ),
        migrations.AddConstraint(
            model_name="planrejection",
            constraint=models.CheckConstraint(
                condition=models.Q(("reason", ""), _negated=True),
                name="consent_rejection_with_reason",
            ),
        ),
        *(
            migrations.RunSQL(
                sql=f"""
                CREATE TRIGGER {table}_immutable
                    BEFORE UPDATE OR DELETE ON {table}
                    FOR EACH ROW EXECUTE FUNCTION governance_refuse_change('{what}')
                """,
                reverse_sql=f"DROP TRIGGER {table}_immutable ON {table}",
            )
            for table, what in KEPT.items()
        ),
    ]
