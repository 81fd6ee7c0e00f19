"""The same list is taken again where another was in between: each is a word of its own.

Going back needs that no list was, since then it could be one word only.
"""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("consent", "0021_remedies"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="manifest",
            name="consent_manifest_once",
        ),
    ]
