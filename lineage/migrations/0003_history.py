"""Flows, identities and history; runs and what hangs on them, partitioned by month."""

from importlib import import_module

import django.db.models.deletion
from django.contrib.postgres.functions import RandomUUID
from django.db import migrations, models
from django.db.models import F, Q

BEFORE = import_module("lineage.migrations.0002_what_a_run_read")

MONTHLY = ("run", "runinput", "runevent", "outputstatement", "flow")

ENSURE_MONTHS = """
CREATE FUNCTION lineage_ensure_months(wanted date[]) RETURNS void LANGUAGE plpgsql AS $$
-- Make the partitions of these months; everything before 2015 shares one.
DECLARE
    family text;
    start date;
    part text;
BEGIN
    FOR start IN SELECT DISTINCT greatest(date_trunc('month', day)::date, date '2014-12-01')
                   FROM unnest(wanted) AS day ORDER BY 1
    LOOP
        FOREACH family IN ARRAY ARRAY['run', 'runinput', 'runevent', 'outputstatement', 'flow']
        LOOP
            part := format('lineage_%s_%s', family, to_char(start, 'YYYY_MM'));
            CONTINUE WHEN to_regclass(part) IS NOT NULL;
            IF start < date '2015-01-01' THEN
                EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (MINVALUE)'
                               ' TO (%L)', part, 'lineage_' || family, date '2015-01-01');
            ELSE
                EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                               part, 'lineage_' || family, start, start + interval '1 month');
            END IF;
        END LOOP;
    END LOOP;
END $$;
"""

