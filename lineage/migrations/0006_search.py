"""Indexes that search needs: trigrams for parts of names, full text for words."""

from django.contrib.postgres.operations import TrigramExtension
from django.db import migrations

CREATE = """
CREATE INDEX lineage_search_dataset_name ON governance_dataset USING gin (name gin_trgm_ops);
CREATE INDEX lineage_search_dataset_namespace
    ON governance_dataset USING gin (namespace gin_trgm_ops);
CREATE INDEX lineage_search_dataset_words ON governance_dataset
    USING gin (to_tsvector('simple', namespace || ' ' || name || ' ' || description));
CREATE INDEX lineage_search_job_name ON lineage_job USING gin (name gin_trgm_ops);
CREATE INDEX lineage_search_job_namespace ON lineage_job USING gin (namespace gin_trgm_ops);
CREATE INDEX lineage_search_dataset_said ON lineage_datasetfacet
    USING gin (jsonb_to_tsvector('simple', value, '["string"]'))
    WHERE name IN ('documentation', 'tags');
CREATE INDEX lineage_search_job_said ON lineage_jobfacet
    USING gin (jsonb_to_tsvector('simple', value, '["string"]'))
    WHERE name IN ('documentation', 'tags');
CREATE INDEX lineage_search_fields ON lineage_datasetfacet
    USING gin ((value ->> 'fields') gin_trgm_ops) WHERE name = 'schema';
"""

DROP = """
DROP INDEX lineage_search_dataset_name, lineage_search_dataset_namespace,
           lineage_search_dataset_words, lineage_search_job_name, lineage_search_job_namespace,
           lineage_search_dataset_said, lineage_search_job_said, lineage_search_fields;
"""


class Migration(migrations.Migration):
    dependencies = [("lineage", "0005_facets")]

    operations = [TrigramExtension(), migrations.RunSQL(CREATE, DROP)]
