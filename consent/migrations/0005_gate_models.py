"""An answer of the gate can be for one model; answers that were given before are for any."""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("consent", "0004_sign_in_codes")]

    operations = [
        migrations.AddField(
            "gatedecision", "model_namespace", models.TextField(default="", db_default="")
        ),
        migrations.AddField(
            "gatedecision", "model_name", models.TextField(default="", db_default="")
        ),
        migrations.AddConstraint(
            "gatedecision",
            models.CheckConstraint(
                condition=Q(model_namespace="", model_name="")
                | ~Q(model_namespace="") & ~Q(model_name=""),
                name="consent_gatedecision_model_has_both_names",
            ),
        ),
    ]