PARTITIONED = """
CREATE TABLE kept_run AS SELECT * FROM lineage_run;
CREATE TABLE kept_runinput AS SELECT * FROM lineage_runinput;
DROP TABLE lineage_runinput;
DROP TABLE lineage_run;

CREATE SEQUENCE lineage_run_key;
CREATE TABLE lineage_run (
    id bigint NOT NULL DEFAULT nextval('lineage_run_key'),
    uuid uuid NOT NULL DEFAULT gen_random_uuid(),
    month date NOT NULL,
    run_id text NOT NULL,
    job_id bigint NOT NULL REFERENCES lineage_job (id) DEFERRABLE INITIALLY DEFERRED,
    state smallint NOT NULL CHECK (state >= 0),
    state_at timestamptz NOT NULL,
    started_at timestamptz NOT NULL,
    last_heard_at timestamptz NOT NULL,
    parent_id bigint,
    root_id bigint,
    parent_at timestamptz,
    PRIMARY KEY (id, month),
    CONSTRAINT lineage_run_id_once UNIQUE (job_id, run_id, month),
    CONSTRAINT lineage_run_uuid_once UNIQUE (uuid, month),
    CONSTRAINT lineage_run_times_in_order
         CHECK (started_at <= state_at AND state_at <= last_heard_at)
) PARTITION BY RANGE (month);
ALTER SEQUENCE lineage_run_key OWNED BY lineage_run.id;
CREATE INDEX lineage_run_parent ON lineage_run (parent_id) WHERE parent_id IS NOT NULL;

CREATE SEQUENCE lineage_runinput_key;
CREATE TABLE lineage_runinput (
    id bigint NOT NULL DEFAULT nextval('lineage_runinput_key'),
    run_id bigint NOT NULL,
    month date NOT NULL,
    dataset_id bigint NOT NULL REFERENCES governance_dataset (id) DEFERRABLE INITIALLY DEFERRED,
    declared text NOT NULL,
    announced_at timestamptz NOT NULL,
    PRIMARY KEY (id, month),
    CONSTRAINT lineage_runinput_once UNIQUE (run_id, dataset_id, declared, month)
) PARTITION BY RANGE (month);
ALTER SEQUENCE lineage_runinput_key OWNED BY lineage_runinput.id;
CREATE INDEX lineage_runinput_readers ON lineage_runinput (dataset_id, run_id);

CREATE SEQUENCE lineage_runevent_key;
CREATE TABLE lineage_runevent (
    id bigint NOT NULL DEFAULT nextval('lineage_runevent_key'),
    run_id bigint NOT NULL,
    month date NOT NULL,
    at timestamptz NOT NULL,
    state smallint NOT NULL CHECK (state >= 0),
    PRIMARY KEY (id, month),
    CONSTRAINT lineage_runevent_once UNIQUE (run_id, at, state, month)
) PARTITION BY RANGE (month);
ALTER SEQUENCE lineage_runevent_key OWNED BY lineage_runevent.id;

CREATE SEQUENCE lineage_outputstatement_key;
CREATE TABLE lineage_outputstatement (
    id bigint NOT NULL DEFAULT nextval('lineage_outputstatement_key'),
    version_id bigint NOT NULL,
    month date NOT NULL,
    at timestamptz NOT NULL,
    declared text NOT NULL,
    lifecycle text NOT NULL,
    PRIMARY KEY (id, month),
    CONSTRAINT lineage_outputstatement_once UNIQUE (version_id, at, declared, lifecycle, month)
) PARTITION BY RANGE (month);
ALTER SEQUENCE lineage_outputstatement_key OWNED BY lineage_outputstatement.id;

CREATE SEQUENCE lineage_flow_key;
CREATE TABLE lineage_flow (
    id bigint NOT NULL DEFAULT nextval('lineage_flow_key'),
    run_id bigint NOT NULL,
    month date NOT NULL,
    output_id bigint NOT NULL REFERENCES governance_dataset (id) DEFERRABLE INITIALLY DEFERRED,
    input_id bigint REFERENCES governance_dataset (id) DEFERRABLE INITIALLY DEFERRED,
    kind text NOT NULL,
    masked boolean NOT NULL,
    event_at timestamptz NOT NULL,
    PRIMARY KEY (id, month),
    CONSTRAINT lineage_flow_once
        UNIQUE NULLS NOT DISTINCT (run_id, output_id, kind, event_at, input_id, month),
    CONSTRAINT lineage_flow_kind_known CHECK (kind IN ('explicit', 'columns')),
    CONSTRAINT lineage_flow_masks_a_source CHECK (input_id IS NOT NULL OR NOT masked)
) PARTITION BY RANGE (month);
ALTER SEQUENCE lineage_flow_key OWNED BY lineage_flow.id;
CREATE INDEX lineage_flow_readers ON lineage_flow (input_id);

SELECT lineage_ensure_months(coalesce(array_agg(started_at::date), '{}')) FROM kept_run;
INSERT INTO lineage_run (id, uuid, month, run_id, job_id, state, state_at, started_at, last_heard_at)
SELECT id, uuid, date_trunc('month', started_at)::date, run_id, job_id, state, state_at,
       started_at, last_heard_at FROM kept_run;
INSERT INTO lineage_runinput (id, run_id, month, dataset_id, declared, announced_at)
SELECT i.id, i.run_id, r.month, i.dataset_id, i.declared, i.announced_at
  FROM kept_runinput i JOIN lineage_run r ON r.id = i.run_id;
INSERT INTO lineage_runevent (run_id, month, at, state)
SELECT id, month, started_at, 0 FROM lineage_run WHERE started_at < state_at
 UNION ALL SELECT id, month, last_heard_at, 0 FROM lineage_run WHERE last_heard_at > state_at
 UNION ALL SELECT id, month, state_at, state FROM lineage_run;
INSERT INTO lineage_outputstatement (version_id, month, at, declared, lifecycle)
SELECT v.id, r.month, coalesce(greatest(v.declared_at, v.lifecycle_at), v.announced_at),
       v.declared, v.lifecycle
  FROM lineage_datasetversion v JOIN lineage_run r ON r.id = v.run_id
 WHERE v.kind = 'written' AND (v.declared <> '' OR v.lifecycle <> '');
SELECT setval('lineage_run_key', (SELECT coalesce(max(id), 0) + 1 FROM lineage_run), false);
SELECT setval('lineage_runinput_key',
              (SELECT coalesce(max(id), 0) + 1 FROM lineage_runinput), false);
DROP TABLE kept_run;
DROP TABLE kept_runinput;
"""

