"""Which data set ever flowed into which, however many runs say so.

The database itself notes the edges, by triggers: so no writer can forget it, not even an older
version of us that still runs beside this one.
"""

from importlib import import_module

import django.db.models.deletion
from django.db import migrations, models

BEFORE = import_module("lineage.migrations.0003_history").PARENTS.replace(
    "CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"
)
# What a run named is looked up for each source. As a join it was left to the statistics, and
# without any all inputs of all runs were read for one version.
PARENTS = BEFORE.replace(
    "AND i.declared <> '') named ON true", "AND i.declared <> '' OFFSET 0) named ON true"
)

# What the rows of a table say: input, output, whether it is followed down and up, any mask.
SAID = {
    "runinput": """
        SELECT added.dataset_id, w.dataset_id, true, true, false
          FROM added JOIN lineage_datasetversion w ON w.run_id = added.run_id
    """,
    "datasetversion": """
        SELECT i.dataset_id, added.dataset_id, true, true, false
          FROM added JOIN lineage_runinput i ON i.run_id = added.run_id
        UNION ALL
        SELECT f.input_id, added.dataset_id, false, true, false
          FROM added JOIN lineage_flow f ON f.run_id = added.run_id
         WHERE f.input_id IS NOT NULL
    """,
    "flow": """
        SELECT added.input_id, added.output_id, true, false, added.masked
          FROM added WHERE added.input_id IS NOT NULL
        UNION ALL
        SELECT added.input_id, w.dataset_id, false, true, false
          FROM added JOIN lineage_datasetversion w ON w.run_id = added.run_id
         WHERE added.input_id IS NOT NULL
    """,
    "design": """
        SELECT added.input_id, added.output_id, true, true, added.masked
          FROM added WHERE added.input_id IS NOT NULL AND added.output_id IS NOT NULL
    """,
    "keptedge": """
        SELECT above.dataset_id, below.dataset_id, true, true, added.masked
          FROM added
          JOIN lineage_datasetversion above ON above.id = added.parent_id
          JOIN lineage_datasetversion below ON below.id = added.child_id
    """,
}

# Mostly everything is known already, which is asked before, because a row in conflict is locked.
NOTE = """
    INSERT INTO lineage_datasetedge AS known (input_id, output_id, down, up, masks)
    SELECT said.input, said.output, bool_or(said.down), bool_or(said.up), bool_or(said.masks)
      FROM ({said}) AS said (input, output, down, up, masks)
     WHERE NOT EXISTS (SELECT FROM lineage_datasetedge e
                        WHERE e.input_id = said.input AND e.output_id = said.output
                          AND e.down >= said.down AND e.up >= said.up AND e.masks >= said.masks)
     GROUP BY said.input, said.output
     ORDER BY said.input, said.output
    ON CONFLICT (input_id, output_id) DO UPDATE
       SET down = known.down OR excluded.down, up = known.up OR excluded.up,
           masks = known.masks OR excluded.masks;
"""
# A plan is kept as long as a session, and the first may be made while the tables are empty.
TRIGGER = """
CREATE FUNCTION lineage_note_edges_of_{table}() RETURNS trigger LANGUAGE plpgsql
    SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    {note}
    RETURN NULL;
END $$;
CREATE TRIGGER lineage_{table}_edges AFTER INSERT ON lineage_{table}
    REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION lineage_note_edges_of_{table}();
"""
AS_ADDED = "WITH added AS (TABLE lineage_{table}) {note}"
DROP = """
DROP TRIGGER lineage_{table}_edges ON lineage_{table};
DROP FUNCTION lineage_note_edges_of_{table}();
"""

NOTED = [
    migrations.RunSQL(
        TRIGGER.format(table=table, note=NOTE.format(said=said)), DROP.format(table=table)
    )
    for table, said in SAID.items()
]
# The rows of versions say what those of inputs and of flows do.
KNOWN = [
    migrations.RunSQL(
        AS_ADDED.format(table=table, note=NOTE.format(said=SAID[table])), migrations.RunSQL.noop
    )
    for table in ("runinput", "flow", "design", "keptedge")
]


def of_dataset(**more: object) -> models.ForeignKey:
    return models.ForeignKey(
        "governance.dataset", on_delete=django.db.models.deletion.PROTECT, related_name="+", **more
    )


class Migration(migrations.Migration):
    dependencies = [("lineage", "0011_parents_of_models")]

    operations = [
        migrations.CreateModel(
            "DatasetEdge",
            [
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("input", of_dataset(db_index=False)),
                ("output", of_dataset()),
                ("down", models.BooleanField()),
                ("up", models.BooleanField()),
                ("masks", models.BooleanField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("input", "output"), name="lineage_datasetedge_once"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(down=True) | models.Q(up=True),
                        name="lineage_datasetedge_is_followed",
                    ),
                ]
            },
        ),
        *NOTED,
        *KNOWN,
        migrations.RunSQL(PARENTS, BEFORE),
    ]
