"""Find data sets, jobs, models and columns by what they are called and said to be.

Full text finds words, trigrams find parts of names, both by indexes over the tables that hold the
text, so nothing is copied and nothing has to be kept in step.
"""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from django.db import connection

from governance.errors import ColophonError

MOST = 100
LONGEST = 200


class Kind(StrEnum):
    """What can be found."""

    DATASET = "dataset"
    MODEL = "model"
    JOB = "job"
    FIELD = "field"


class SearchTextError(ColophonError):
    """A text to search for has at least one character that is not blank, and is not long."""

    code = "search_text_out_of_range"
    status = 400


@dataclass(frozen=True, slots=True)
class Hit:
    """One thing found; ``field`` is the column's name where a column was found."""

    kind: str
    id: UUID
    namespace: str
    name: str
    field: str
    description: str


_STATEMENT = """
    WITH asked AS (SELECT websearch_to_tsquery('simple', %(text)s) AS words),
    hits AS (
        SELECT CASE WHEN m.id IS NULL THEN 'dataset' ELSE 'model' END AS kind, d.uuid,
               d.namespace, d.name, '' AS field,
               greatest(similarity(d.name, %(text)s),
                        ts_rank(to_tsvector('simple', d.namespace || ' ' || d.name || ' '
                                                      || d.description), asked.words)) AS rank
          FROM asked, governance_dataset d
          LEFT JOIN governance_model m ON m.dataset_id = d.id
         WHERE d.name ILIKE %(part)s OR d.namespace ILIKE %(part)s
            OR to_tsvector('simple', d.namespace || ' ' || d.name || ' ' || d.description)
               @@ asked.words
            OR d.id IN (SELECT f.dataset_id FROM lineage_datasetfacet f
                         WHERE f.name IN ('documentation', 'tags')
                           AND jsonb_to_tsvector('simple', f.value, '["string"]') @@ asked.words)
         UNION ALL
        SELECT 'job', j.uuid, j.namespace, j.name, '', similarity(j.name, %(text)s)
          FROM asked, lineage_job j
         WHERE j.name ILIKE %(part)s OR j.namespace ILIKE %(part)s
            OR j.id IN (SELECT f.job_id FROM lineage_jobfacet f
                         WHERE f.name IN ('documentation', 'tags')
                           AND jsonb_to_tsvector('simple', f.value, '["string"]') @@ asked.words)
         UNION ALL
        SELECT 'field', d.uuid, d.namespace, d.name, column_name, similarity(column_name, %(text)s)
          FROM lineage_datasetfacet f
          JOIN governance_dataset d ON d.id = f.dataset_id
         CROSS JOIN LATERAL (
                SELECT field ->> 'name' AS column_name
                  FROM jsonb_array_elements(CASE jsonb_typeof(f.value -> 'fields')
                                            WHEN 'array' THEN f.value -> 'fields'
                                            ELSE '[]'::jsonb END) AS field) AS columns
         WHERE f.name = 'schema' AND (f.value ->> 'fields') ILIKE %(part)s
           AND column_name ILIKE %(part)s
    )
    SELECT h.kind, h.uuid, h.namespace, h.name, h.field,
           coalesce((SELECT d.description FROM governance_dataset d WHERE d.uuid = h.uuid), '')
      FROM hits h
     WHERE %(kind)s = '' OR h.kind = %(kind)s
     ORDER BY h.rank DESC, h.namespace, h.name, h.field
     LIMIT %(limit)s OFFSET %(offset)s
"""


def search(text: str, *, kind: str = "", offset: int = 0, limit: int = 50) -> list[Hit]:
    """Return what is found, the best first; one more than ``limit`` says that there is more.

    Raises `SearchTextError`.
    """
    if not text.strip() or len(text) > LONGEST:
        raise SearchTextError(f"search for 1 to {LONGEST} characters")
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    with connection.cursor() as cursor:
        cursor.execute(
            _STATEMENT,
            {"text": text, "part": f"%{escaped}%", "kind": kind, "limit": limit + 1,
             "offset": offset},
        )  # fmt: skip
        return [Hit(*row) for row in cursor.fetchall()]
