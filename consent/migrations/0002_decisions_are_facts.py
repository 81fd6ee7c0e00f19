"""Refuse, in the database, to change what was said and what was shown, or to revive the erased."""

from django.db import migrations

REFUSE = """
CREATE TRIGGER consent_decision_immutable
    BEFORE UPDATE OR DELETE ON consent_consentdecision
    FOR EACH ROW EXECUTE FUNCTION governance_refuse_change('a decision');

CREATE TRIGGER consent_noticeversion_immutable
    BEFORE UPDATE OR DELETE ON consent_noticeversion
    FOR EACH ROW WHEN (OLD.published_at IS NOT NULL)
    EXECUTE FUNCTION governance_refuse_change('a published notice');

CREATE TRIGGER consent_gatedecision_immutable
    BEFORE UPDATE ON consent_gatedecision
    FOR EACH ROW EXECUTE FUNCTION governance_refuse_change('an answer of the gate');

CREATE FUNCTION consent_refuse_purposes_of_published() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Locked first and looked at then, so that a publication under way is waited for.
    PERFORM FROM consent_noticeversion
      WHERE id IN (OLD.noticeversion_id, NEW.noticeversion_id) FOR SHARE;
    IF EXISTS (SELECT FROM consent_noticeversion
                WHERE id IN (OLD.noticeversion_id, NEW.noticeversion_id)
                  AND published_at IS NOT NULL) THEN
        RAISE EXCEPTION 'the purposes of a published notice are never changed'
            USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;
    END IF;
    RETURN COALESCE(NEW, OLD);
END $$;

CREATE TRIGGER consent_noticeversion_purposes_immutable
    BEFORE INSERT OR UPDATE OR DELETE ON consent_noticeversion_purposes
    FOR EACH ROW EXECUTE FUNCTION consent_refuse_purposes_of_published();

CREATE FUNCTION consent_refuse_the_erased() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    erased timestamptz;
BEGIN
    -- Without a condition on it, the lock waits for an erasure that is under way.
    SELECT erased_at INTO erased FROM consent_subject WHERE id = NEW.subject_id FOR SHARE;
    IF erased IS NOT NULL THEN
        RAISE EXCEPTION 'an erased person gets neither a key nor an identifier'
            USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER consent_subjectkey_of_the_living
    BEFORE INSERT OR UPDATE ON consent_subjectkey
    FOR EACH ROW EXECUTE FUNCTION consent_refuse_the_erased();

CREATE FUNCTION consent_refuse_identifiers_of_the_erased() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM written JOIN consent_subject s ON s.id = written.subject_id
                WHERE s.erased_at IS NOT NULL) THEN
        RAISE EXCEPTION 'an erased person gets neither a key nor an identifier'
            USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END $$;

-- One look at a statement's rows: a manifest writes a million of them.
CREATE TRIGGER consent_subjectidentifier_of_the_living_new
    AFTER INSERT ON consent_subjectidentifier REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION consent_refuse_identifiers_of_the_erased();
CREATE TRIGGER consent_subjectidentifier_of_the_living_changed
    AFTER UPDATE ON consent_subjectidentifier REFERENCING NEW TABLE AS written
    FOR EACH STATEMENT EXECUTE FUNCTION consent_refuse_identifiers_of_the_erased();

CREATE FUNCTION consent_refuse_half_erased() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.erased_at IS NOT NULL
       OR EXISTS (SELECT FROM consent_subjectkey WHERE subject_id = NEW.id)
       OR EXISTS (SELECT FROM consent_subjectidentifier WHERE subject_id = NEW.id) THEN
        RAISE EXCEPTION 'a person is erased once, and after key and identifiers are gone'
            USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER consent_subject_erased_once_and_wholly
    BEFORE UPDATE ON consent_subject
    FOR EACH ROW WHEN (OLD.erased_at IS DISTINCT FROM NEW.erased_at)
    EXECUTE FUNCTION consent_refuse_half_erased();
"""

ALLOW = """
DROP TRIGGER consent_subject_erased_once_and_wholly ON consent_subject;
DROP FUNCTION consent_refuse_half_erased();
DROP TRIGGER consent_subjectidentifier_of_the_living_changed ON consent_subjectidentifier;
DROP TRIGGER consent_subjectidentifier_of_the_living_new ON consent_subjectidentifier;
DROP FUNCTION consent_refuse_identifiers_of_the_erased();
DROP TRIGGER consent_subjectkey_of_the_living ON consent_subjectkey;
DROP FUNCTION consent_refuse_the_erased();
DROP TRIGGER consent_noticeversion_purposes_immutable ON consent_noticeversion_purposes;
DROP FUNCTION consent_refuse_purposes_of_published();
DROP TRIGGER consent_gatedecision_immutable ON consent_gatedecision;
DROP TRIGGER consent_noticeversion_immutable ON consent_noticeversion;
DROP TRIGGER consent_decision_immutable ON consent_consentdecision;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("consent", "0001_initial"),
        ("governance", "0002_immutable_facts"),
    ]

    operations = [migrations.RunSQL(sql=REFUSE, reverse_sql=ALLOW)]
