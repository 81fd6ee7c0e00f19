import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.db.models.deletion
import django.db.models.functions.datetime
import uuid_utils.compat
from django.db import migrations, models

REFUSE = """
CREATE FUNCTION consent_refuse_merge() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Locked first and looked at then, so that an erasure under way is waited for.
    PERFORM FROM consent_subject WHERE id IN (NEW.one_id, NEW.other_id) FOR SHARE;
    IF EXISTS (SELECT FROM consent_subject
                WHERE id IN (NEW.one_id, NEW.other_id) AND erased_at IS NOT NULL) THEN
        RAISE EXCEPTION 'erased people are neither merged nor parted'
            USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;
    END IF;
    IF TG_OP = 'INSERT' AND EXISTS (
        WITH RECURSIVE reached (id) AS (
            SELECT NEW.one_id
            UNION
            SELECT CASE WHEN m.one_id = r.id THEN m.other_id ELSE m.one_id END
              FROM reached r JOIN consent_subjectmerge m
                ON m.undone_at IS NULL AND r.id IN (m.one_id, m.other_id))
        SELECT FROM reached WHERE id = NEW.other_id) THEN
        RAISE EXCEPTION 'they are one person already'
            USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER consent_subjectmerge_of_the_living
    BEFORE INSERT OR UPDATE ON consent_subjectmerge
    FOR EACH ROW EXECUTE FUNCTION consent_refuse_merge();

CREATE TRIGGER consent_subjectmerge_kept
    BEFORE DELETE ON consent_subjectmerge
    FOR EACH ROW EXECUTE FUNCTION governance_refuse_change('a merge');

CREATE TRIGGER consent_subjectmerge_only_undone
    BEFORE UPDATE ON consent_subjectmerge
    FOR EACH ROW WHEN (
        OLD.undone_at IS NOT NULL OR NEW.undone_at IS NULL
        OR (OLD.uuid, OLD.one_id, OLD.other_id, OLD.idempotency_key, OLD.reason_sealed,
            OLD.merged_at, OLD.merged_by_id)
           IS DISTINCT FROM
           (NEW.uuid, NEW.one_id, NEW.other_id, NEW.idempotency_key, NEW.reason_sealed,
            NEW.merged_at, NEW.merged_by_id))
    EXECUTE FUNCTION governance_refuse_change('a merge');
"""

ALLOW = """
DROP TRIGGER consent_subjectmerge_only_undone ON consent_subjectmerge;
DROP TRIGGER consent_subjectmerge_kept ON consent_subjectmerge;
DROP TRIGGER consent_subjectmerge_of_the_living ON consent_subjectmerge;
DROP FUNCTION consent_refuse_merge();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("consent", "0012_standings"),
        ("governance", "0008_special_basis"),
    ]

    operations = [
        migrations.CreateModel(
            name="SubjectMerge",
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
                ("idempotency_key", models.UUIDField()),
                ("reason_sealed", models.BinaryField()),
                (
                    "merged_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                ("undo_reason_sealed", models.BinaryField(null=True)),
                ("undone_at", models.DateTimeField(editable=False, null=True)),
            ],
        ),
        migrations.RemoveConstraint(
            model_name="unweighed",
            name="consent_unweighed_is_one_thing",
        ),
        migrations.AddField(
            model_name="erasurestep",
            name="others",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.BigIntegerField(),
                db_default=[],
                default=list,
                editable=False,
                size=None,
            ),
        ),
        migrations.AddIndex(
            model_name="erasurestep",
            index=django.contrib.postgres.indexes.GinIndex(
                condition=models.Q(("others", []), _negated=True),
                fields=["others"],
                name="consent_step_others",
            ),
        ),
        migrations.AddField(
            model_name="subjectmerge",
            name="merged_by",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="governance.apiclient",
            ),
        ),
        migrations.AddField(
            model_name="subjectmerge",
            name="one",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="consent.subject"
            ),
        ),
        migrations.AddField(
            model_name="subjectmerge",
            name="other",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="consent.subject"
            ),
        ),
        migrations.AddField(
            model_name="subjectmerge",
            name="undone_by",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="governance.apiclient",
            ),
        ),
        migrations.AddField(
            model_name="unweighed",
            name="merge",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="consent.subjectmerge",
            ),
        ),
        migrations.AddConstraint(
            model_name="unweighed",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("decision__isnull", False), ("manifest", None), ("merge", None)),
                    models.Q(("decision", None), ("manifest__isnull", False), ("merge", None)),
                    models.Q(("decision", None), ("manifest", None), ("merge__isnull", False)),
                    _connector="OR",
                ),
                name="consent_unweighed_is_one_thing",
            ),
        ),
        migrations.AddConstraint(
            model_name="subjectmerge",
            constraint=models.UniqueConstraint(
                fields=("idempotency_key",), name="consent_merge_key_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="subjectmerge",
            constraint=models.CheckConstraint(
                condition=models.Q(("one__lt", models.F("other"))),
                name="consent_merge_of_two_in_order",
            ),
        ),
        migrations.AddConstraint(
            model_name="subjectmerge",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("undo_reason_sealed", None), ("undone_at", None), ("undone_by", None)
                    ),
                    models.Q(("undo_reason_sealed__isnull", False), ("undone_at__isnull", False)),
                    _connector="OR",
                ),
                name="consent_merge_undone_with_reason",
            ),
        ),
        migrations.RunSQL(sql=REFUSE, reverse_sql=ALLOW),
    ]
