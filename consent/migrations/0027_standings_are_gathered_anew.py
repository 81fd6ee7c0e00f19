"""What was gathered by the rule that a "yes" silences signals though it has run out goes.

It is gathered anew by itself; until then people are asked one by one.
"""

from django.db import migrations

FORGET = "DELETE FROM consent_purposestanding; DELETE FROM consent_purposefold;"


class Migration(migrations.Migration):
    dependencies = [("consent", "0026_copies_hold_rows")]

    operations = [migrations.RunSQL(FORGET, migrations.RunSQL.noop)]
