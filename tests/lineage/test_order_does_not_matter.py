"""Any order, repetition and cutting into batches of events gives the same graph."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lineage.models import DatasetVersion, InboxEvent, ModelVersion
from tests.factories.events import dataset, event, run

FACTS = """
SELECT 'run', j.name, r.run_id, r.state::text, r.state_at::text, r.started_at::text,
       r.last_heard_at::text
  FROM lineage_run r JOIN lineage_job j ON j.id = r.job_id
UNION ALL
SELECT 'input', r.run_id, d.name, i.declared, i.announced_at::text, '', ''
  FROM lineage_runinput i JOIN lineage_run r ON r.id = i.run_id
  JOIN governance_dataset d ON d.id = i.dataset_id
UNION ALL
SELECT 'version', d.name, v.kind, coalesce(r.run_id, '') || v.declared || v.lifecycle,
       v.visible_from::text, v.complete_at::text, v.replaces::text || v.announced_at::text
  FROM lineage_datasetversion v JOIN governance_dataset d ON d.id = v.dataset_id
  LEFT JOIN lineage_run r ON r.id = v.run_id
UNION ALL
SELECT 'facet', r.run_id, f.name, f.value::text, f.event_at::text, '', ''
  FROM lineage_runfacet f JOIN lineage_run r ON r.id = f.run_id
UNION ALL
SELECT 'edge', one.name, other.name, e.down::text, e.up::text, e.masks::text, ''
  FROM lineage_datasetedge e JOIN governance_dataset one ON one.id = e.input_id
  JOIN governance_dataset other ON other.id = e.output_id
UNION ALL
SELECT 'way back', d.name, count(*)::text, '', '', '', ''
  FROM lineage_wayback w JOIN governance_dataset d ON d.id = w.dataset_id
 WHERE length(w.model_versions) > 8 GROUP BY d.name
"""

STORY: list[dict[str, Any]] = [
    *run("ingest", 0, 1, reads=["source"], writes=[dataset("raw", version="1")]),
    event("RUNNING", "features", 2.5, reads=["raw"], processing_engine={"version": "1"}),
    *run("features", 2, 3, writes=["features"], processing_engine={"version": "2"}),
    *run("ingest", 4, 5, reads=["other"], writes=[dataset("raw", lifecycle="OVERWRITE")], run="2"),
    *run("train", 3.5, 6, reads=["features", dataset("raw", version="1")],
         writes=[dataset("model", model=True)]),
    *run("tune", 7, 8, reads=["model"], writes=[dataset("tuned", model=True)]),
    event("OTHER", "tune", 9),
    event("FAIL", "train", 10, run="crashed", reads=["raw"], writes=[dataset("model", model=True)]),
    event("FAIL", "train", 11, run="crashed"),
]  # fmt: skip


def graph() -> list[tuple[str, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(FACTS)
        return sorted(cursor.fetchall())


def provenance() -> list[tuple[Any, ...]]:
    """Return of each model version the versions it descends from, by what names them."""
    from pyroaring import BitMap

    def names(frozen: bytes) -> list[tuple[Any, ...]]:
        held = DatasetVersion.objects.filter(pk__in=list(BitMap.deserialize(bytes(frozen))))
        return sorted(held.values_list("dataset__name", "kind", "declared", "complete_at"))

    made = ModelVersion.objects.select_related("provenance", "version__run", "model__dataset")
    return sorted(
        (m.model.dataset.name, m.version.run.run_id, names(m.provenance.versions)) for m in made
    )


@contextmanager
def forgotten_afterwards() -> Iterator[None]:
    """Undo what is done inside."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def test_order_repetition_and_batches_do_not_matter(send):
    with forgotten_afterwards():
        send(STORY)
        wanted = graph(), provenance()
    assert len(wanted[1]) == 3

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        order=st.permutations(range(len(STORY))),
        repeated=st.lists(st.sampled_from(range(len(STORY))), max_size=6),
        cuts=st.lists(st.integers(1, len(STORY)), max_size=4),
        batch=st.integers(1, 5),
    )
    def any_way_gives_the_same(order, repeated, cuts, batch):
        sent = [STORY[place] for place in [*order, *repeated]]
        edges = [0, *sorted(cuts), len(sent)]
        with forgotten_afterwards():
            for start, end in pairwise(edges):
                send(sent[start:end], batch=batch)
            assert graph() == wanted[0]
            assert provenance() == wanted[1]
            assert InboxEvent.objects.count() == len(STORY)

    any_way_gives_the_same()
