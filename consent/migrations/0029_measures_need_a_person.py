"""The second who stands for a measure is a person at the desk; lost workers have one code.

Measures that two clients stood for before stay as they are.
"""

from django.db import migrations, models

# A row of before has a client as its second, and may be changed otherwise: looked at, lapsed.
REFUSE = """
CREATE FUNCTION consent_refuse_measure_by_no_person() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.approved_by_id IS NOT NULL
       AND (TG_OP = 'INSERT' OR NEW.approved_by_id IS DISTINCT FROM OLD.approved_by_id) THEN
        RAISE EXCEPTION 'the second who stands for a measure is one of the staff'
            USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME,
                  CONSTRAINT = 'consent_measure_second_is_a_person';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER consent_measure_second_is_a_person
    BEFORE INSERT OR UPDATE ON consent_remediationmeasure
    FOR EACH ROW EXECUTE FUNCTION consent_refuse_measure_by_no_person();
"""

ALLOW = """
DROP TRIGGER consent_measure_second_is_a_person ON consent_remediationmeasure;
DROP FUNCTION consent_refuse_measure_by_no_person();
"""

# On the way back: an earlier version knows of no second word but a client's.
FORGET = """
UPDATE consent_remediationmeasure SET approved_at = NULL, approved_by_staff = ''
 WHERE approved_by_staff <> ''
"""

SAY_ALIKE = "UPDATE consent_dryrun SET code = 'workers_lost' WHERE code = 'worker_lost'"


class Migration(migrations.Migration):
    dependencies = [
        ("consent", "0028_a_copy_may_be_given_up"),
    ]

    operations = [
        migrations.RunSQL(SAY_ALIKE, migrations.RunSQL.noop),
        migrations.RemoveConstraint(
            model_name="remediationmeasure",
            name="consent_measure_approved_by_another",
        ),
        migrations.AddField(
            model_name="remediationmeasure",
            name="approved_by_staff",
            field=models.TextField(blank=True, db_default="", default=""),
        ),
        migrations.RunSQL(migrations.RunSQL.noop, FORGET),
        migrations.AddConstraint(
            model_name="remediationmeasure",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("approved_at", None), ("approved_by", None), ("approved_by_staff", "")
                    ),
                    models.Q(
                        ("approved_at__isnull", False),
                        ("approved_by__isnull", False),
                        ("approved_by_staff", ""),
                        models.Q(("approved_by", models.F("by")), _negated=True),
                    ),
                    models.Q(
                        ("approved_at__isnull", False),
                        ("approved_by", None),
                        ("approved_by_staff__startswith", "staff:"),
                    ),
                    _connector="OR",
                ),
                name="consent_measure_approved_by_another",
            ),
        ),
        migrations.RunSQL(REFUSE, ALLOW),
    ]
