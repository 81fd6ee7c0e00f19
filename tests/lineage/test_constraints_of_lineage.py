"""Each named constraint of lineage can fire."""

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import F

from governance.models import Dataset
from lineage.models import (
    Alias,
    ColumnEdge,
    DatasetEdge,
    DatasetFacet,
    DatasetVersion,
    Design,
    Flow,
    Identity,
    InboxEvent,
    Job,
    JobFacet,
    KeptEdge,
    OutputStatement,
    Run,
    RunEvent,
    RunFacet,
    RunInput,
    Source,
    SourceMessage,
    SourceSecret,
    UseFacet,
    WayBack,
)
from lineage.models.provenance import ModelVersion, Provenance
from lineage.openlineage import RunState
from lineage.services.sources import create_source
from tests.factories.events import at, dataset, design, event, explicit, run

MODELS = (InboxEvent, Job, Run, RunInput, DatasetVersion, RunFacet, JobFacet, DatasetFacet,
          ModelVersion, Provenance, WayBack, Alias, ColumnEdge, DatasetEdge, Design, Flow,
          Identity, KeptEdge, OutputStatement, RunEvent, Source, SourceSecret, SourceMessage,
          UseFacet)  # fmt: skip


def kept_twice() -> None:
    one, other = DatasetVersion.objects.all()[:2]
    for _ in range(2):
        KeptEdge.objects.create(child=one, parent=other, masked=False)


def again(row, **changed):
    """Insert the same row once more, but for what is changed."""
    row.pk, row._state.adding = None, True
    for name, value in changed.items():
        setattr(row, name, value)
    if hasattr(row, "uuid") and "uuid" not in changed:
        row.uuid = "01a20b19-f470-723b-81f2-2336107c0ae5"
    row.save(force_insert=True)


def written() -> DatasetVersion:
    return DatasetVersion.objects.filter(kind="written").first()


def secret_of_unknown_kind() -> None:
    SourceSecret.objects.create(source=create_source(name="signer"), kind="v9", sealed=b"")


def message_twice() -> None:
    source = create_source(name="signer")
    for _ in range(2):
        SourceMessage.objects.create(source=source, message_id="1", digest=b"", received_at=at(0))


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
    "lineage_usefacet_once": lambda: again(UseFacet.objects.first()),
    "lineage_runfacet_open_or_sealed": lambda: RunFacet.objects.update(value=None),
    "lineage_jobfacet_open_or_sealed": lambda: JobFacet.objects.update(sealed=b"too"),
    "lineage_datasetfacet_open_or_sealed": lambda: DatasetFacet.objects.update(value=None),
    "lineage_usefacet_open_or_sealed": lambda: UseFacet.objects.update(value=None),
    "lineage_wayback_block_once": lambda: again(WayBack.objects.first()),
    "lineage_run_uuid_once": lambda: again(
        Run.objects.first(), uuid=Run.objects.get().uuid, run_id="another"
    ),
    "lineage_runevent_once": lambda: again(RunEvent.objects.first()),
    "lineage_outputstatement_once": lambda: again(OutputStatement.objects.first()),
    "lineage_flow_once": lambda: again(Flow.objects.filter(input=None)[0]),
    "lineage_flow_kind_known": lambda: Flow.objects.update(kind="guessed"),
    "lineage_flow_masks_a_source": lambda: Flow.objects.update(input=None, masked=True),
    "lineage_design_once": lambda: again(Design.objects.first()),
    "lineage_design_of_a_job_or_a_dataset": lambda: Design.objects.update(job=None),
    "lineage_columnedge_once": lambda: again(ColumnEdge.objects.first()),
    "lineage_columnedge_times_in_order": lambda: ColumnEdge.objects.update(first_at=at(1000)),
    "lineage_datasetedge_once": lambda: again(DatasetEdge.objects.first()),
    "lineage_datasetedge_is_followed": lambda: DatasetEdge.objects.update(down=False, up=False),
    "lineage_alias_once": lambda: again(Alias.objects.first()),
    "lineage_alias_of_two": lambda: Alias.objects.update(low=F("high")),
    "lineage_identity_is_the_smallest": lambda: Identity.objects.update(identity=10**9),
    "lineage_keptedge_once": kept_twice,
    "lineage_secret_kind_known": secret_of_unknown_kind,
    "lineage_message_id_once": message_twice,
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_the_constraint_fires(name, send):
    reads, writes = ["raw", dataset("named", version="1")], [dataset("model", model=True)]
    alike = dataset("out", version="1", columns={"x": [("raw", "x", False)]}, symlinks=["path"])
    writes += [alike, "other"]
    nothing = {"lineage": explicit({"other": []})}
    send(run("train", 0, 1, reads=reads, writes=writes, processing_engine={"version": "1"},
             job_facets=nothing))  # fmt: skip
    send([design("view", 0, reads=["raw"], writes=["out"])])
    job = event("START", "train", 0)
    job["job"]["facets"] = {"jobType": {"processingType": "BATCH"}}
    send([job])
    assert (Run.objects.get().state, Dataset.objects.count()) == (RunState.COMPLETE, 6)
    with pytest.raises(IntegrityError) as broken, transaction.atomic():
        VIOLATIONS[name]()
    assert known_as(broken.value.__cause__.diag.constraint_name) == name


def known_as(constraint: str) -> str:
    """Return the name of the whole table's constraint that a partition's stands for."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(whole.conname, part.conname) FROM pg_constraint part"
            " LEFT JOIN pg_constraint whole ON whole.oid = part.conparentid"
            " WHERE part.conname = %s UNION ALL SELECT %s LIMIT 1",
            [constraint, constraint],
        )
        return cursor.fetchone()[0]


def test_every_constraint_of_lineage_is_tried():
    named = {each.name for model in MODELS for each in model._meta.constraints}
    assert named == set(VIOLATIONS)
