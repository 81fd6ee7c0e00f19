"""What a pipeline says of itself: OpenLineage events, sent by the stock client as it comes."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import attr
from openlineage.client.client import OpenLineageClient
from openlineage.client.event_v2 import (
    InputDataset,
    Job,
    OutputDataset,
    Run,
    RunEvent,
    RunState,
    set_producer,
)
from openlineage.client.facet_v2 import (
    RunFacet,
    dataset_type_dataset,
    dataset_version_dataset,
    datasource_dataset,
    job_type_job,
    lifecycle_state_change_dataset,
    schema_dataset,
)
from openlineage.client.transport.http import ApiKeyTokenProvider, HttpConfig, HttpTransport

Name = tuple[str, str]

set_producer("https://example.org/hospital/pipeline")


@attr.define
class TrainingRunFacet(RunFacet):  # type: ignore[misc]  # its base comes without types
    """What no standard facet says of a training: for what, and by which answer of the gate."""

    purposes: list[str]
    gateDecision: str  # noqa: N815 - as the facet spells it

    @staticmethod
    def _get_schema() -> str:
        return "https://example.org/schemas/colophon_training/1-0-0.json"


@dataclass(frozen=True, slots=True)
class Written:
    """A data set that a run writes; it replaces what was there before."""

    name: Name
    source: str
    fields: Sequence[tuple[str, str]] = ()
    kind: str = "FILE"
    version: str = ""

    def facets(self) -> dict[str, Any]:
        """Return what the events say of it."""
        overwrite = lifecycle_state_change_dataset.LifecycleStateChange.OVERWRITE
        found = {
            "datasetType": dataset_type_dataset.DatasetTypeDatasetFacet(self.kind),
            "dataSource": datasource_dataset.DatasourceDatasetFacet(self.source, self.source),
            "lifecycleStateChange": (
                lifecycle_state_change_dataset.LifecycleStateChangeDatasetFacet(overwrite)
            ),
            "version": dataset_version_dataset.DatasetVersionDatasetFacet(self.version),
        }
        if self.fields:
            fields = [
                schema_dataset.SchemaDatasetFacetFields(name, kind) for name, kind in self.fields
            ]
            found["schema"] = schema_dataset.SchemaDatasetFacet(fields)
        return found


class Announcer:
    """Sends the events of one scheduler's jobs."""

    def __init__(self, url: str, key: str, namespace: str) -> None:
        auth = ApiKeyTokenProvider({"apiKey": key})
        self._client = OpenLineageClient(transport=HttpTransport(HttpConfig(url=url, auth=auth)))
        self._namespace = namespace

    def job(self, name: str, reads: Sequence[Name]) -> "Announced":
        """Begin to announce one run of a job."""
        return Announced(self._client, Job(self._namespace, name, _batch_job()), list(reads))


@dataclass(slots=True)
class Announced:
    """One run: START when the block begins, COMPLETE when it ends, FAIL when it raises.

    What the run finds out while it lasts is put into ``training`` and ``writes``.
    """

    client: Any
    job: Any
    reads: list[Name]
    writes: list[Written] = field(default_factory=list)
    training: TrainingRunFacet | None = None
    run_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def __enter__(self) -> "Announced":
        self._emit(RunState.START)
        return self

    def __exit__(self, failed: object, *_rest: object) -> None:
        self._emit(RunState.FAIL if failed else RunState.COMPLETE)

    def _emit(self, state: Any) -> None:
        facets = {"colophon_training": self.training} if self.training else {}
        self.client.emit(
            RunEvent(
                eventType=state,
                eventTime=datetime.now(UTC).isoformat(),
                run=Run(self.run_id, facets),
                job=self.job,
                inputs=[InputDataset(*name) for name in self.reads],
                outputs=[OutputDataset(*each.name, facets=each.facets()) for each in self.writes],
            )
        )


def _batch_job() -> dict[str, Any]:
    return {"jobType": job_type_job.JobTypeJobFacet("BATCH", "EXAMPLE", "JOB")}
