"""The rows go, once nothing that runs reads them: each person's stay lies in the spans."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("consent", "0008_membership_spans")]

    operations = [migrations.DeleteModel("Membership")]
