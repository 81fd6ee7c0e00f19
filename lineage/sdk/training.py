"""One training, announced with the stock OpenLineage client: its start, and how it ended."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import attr
from openlineage.client.client import OpenLineageClient
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import (
    RunFacet,
    dataset_type_dataset,
    dataset_version_dataset,
    execution_parameters_run,
    job_type_job,
    lifecycle_state_change_dataset,
)

from lineage.sdk.errors import RunNotRecordedError, refused
from lineage.sdk.gate import Decision, Name

PRODUCER = "urn:colophon:sdk"
SCHEMA = "/api/v1/schemas/facets/1-1-0/ColophonTrainingRunFacet.json"


@attr.define(slots=False)
class TrainingFacet(RunFacet):  # type: ignore[misc]  # its base comes without types
    """What no standard facet says of a training: for what, and by which answer of the gate."""

    purposes: list[str] = attr.field(factory=list)
    gateDecision: str | None = None  # noqa: N815 - as the facet spells it
    gateToken: str | None = None  # noqa: N815
    mechanism: dict[str, object] | None = None

    def described_at(self, service: str) -> Self:
        """Say where the facet's schema is published: by the service that it is sent to."""
        self._schemaURL = service.rstrip("/") + SCHEMA
        return self


class TrainingRun:
    """A run of a training job that makes one version of a model.

    START is sent when the block begins, COMPLETE when it ends, FAIL when it raises and ABORT when
    it is interrupted. ``version`` and ``parameters`` can be changed until then.
    """

    def __init__(
        self,
        client: OpenLineageClient,
        *,
        service: str,
        job: Name,
        model: Name,
        inputs: Sequence[Name],
        purposes: Sequence[str],
        gate: Decision | None = None,
        version: str = "",
        parameters: Mapping[str, object] | None = None,
        mechanism: Mapping[str, object] | None = None,
    ) -> None:
        self.id = str(uuid4())
        self.version = version or self.id
        self.parameters: dict[str, object] = dict(parameters or {})
        self._client, self._service = client, service
        self._job, self._model, self._inputs = job, model, list(inputs)
        self._purposes, self._gate = list(purposes), gate
        self._mechanism = dict(mechanism) if mechanism else None
        self._last: Any = None

    def __enter__(self) -> Self:
        if self._gate is not None:
            self._gate.require()
        self._announce(RunState.START)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        raised: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        if kind is None or raised is None:
            self._announce(RunState.COMPLETE)
            return
        try:
            self._announce(RunState.FAIL if issubclass(kind, Exception) else RunState.ABORT)
        except RunNotRecordedError as unsaid:  # what the training raised matters more
            raised.add_note(str(unsaid))

    def announce_again(self) -> None:
        """Send the last event again after a `RunNotRecordedError`; twice is as good as once."""
        self._send(self._last)

    def _announce(self, state: Any) -> None:
        made = [] if state == RunState.START else [self._output()]
        self._last = RunEvent(
            eventType=state,
            eventTime=datetime.now(UTC).isoformat(),
            producer=PRODUCER,
            run=Run(self.id, self._run_facets()),
            job=Job(*self._job, facets={"jobType": _training_job()}),
            inputs=[InputDataset(*name) for name in self._inputs],
            outputs=made,
        )
        self._send(self._last)

    def _send(self, event: Any) -> None:
        try:
            self._client.emit(event)
        except OSError as error:  # what requests raises, and what a socket does
            answer = getattr(error, "response", None)
            why = "it cannot be reached" if answer is None else str(refused(*_read(answer)))
            raise RunNotRecordedError(
                f"the service did not take the {event.eventType.name} of run {self.id}: {why} "
                "Once that is mended, send it with announce_again()."
            ) from None

    def _run_facets(self) -> dict[str, Any]:
        decision = self._gate.uuid if self._gate else None
        token = self._gate.token if self._gate else None
        facets: dict[str, Any] = {
            "colophon_training": TrainingFacet(
                purposes=self._purposes,
                gateDecision=decision,
                gateToken=token,
                mechanism=self._mechanism,
            ).described_at(self._service)
        }
        if self.parameters:
            said = [
                execution_parameters_run.ExecutionParameter(key=name, value=str(value))
                for name, value in self.parameters.items()
            ]
            facets["executionParameters"] = execution_parameters_run.ExecutionParametersRunFacet(
                said
            )
        return facets

    def _output(self) -> Any:
        overwrite = lifecycle_state_change_dataset.LifecycleStateChange.OVERWRITE
        changed = lifecycle_state_change_dataset.LifecycleStateChangeDatasetFacet(overwrite)
        facets = {
            "datasetType": dataset_type_dataset.DatasetTypeDatasetFacet("MODEL"),
            "version": dataset_version_dataset.DatasetVersionDatasetFacet(self.version),
            "lifecycleStateChange": changed,
        }
        return OutputDataset(*self._model, facets=facets)


def _training_job() -> Any:
    return job_type_job.JobTypeJobFacet(
        processingType="BATCH", integration="COLOPHON", jobType="TRAINING"
    )


def _read(answer: Any) -> tuple[int, object]:
    try:
        return answer.status_code, answer.json()
    except ValueError:
        return answer.status_code, None
