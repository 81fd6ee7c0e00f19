"""Refuse, in the database, to change what must never change again."""

from django.db import migrations

REFUSE = """
CREATE FUNCTION governance_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is never changed or deleted', TG_ARGV[0]
        USING ERRCODE = 'restrict_violation', TABLE = TG_TABLE_NAME;
END $$;

CREATE TRIGGER governance_ledgerentry_immutable
    BEFORE UPDATE OR DELETE ON governance_ledgerentry
    FOR EACH ROW EXECUTE FUNCTION governance_refuse_change('a ledger entry');

CREATE TRIGGER governance_ledgertile_immutable
    BEFORE UPDATE OR DELETE ON governance_ledgertile
    FOR EACH ROW EXECUTE FUNCTION governance_refuse_change('a ledger tile');

CREATE TRIGGER governance_policyversion_immutable
    BEFORE UPDATE OR DELETE ON governance_policyversion
    FOR EACH ROW WHEN (OLD.published_at IS NOT NULL)
    EXECUTE FUNCTION governance_refuse_change('a published policy version');
"""

ALLOW = """
DROP TRIGGER governance_policyversion_immutable ON governance_policyversion;
DROP TRIGGER governance_ledgertile_immutable ON governance_ledgertile;
DROP TRIGGER governance_ledgerentry_immutable ON governance_ledgerentry;
DROP FUNCTION governance_refuse_change();
"""


class Migration(migrations.Migration):
    dependencies = [("governance", "0001_initial")]

    operations = [migrations.RunSQL(sql=REFUSE, reverse_sql=ALLOW)]
