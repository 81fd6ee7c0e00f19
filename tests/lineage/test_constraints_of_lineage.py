"""Each named constraint of lineage can fire."""

import pytest
from django.db import IntegrityError, transaction

from governance.models import Dataset
from lineage.models import (
    DatasetFacet,
    DatasetVersion,
    InboxEvent,
    Job,
    JobFacet,
    Run,
    RunFacet,
    RunInput,
    WayBack,
)
from lineage.models.provenance import ModelVersion, Provenance
from lineage.openlineage import RunState
from tests.factories.events import at, dataset, event, run

MODELS = (InboxEvent, Job, Run, RunInput, DatasetVersion, RunFacet, JobFacet, DatasetFacet,
          ModelVersion, Provenance, WayBack)  # fmt: skip


def again(row, **changed):
    """Insert the same row once more, but for what is changed."""
    row.pk, row._state.adding = None, True
    for name, value in changed.items():
        setattr(row, name, value)
    if hasattr(row, "uuid"):
        row.uuid = "01a20b19-f470-723b-81f2-2336107c0ae5"
    row.save(force_insert=True)


def written() -> DatasetVersion:
    return DatasetVersion.objects.filter(kind="written").first()


VIOLATIONS = {
    "lineage_inbox_body_once": lambda: again(InboxEvent.objects.first()),
    "lineage_inbox_state_known": lambda: InboxEvent.objects.update(state="lost"),
    "lineage_inbox_dead_has_a_reason": lambda: InboxEvent.objects.update(state="dead"),
    "lineage_job_name_once": lambda: again(Job.objects.first()),
    "lineage_run_id_once": lambda: again(Run.objects.first()),
    "lineage_run_times_in_order": lambda: Run.objects.update(started_at=at(1000)),
    "lineage_runinput_once": lambda: again(RunInput.objects.first()),
    "lineage_version_one_origin": lambda: again(DatasetVersion.objects.filter(kind="origin")[0]),
    "lineage_version_once_a_run": lambda: again(written()),
    "lineage_version_named_once": lambda: again(DatasetVersion.objects.get(kind="named")),
    "lineage_version_written_by_a_run": lambda: again(written(), run=None),
    "lineage_version_named_has_name": lambda: again(written(), run=None, kind="named"),
    "lineage_version_seen_before_whole": lambda: again(
        written(), run=None, kind="erased", visible_from=at(1000)
    ),
    "lineage_runfacet_once": lambda: again(RunFacet.objects.first()),
    "lineage_jobfacet_once": lambda: again(JobFacet.objects.first()),
    "lineage_datasetfacet_once": lambda: again(DatasetFacet.objects.first()),
    "lineage_wayback_block_once": lambda: again(WayBack.objects.first()),
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_the_constraint_fires(name, send):
    reads, writes = ["raw", dataset("named", version="1")], [dataset("model", model=True)]
    send(run("train", 0, 1, reads=reads, writes=writes, processing_engine={"version": "1"}))
    job = event("START", "train", 0)
    job["job"]["facets"] = {"jobType": {"processingType": "BATCH"}}
    send([job])
    assert (Run.objects.get().state, Dataset.objects.count()) == (RunState.COMPLETE, 3)
    with pytest.raises(IntegrityError) as broken, transaction.atomic():
        VIOLATIONS[name]()
    assert broken.value.__cause__.diag.constraint_name == name


def test_every_constraint_of_lineage_is_tried():
    named = {each.name for model in MODELS for each in model._meta.constraints}
    assert named == set(VIOLATIONS)
