"""Look for erased people whose data came back, and know of the journal of erasures."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

REFUSE = """
CREATE FUNCTION consent_refuse_revival_of_the_living() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM consent_subject WHERE id = NEW.subject_id AND erased_at IS NULL) THEN
        RAISE EXCEPTION 'only an erased person is looked for by a tombstone'
            USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER consent_revival_of_the_erased
    BEFORE INSERT OR UPDATE ON consent_revival
    FOR EACH ROW EXECUTE FUNCTION consent_refuse_revival_of_the_living();
"""

ALLOW = """
DROP TRIGGER consent_revival_of_the_erased ON consent_revival;
DROP FUNCTION consent_refuse_revival_of_the_living();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("consent", "0019_plans_and_approvals"),
        ("governance", "0010_checkpoints"),
    ]

    operations = [
        migrations.CreateModel(
            name="JournalLine",
            fields=[
                ("number", models.BigIntegerField(primary_key=True, serialize=False)),
                ("checksum", models.BinaryField()),
                (
                    "seen_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Revival",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "opened_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                ("superseded", models.BooleanField(db_default=False, default=False)),
            ],
        ),
        migrations.RemoveConstraint(
            model_name="rightsrequest",
            name="consent_request_source_known",
        ),
        migrations.RemoveConstraint(
            model_name="rightsrequest",
            name="consent_request_of_others_has_reason",
        ),
        migrations.AddField(
            model_name="reappearance",
            name="looked_for_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="reappearance",
            name="request",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="reappearances",
                to="consent.rightsrequest",
            ),
        ),
        migrations.AlterField(
            model_name="rightsrequest",
            name="source",
            field=models.TextField(
                choices=[
                    ("person", "the person"),
                    ("guardian", "whoever cares for the person"),
                    ("delegate", "whoever the person lets speak"),
                    ("operator", "an operator, on the person's word"),
                    ("automatic", "the service, because what was erased has come back"),
                ],
                db_default="person",
                default="person",
            ),
        ),
        migrations.AddIndex(
            model_name="rightsrequest",
            index=models.Index(
                models.F("subject"),
                condition=models.Q(("source", "automatic")),
                name="consent_request_automatic",
            ),
        ),
        migrations.AddConstraint(
            model_name="reappearance",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("looked_for_at", None), ("request__isnull", False), _connector="OR"
                ),
                name="consent_reappearance_looked_for_by_a_request",
            ),
        ),
        migrations.AddConstraint(
            model_name="rightsrequest",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("source__in", ["person", "guardian", "delegate", "operator", "automatic"])
                ),
                name="consent_request_source_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="rightsrequest",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("source", "automatic"), _negated=True),
                    models.Q(
                        ("duplicate_of", None), ("kind", "erasure"), ("verified_at__isnull", False)
                    ),
                    _connector="OR",
                ),
                name="consent_request_automatic_is_a_verified_erasure",
            ),
        ),
        migrations.AddConstraint(
            model_name="rightsrequest",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("source__in", ["person", "automatic"]),
                    ("reason_sealed__isnull", False),
                    _connector="OR",
                ),
                name="consent_request_of_others_has_reason",
            ),
        ),
        migrations.AddConstraint(
            model_name="journalline",
            constraint=models.CheckConstraint(
                condition=models.Q(("number__gt", 0)), name="consent_journalline_number_from_one"
            ),
        ),
        migrations.AddConstraint(
            model_name="journalline",
            constraint=models.CheckConstraint(
                condition=models.Q(("checksum__length", 32)), name="consent_journalline_is_a_digest"
            ),
        ),
        migrations.AddField(
            model_name="revival",
            name="subject",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="revivals",
                to="consent.subject",
            ),
        ),
        migrations.AddField(
            model_name="revival",
            name="tombstone",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="revivals",
                to="consent.tombstone",
            ),
        ),
        migrations.AddConstraint(
            model_name="revival",
            constraint=models.UniqueConstraint(
                condition=models.Q(("superseded", False)),
                fields=("tombstone",),
                name="consent_revival_of_one_person",
            ),
        ),
        migrations.RunSQL(REFUSE, ALLOW),
    ]