WHOLE = """
CREATE TABLE kept_run AS SELECT * FROM lineage_run;
CREATE TABLE kept_runinput AS SELECT * FROM lineage_runinput;
DROP TABLE lineage_flow, lineage_outputstatement, lineage_runevent, lineage_runinput, lineage_run;
CREATE TABLE lineage_run (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    uuid uuid NOT NULL DEFAULT gen_random_uuid() UNIQUE,
    run_id text NOT NULL,
    job_id bigint NOT NULL REFERENCES lineage_job (id) DEFERRABLE INITIALLY DEFERRED,
    state smallint NOT NULL CHECK (state >= 0),
    state_at timestamptz NOT NULL,
    started_at timestamptz NOT NULL,
    last_heard_at timestamptz NOT NULL,
    CONSTRAINT lineage_run_id_once UNIQUE (job_id, run_id),
    CONSTRAINT lineage_run_times_in_order
         CHECK (started_at <= state_at AND state_at <= last_heard_at)
);
CREATE TABLE lineage_runinput (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    run_id bigint NOT NULL REFERENCES lineage_run (id) DEFERRABLE INITIALLY DEFERRED,
    dataset_id bigint NOT NULL REFERENCES governance_dataset (id) DEFERRABLE INITIALLY DEFERRED,
    declared text NOT NULL,
    announced_at timestamptz NOT NULL,
    CONSTRAINT lineage_runinput_once UNIQUE (run_id, dataset_id, declared)
);
CREATE INDEX ON lineage_run (job_id);
CREATE INDEX ON lineage_runinput (run_id);
CREATE INDEX ON lineage_runinput (dataset_id);
INSERT INTO lineage_run SELECT id, uuid, run_id, job_id, state, state_at, started_at, last_heard_at
  FROM kept_run;
INSERT INTO lineage_runinput SELECT id, run_id, dataset_id, declared, announced_at
  FROM kept_runinput;
SELECT setval(pg_get_serial_sequence('lineage_run', 'id'),
              (SELECT coalesce(max(id), 0) + 1 FROM lineage_run), false);
SELECT setval(pg_get_serial_sequence('lineage_runinput', 'id'),
              (SELECT coalesce(max(id), 0) + 1 FROM lineage_runinput), false);
DROP TABLE kept_run;
DROP TABLE kept_runinput;
"""

IDENTITY_OF = """
CREATE FUNCTION lineage_identity_of(dataset bigint) RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT coalesce((SELECT n.identity FROM lineage_identity n WHERE n.dataset_id = dataset),
                    dataset)
$$;
"""

VERSIONS_READ = BEFORE.VERSIONS_READ.replace("of_dataset", "of_identity").replace(
    ".dataset_id = of_identity", ".identity = of_identity"
)

SOURCES = """
CREATE FUNCTION lineage_sources(writer bigint, wrote bigint)
RETURNS TABLE (dataset_id bigint, masked boolean) LANGUAGE sql STABLE AS $$
    -- Every input goes into every output, where the run says nothing closer of this output.
    SELECT i.dataset_id, false
      FROM lineage_runinput i
     WHERE i.run_id = writer
       AND NOT EXISTS (SELECT 1 FROM lineage_flow f
                        WHERE f.run_id = writer AND f.output_id = wrote)
    UNION ALL
    -- What is said explicitly adds up.
    SELECT f.input_id, f.masked
      FROM lineage_flow f
     WHERE f.run_id = writer AND f.output_id = wrote AND f.kind = 'explicit'
       AND f.input_id IS NOT NULL
    UNION ALL
    -- Of the columns' lineage the last statement stands.
    SELECT f.input_id, f.masked
      FROM lineage_flow f
     WHERE f.run_id = writer AND f.output_id = wrote AND f.kind = 'columns'
       AND f.input_id IS NOT NULL
       AND f.event_at = (SELECT max(g.event_at) FROM lineage_flow g
                          WHERE g.run_id = writer AND g.output_id = wrote AND g.kind = 'columns')
       AND NOT EXISTS (SELECT 1 FROM lineage_flow g
                        WHERE g.run_id = writer AND g.output_id = wrote AND g.kind = 'explicit')
$$;
"""

DESIGN_SOURCES = """
CREATE FUNCTION lineage_design_sources(of_identity bigint, since timestamptz, until timestamptz)
RETURNS TABLE (identity bigint, masked boolean) LANGUAGE sql STABLE AS $$
    -- What the designs in force at any moment between say; a first one also stands for before it.
    -- A job that wrote the data set in a run is known by its runs.
    SELECT lineage_identity_of(d.input_id), d.masked
      FROM lineage_design d
     WHERE d.input_id IS NOT NULL
       AND d.output_id IN (SELECT of_identity UNION ALL
                           SELECT n.dataset_id FROM lineage_identity n
                            WHERE n.identity = of_identity)
       AND ((d.event_at > since AND d.event_at <= until)
            OR d.event_at = coalesce(
                (SELECT max(e.event_at) FROM lineage_design e
                  WHERE e.job_id IS NOT DISTINCT FROM d.job_id
                    AND e.about_id IS NOT DISTINCT FROM d.about_id AND e.event_at <= since),
                (SELECT min(e.event_at) FROM lineage_design e
                  WHERE e.job_id IS NOT DISTINCT FROM d.job_id
                    AND e.about_id IS NOT DISTINCT FROM d.about_id)))
       AND NOT EXISTS (SELECT 1 FROM lineage_datasetversion v JOIN lineage_run r ON r.id = v.run_id
                        WHERE v.dataset_id = d.output_id AND r.job_id = d.job_id
                          AND v.visible_from <= until)
$$;
CREATE FUNCTION lineage_behind(of_identity bigint, since timestamptz, until timestamptz)
RETURNS TABLE (identity bigint, masked boolean) LANGUAGE sql STABLE AS $$
    WITH RECURSIVE behind (identity, masked) AS (
        SELECT d.identity, d.masked FROM lineage_design_sources(of_identity, since, until) d
        UNION
        SELECT d.identity, b.masked OR d.masked
          FROM behind b CROSS JOIN LATERAL lineage_design_sources(b.identity, since, until) d
    )
    SELECT behind.identity, behind.masked FROM behind
$$;
"""

