import django.db.models.deletion
import django.db.models.functions.datetime
import uuid_utils.compat
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("consent", "0006_assessments"),
        ("governance", "0007_erasure_options"),
    ]

    operations = [
        migrations.CreateModel(
            name="ErasureBatch",
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
                ("evidence", models.JSONField()),
                (
                    "made_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                (
                    "dataset",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="governance.dataset",
                    ),
                ),
            ],
        ),
        migrations.AddField(
            model_name="erasurestep",
            name="batch",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="steps",
                to="consent.erasurebatch",
            ),
        ),
        migrations.RunSQL(
            sql="""
            CREATE TRIGGER consent_erasurebatch_immutable
                BEFORE UPDATE OR DELETE ON consent_erasurebatch
                FOR EACH ROW EXECUTE FUNCTION governance_refuse_change('evidence of an erasure')
            """,
            reverse_sql="DROP TRIGGER consent_erasurebatch_immutable ON consent_erasurebatch",
        ),
    ]
