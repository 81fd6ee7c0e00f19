"""Keys of identifier digests have versions; a row is written by the newest, and never goes back."""

import django.db.models.functions.datetime
from django.db import migrations, models
from django.db.models import F, Q

# 201395982 is Lock.IDENTIFIER_KEY. Whoever writes a row holds it shared until the end of the
# transaction, and a version is introduced under it alone: so a version is introduced either
# before the look, and what was digested without it is refused, or after the row is there to see.
REFUSE = """
CREATE FUNCTION consent_refuse_older_key() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    newest integer;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(201395982);
    SELECT coalesce(max(version), 1) INTO newest FROM consent_identifierkey;
    IF EXISTS (SELECT FROM written WHERE key_version <> newest) THEN
        RAISE EXCEPTION 'an identifier is written down by the newest key only'
            USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER consent_subjectidentifier_by_the_newest_key
    AFTER INSERT ON consent_subjectidentifier REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION consent_refuse_older_key();
CREATE TRIGGER consent_tombstone_by_the_newest_key
    AFTER INSERT ON consent_tombstone REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION consent_refuse_older_key();

CREATE TRIGGER consent_subjectidentifier_never_by_an_older_key
    BEFORE UPDATE OF key_version ON consent_subjectidentifier
    FOR EACH ROW WHEN (NEW.key_version < OLD.key_version)
    EXECUTE FUNCTION governance_refuse_change('what an identifier is known by');
CREATE TRIGGER consent_tombstone_never_by_an_older_key
    BEFORE UPDATE OF key_version ON consent_tombstone
    FOR EACH ROW WHEN (NEW.key_version < OLD.key_version)
    EXECUTE FUNCTION governance_refuse_change('what an identifier was known by');

CREATE TRIGGER consent_identifierkey_immutable
    BEFORE DELETE OR UPDATE OF version, introduced_at ON consent_identifierkey
    FOR EACH ROW EXECUTE FUNCTION governance_refuse_change('a version of the identifier key');
CREATE TRIGGER consent_identifierkey_moved_once
    BEFORE UPDATE ON consent_identifierkey
    FOR EACH ROW WHEN (OLD.moved_at IS NOT NULL)
    EXECUTE FUNCTION governance_refuse_change('a rotation that has ended');
"""

# Without the versions nobody could tell any more what rows of a newer one are digested by.
ALLOW = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM consent_identifierkey) THEN
        RAISE EXCEPTION 'identifiers are digested by a newer key, which this cannot be taken from'
            USING ERRCODE = 'restrict_violation';
    END IF;
END $$;
DROP TRIGGER consent_identifierkey_moved_once ON consent_identifierkey;
DROP TRIGGER consent_identifierkey_immutable ON consent_identifierkey;
DROP TRIGGER consent_tombstone_never_by_an_older_key ON consent_tombstone;
DROP TRIGGER consent_subjectidentifier_never_by_an_older_key ON consent_subjectidentifier;
DROP TRIGGER consent_tombstone_by_the_newest_key ON consent_tombstone;
DROP TRIGGER consent_subjectidentifier_by_the_newest_key ON consent_subjectidentifier;
DROP FUNCTION consent_refuse_older_key();
"""


class Migration(migrations.Migration):
    dependencies = [("consent", "0013_subject_merges"), ("governance", "0002_immutable_facts")]

    operations = [
        migrations.CreateModel(
            name="IdentifierKey",
            fields=[
                ("version", models.PositiveSmallIntegerField(primary_key=True, serialize=False)),
                (
                    "introduced_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False
                    ),
                ),
                ("moved_at", models.DateTimeField(null=True)),
                ("identifiers", models.PositiveBigIntegerField(db_default=0)),
                ("tombstones", models.PositiveBigIntegerField(db_default=0)),
                ("unreadable", models.PositiveBigIntegerField(db_default=0)),
            ],
        ),
        migrations.AddField(
            model_name="subjectidentifier",
            name="key_version",
            field=models.PositiveSmallIntegerField(db_default=1),
        ),
        migrations.AddField(
            model_name="tombstone",
            name="key_version",
            field=models.PositiveSmallIntegerField(db_default=1),
        ),
        migrations.AddIndex(
            model_name="subjectidentifier",
            index=models.Index(F("key_version"), F("id"), name="consent_subjectidentifier_key"),
        ),
        migrations.AddIndex(
            model_name="tombstone",
            index=models.Index(F("key_version"), F("id"), name="consent_tombstone_key"),
        ),
        migrations.AddConstraint(
            model_name="identifierkey",
            constraint=models.CheckConstraint(
                condition=Q(version__gte=2), name="consent_identifierkey_after_the_first"
            ),
        ),
        migrations.AddConstraint(
            model_name="identifierkey",
            constraint=models.UniqueConstraint(
                fields=("moved_at",),
                condition=Q(moved_at=None),
                nulls_distinct=False,
                name="consent_identifierkey_one_under_way",
            ),
        ),
        migrations.AddConstraint(
            model_name="identifierkey",
            constraint=models.CheckConstraint(
                condition=Q(moved_at=None) | Q(moved_at__gte=F("introduced_at")),
                name="consent_identifierkey_moved_after_introduced",
            ),
        ),
        migrations.RunSQL(sql=REFUSE, reverse_sql=ALLOW),
    ]