PARENTS = """
CREATE FUNCTION lineage_parents(child bigint)
RETURNS TABLE (id bigint, masked boolean) LANGUAGE sql STABLE AS $$
    -- What the run that wrote it read. A run that named a version of a data set read that one.
    SELECT seen.id, source.masked
      FROM lineage_datasetversion w
     CROSS JOIN LATERAL lineage_sources(w.run_id, w.dataset_id) source
      LEFT JOIN LATERAL (
            SELECT i.declared FROM lineage_runinput i
             WHERE i.run_id = w.run_id AND i.dataset_id = source.dataset_id
               AND i.declared <> '') named ON true
     CROSS JOIN LATERAL lineage_versions_read(
            lineage_identity_of(source.dataset_id), coalesce(named.declared, ''),
            w.visible_from, w.complete_at, w.run_id, 0) seen
     WHERE w.id = child
    UNION ALL
    -- What lies behind a view that it read, as it stood then.
    SELECT seen.id, source.masked OR behind.masked
      FROM lineage_datasetversion w
     CROSS JOIN LATERAL lineage_sources(w.run_id, w.dataset_id) source
     CROSS JOIN LATERAL lineage_behind(
            lineage_identity_of(source.dataset_id), w.visible_from, w.complete_at) behind
     CROSS JOIN LATERAL lineage_versions_read(
            behind.identity, '', w.visible_from, w.complete_at, w.run_id, 0) seen
     WHERE w.id = child
       AND EXISTS (SELECT 1 FROM lineage_design)
       AND NOT EXISTS (SELECT 1 FROM lineage_runinput i
                        WHERE i.run_id = w.run_id AND i.dataset_id = source.dataset_id
                          AND i.declared <> '')
    UNION ALL
    -- What was there before, unless it was replaced. A model is always written whole.
    SELECT seen.id, false
      FROM lineage_datasetversion w
     CROSS JOIN LATERAL lineage_versions_read(
            w.identity, '', w.visible_from, w.complete_at, w.run_id, w.id) seen
     WHERE w.id = child AND w.kind <> 'origin' AND NOT w.replaces
       AND NOT EXISTS (SELECT 1 FROM governance_model m WHERE m.dataset_id = w.dataset_id)
       AND NOT EXISTS (SELECT 1 FROM lineage_identity n
                         JOIN governance_model m ON m.dataset_id = n.dataset_id
                        WHERE n.identity = w.identity)
    UNION ALL
    -- What was kept of a month that is gone.
    SELECT k.parent_id, k.masked FROM lineage_keptedge k WHERE k.child_id = child
$$;
"""

DROP_BEFORE = """
DROP FUNCTION lineage_parents(bigint);
DROP FUNCTION lineage_versions_read(bigint, text, timestamptz, timestamptz, bigint, bigint);
"""
DROP_NOW = """
DROP FUNCTION lineage_parents(bigint);
DROP FUNCTION lineage_behind(bigint, timestamptz, timestamptz);
DROP FUNCTION lineage_design_sources(bigint, timestamptz, timestamptz);
DROP FUNCTION lineage_sources(bigint, bigint);
DROP FUNCTION lineage_versions_read(bigint, text, timestamptz, timestamptz, bigint, bigint);
DROP FUNCTION lineage_identity_of(bigint);
"""


def key() -> models.BigAutoField:
    return models.BigAutoField(
        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
    )


