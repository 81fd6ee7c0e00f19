from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("governance", "0006_webhooks")]

    operations = [
        migrations.AddField(
            model_name="dataset",
            name="erasure_options",
            field=models.JSONField(blank=True, db_default={}, default=dict),
        ),
    ]
