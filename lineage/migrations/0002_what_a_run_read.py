"""The rule of what a run read, and of what a version descends from, in one place."""

from django.db import migrations

VERSIONS_READ = """
CREATE FUNCTION lineage_versions_read(
    of_dataset bigint, named text, since timestamptz, until timestamptz,
    reader bigint, itself bigint
) RETURNS TABLE (id bigint) LANGUAGE sql STABLE AS $$
    -- A named version is that one, written or, where no writer is known, only named.
    SELECT v.id FROM lineage_datasetversion v
     WHERE named <> '' AND v.dataset_id = of_dataset AND v.declared = named
       AND v.kind IN ('written', 'named') AND v.run_id IS DISTINCT FROM reader
       AND (v.kind = 'written' OR NOT EXISTS (
            SELECT 1 FROM lineage_datasetversion w
             WHERE w.dataset_id = of_dataset AND w.declared = named AND w.kind = 'written'
               AND w.run_id IS DISTINCT FROM reader))
    UNION ALL
    -- Otherwise what was whole last when the reader began; of two at one instant, both.
    SELECT v.id FROM lineage_datasetversion v
     WHERE named = '' AND v.dataset_id = of_dataset AND v.kind <> 'named' AND v.id <> itself
       AND (v.run_id IS NULL OR v.run_id IS DISTINCT FROM reader)
       AND v.complete_at = (
            SELECT w.complete_at FROM lineage_datasetversion w
             WHERE w.dataset_id = of_dataset AND w.kind <> 'named' AND w.id <> itself
               AND (w.run_id IS NULL OR w.run_id IS DISTINCT FROM reader)
               AND w.complete_at <= since
             ORDER BY w.complete_at DESC LIMIT 1)
    UNION ALL
    -- And everything that was being written, or was finished, before the reader ended.
    SELECT v.id FROM lineage_datasetversion v
     WHERE named = '' AND v.dataset_id = of_dataset AND v.kind <> 'named' AND v.id <> itself
       AND (v.run_id IS NULL OR v.run_id IS DISTINCT FROM reader)
       AND v.complete_at > since AND v.visible_from <= until
$$;
"""

PARENTS = """
CREATE FUNCTION lineage_parents(child bigint)
RETURNS TABLE (id bigint) LANGUAGE sql STABLE AS $$
    -- What the run that wrote it read. A run that named a version of a data set read that one.
    SELECT seen.id
      FROM lineage_datasetversion w
      JOIN lineage_runinput i ON i.run_id = w.run_id
     CROSS JOIN LATERAL lineage_versions_read(
            i.dataset_id, i.declared, w.visible_from, w.complete_at, w.run_id, 0) seen
     WHERE w.id = child
       AND (i.declared <> '' OR NOT EXISTS (
            SELECT 1 FROM lineage_runinput o
             WHERE o.run_id = i.run_id AND o.dataset_id = i.dataset_id AND o.declared <> ''))
    UNION ALL
    -- What was there before, unless it was replaced. A model is always written whole.
    SELECT seen.id
      FROM lineage_datasetversion w
     CROSS JOIN LATERAL lineage_versions_read(
            w.dataset_id, '', w.visible_from, w.complete_at, w.run_id, w.id) seen
     WHERE w.id = child AND w.kind <> 'origin' AND NOT w.replaces
       AND NOT EXISTS (SELECT 1 FROM governance_model m WHERE m.dataset_id = w.dataset_id)
$$;
"""


class Migration(migrations.Migration):
    """Create both functions."""

    dependencies = [("lineage", "0001_initial")]

    operations = [
        migrations.RunSQL(
            VERSIONS_READ,
            "DROP FUNCTION lineage_versions_read"
            "(bigint, text, timestamptz, timestamptz, bigint, bigint)",
        ),
        migrations.RunSQL(PARENTS, "DROP FUNCTION lineage_parents(bigint)"),
    ]