def of(model: str, name: str = "+", **more: object) -> models.ForeignKey:
    return models.ForeignKey(
        model, on_delete=django.db.models.deletion.PROTECT, related_name=name, **more
    )


def of_run(name: str, **more: object) -> models.ForeignKey:
    return models.ForeignKey(
        "lineage.run",
        on_delete=django.db.models.deletion.DO_NOTHING,
        db_constraint=False,
        related_name=name,
        **more,
    )


STATES = [(0, "HEARD_OF"), (1, "RUNNING"), (2, "COMPLETE"), (3, "ABORT"), (4, "FAIL")]
DATASET, JOB, VERSION = "governance.dataset", "lineage.job", "lineage.datasetversion"

STATE_OF_MONTHS = [
    migrations.AddField("run", "month", models.DateField(default="2015-01-01"), False),
    migrations.AlterField("run", "uuid", models.UUIDField(db_default=RandomUUID(), editable=False)),
    migrations.AddField("run", "parent", of_run("children", null=True)),
    migrations.AddField("run", "root", of_run("+", null=True)),
    migrations.AddField("run", "parent_at", models.DateTimeField(null=True)),
    migrations.RemoveConstraint("run", "lineage_run_id_once"),
    migrations.AddConstraint(
        "run",
        models.UniqueConstraint(fields=["job", "run_id", "month"], name="lineage_run_id_once"),
    ),
    migrations.AddConstraint(
        "run", models.UniqueConstraint(fields=["uuid", "month"], name="lineage_run_uuid_once")
    ),
    migrations.AddField("runinput", "month", models.DateField(default="2015-01-01"), False),
    migrations.AlterField("runinput", "run", of_run("inputs")),
    migrations.RemoveConstraint("runinput", "lineage_runinput_once"),
    migrations.AddConstraint(
        "runinput",
        models.UniqueConstraint(
            fields=["run", "dataset", "declared", "month"], name="lineage_runinput_once"
        ),
    ),
    migrations.CreateModel(
        "RunEvent",
        [
            ("id", key()),
            ("run", of_run("events")),
            ("month", models.DateField()),
            ("at", models.DateTimeField()),
            ("state", models.PositiveSmallIntegerField(choices=STATES)),
        ],
        options={
            "constraints": [
                models.UniqueConstraint(
                    fields=["run", "at", "state", "month"], name="lineage_runevent_once"
                )
            ]
        },
    ),
    migrations.CreateModel(
        "OutputStatement",
        [
            ("id", key()),
            (
                "version",
                models.ForeignKey(
                    VERSION,
                    on_delete=django.db.models.deletion.DO_NOTHING,
                    db_constraint=False,
                    related_name="+",
                ),
            ),
            ("month", models.DateField()),
            ("at", models.DateTimeField()),
            ("declared", models.TextField(blank=True)),
            ("lifecycle", models.TextField(blank=True)),
        ],
        options={
            "constraints": [
                models.UniqueConstraint(
                    fields=["version", "at", "declared", "lifecycle", "month"],
                    name="lineage_outputstatement_once",
                )
            ]
        },
    ),
    migrations.CreateModel(
        "Flow",
        [
            ("id", key()),
            ("run", of_run("flows")),
            ("month", models.DateField()),
            ("output", of(DATASET)),
            ("input", of(DATASET, null=True)),
            (
                "kind",
                models.TextField(
                    choices=[
                        ("explicit", "the lineage facet"),
                        ("columns", "the columnLineage facet"),
                    ]
                ),
            ),
            ("masked", models.BooleanField()),
            ("event_at", models.DateTimeField()),
        ],
        options={
            "constraints": [
                models.UniqueConstraint(
                    fields=["run", "output", "kind", "event_at", "input", "month"],
                    name="lineage_flow_once",
                    nulls_distinct=False,
                ),
                models.CheckConstraint(
                    condition=Q(kind__in=["explicit", "columns"]), name="lineage_flow_kind_known"
                ),
                models.CheckConstraint(
                    condition=Q(input__isnull=False) | Q(masked=False),
                    name="lineage_flow_masks_a_source",
                ),
            ]
        },
    ),
]


class Migration(migrations.Migration):
    """New tables, then the partitions, then the rules that read them."""

    dependencies = [("lineage", "0002_what_a_run_read")]

    operations = [
        migrations.RunSQL(DROP_BEFORE, BEFORE.VERSIONS_READ + BEFORE.PARENTS),
        migrations.CreateModel(
            "Design",
            [
                ("id", key()),
                ("job", of(JOB, "designs", null=True)),
                ("about", of(DATASET, null=True)),
                ("event_at", models.DateTimeField()),
                ("input", of(DATASET, null=True)),
                ("output", of(DATASET, null=True)),
                ("masked", models.BooleanField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=["job", "about", "event_at", "input", "output"],
                        name="lineage_design_once",
                        nulls_distinct=False,
                    ),
                    models.CheckConstraint(
                        condition=Q(job__isnull=False, about__isnull=True)
                        | Q(job__isnull=True, about__isnull=False),
                        name="lineage_design_of_a_job_or_a_dataset",
                    ),
                ]
            },
        ),
        migrations.CreateModel(
            "ColumnEdge",
            [
                ("id", key()),
                ("job", of(JOB, null=True)),
                ("input", of(DATASET)),
                ("input_field", models.TextField()),
                ("output", of(DATASET)),
                ("output_field", models.TextField(blank=True)),
                ("kind", models.TextField(blank=True)),
                ("subtype", models.TextField(blank=True)),
                ("description", models.TextField(blank=True)),
                ("masking", models.BooleanField()),
                ("digest", models.BinaryField()),
                ("first_at", models.DateTimeField()),
                ("last_at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=["digest"], name="lineage_columnedge_once"),
                    models.CheckConstraint(
                        condition=Q(first_at__lte=F("last_at")),
                        name="lineage_columnedge_times_in_order",
                    ),
                ],
                "indexes": [
                    models.Index(F("input"), F("input_field"), name="lineage_columnedge_down"),
                    models.Index(F("output"), F("output_field"), name="lineage_columnedge_up"),
                ],
            },
        ),
        migrations.CreateModel(
            "Alias",
            [
                ("id", key()),
                ("low", of(DATASET)),
                ("high", of(DATASET)),
                ("announced_at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=["low", "high"], name="lineage_alias_once"),
                    models.CheckConstraint(
                        condition=Q(low__lt=F("high")), name="lineage_alias_of_two"
                    ),
                ]
            },
        ),
        migrations.CreateModel(
            "Identity",
            [
                (
                    "dataset",
                    models.OneToOneField(
                        DATASET,
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                    ),
                ),
                ("identity", models.BigIntegerField(db_index=True)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(identity__lte=F("dataset")),
                        name="lineage_identity_is_the_smallest",
                    )
                ]
            },
        ),
        migrations.CreateModel(
            "ModelClaim",
            [
                ("id", key()),
                (
                    "dataset",
                    models.OneToOneField(
                        DATASET, on_delete=django.db.models.deletion.PROTECT, related_name="+"
                    ),
                ),
                ("announced_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            "KeptEdge",
            [
                ("id", key()),
                ("child", of(VERSION)),
                ("parent", of(VERSION)),
                ("masked", models.BooleanField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=["child", "parent"], name="lineage_keptedge_once"
                    )
                ]
            },
        ),
        migrations.AddField("provenance", "masked", models.BinaryField(default=bytes)),
        migrations.AddField("datasetversion", "identity", models.BigIntegerField(null=True)),
        migrations.RunSQL(
            "UPDATE lineage_datasetversion SET identity = dataset_id", migrations.RunSQL.noop
        ),
        migrations.AlterField("datasetversion", "identity", models.BigIntegerField()),
        migrations.AlterField("datasetversion", "run", of_run("outputs", null=True)),
        migrations.AlterField("runfacet", "run", of_run("facets")),
        migrations.RemoveIndex("datasetversion", "lineage_version_timeline"),
        migrations.RemoveIndex("datasetversion", "lineage_version_declared"),
        migrations.AddIndex(
            "datasetversion",
            models.Index(F("identity"), F("complete_at"), name="lineage_version_timeline"),
        ),
        migrations.AddIndex(
            "datasetversion",
            models.Index(
                F("identity"),
                F("declared"),
                name="lineage_version_declared",
                condition=~Q(declared=""),
            ),
        ),
        migrations.RunSQL("SET CONSTRAINTS ALL IMMEDIATE", "SET CONSTRAINTS ALL IMMEDIATE"),
        migrations.RunSQL(ENSURE_MONTHS, "DROP FUNCTION lineage_ensure_months(date[])"),
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(PARTITIONED, WHOLE)],
            state_operations=STATE_OF_MONTHS,
        ),
        migrations.RunSQL(
            IDENTITY_OF + VERSIONS_READ + SOURCES + DESIGN_SOURCES + PARENTS, DROP_NOW
        ),
    ]
