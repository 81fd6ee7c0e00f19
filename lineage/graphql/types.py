"""What flowed where, as auditors see it. Facets are left out: they can hold personal data."""
# mypy: allow-subclassing-any

from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import graphene

from governance import graphql as governance
from governance.graphql import Info, Page, connection, enum_of, page_field, part_of
from governance.graphql.pages import page_of_list
from governance.graphql.types import loaders_of as of_governance
from governance.models import Dataset
from lineage import models
from lineage.graphql.loaders import Material as MaterialRow
from lineage.graphql.loaders import loaders_of
from lineage.openlineage import RunState as State
from lineage.selectors import transparency, walk

CERTAINTIES = {
    transparency.Certainty.PROVEN: "A record-level manifest of that version says so.",
    transparency.Certainty.INFERRED: "It follows from the flows between data sets.",
    transparency.Certainty.MASKED: "Every path of its columns is masked.",
    transparency.Certainty.UNKNOWN: "A gap: nobody is known to answer for a data set.",
}
STATES = {
    State.HEARD_OF: "Known, and nobody has said that it started.",
    State.RUNNING: "Started, and not yet ended.",
    State.COMPLETE: "Ended as it should.",
    State.ABORT: "Was stopped; it has read its inputs.",
    State.FAIL: "Failed; it has read its inputs.",
}

Certainty = enum_of(
    transparency.Certainty, "Certainty", "How an answer is known.", CERTAINTIES.__getitem__
)
RunState = enum_of(State, "RunState", "How far a run is.", STATES.__getitem__)
VersionKind = enum_of(
    models.DatasetVersion.Kind,
    "VersionKind",
    "Where a version of a data set comes from.",
    lambda kind: str(kind.label),
)


@dataclass(frozen=True, slots=True)
class Used:
    """A model version that descends from the data set that was asked about."""

    model_version: models.ModelVersion
    certainty: transparency.Certainty
    dataset_id: int


class Job(graphene.ObjectType):
    """As in OpenLineage."""

    id = graphene.UUID(required=True, source="uuid", description="The job's public id.")
    namespace = graphene.String(required=True, description="OpenLineage's namespace.")
    name = graphene.String(required=True, description="OpenLineage's name in the namespace.")
    runs = page_field(lambda: RunConnection, "Its runs, in the order in which they became known.")

    @staticmethod
    def resolve_runs(
        job: models.Job, info: Info, first: int | None = None, after: str | None = None
    ) -> Awaitable[Page[models.Run]]:
        """Read a page, together with those of other jobs."""
        part = part_of(f"job/{job.uuid}/runs", first=first, after=after)
        return loaders_of(info).runs_of_job.load((job.pk, part))


class Run(graphene.ObjectType):
    """One run of one job. One that failed or still runs has read its inputs all the same."""

    id = graphene.UUID(required=True, source="uuid", description="The run's public id.")
    run_id = graphene.String(required=True, description="OpenLineage's runId.")
    job = graphene.Field(Job, required=True, description="The job that it is a run of.")
    state = graphene.Field(RunState, required=True, description="How far it is.")
    state_at = graphene.DateTime(required=True, description="Since when; of an ended run, its end.")
    started_at = graphene.DateTime(required=True, description="When it was first heard of.")
    last_heard_at = graphene.DateTime(required=True, description="When it was last heard of.")
    inputs = page_field(lambda: RunInputConnection, "What it read.")
    outputs = page_field(lambda: DatasetVersionConnection, "What it wrote.")

    @staticmethod
    def resolve_job(run: models.Run, info: Info) -> Awaitable[models.Job]:
        """Look the job up with those of the other runs."""
        return loaders_of(info).jobs.load(run.job_id)

    @staticmethod
    def resolve_inputs(
        run: models.Run, info: Info, first: int | None = None, after: str | None = None
    ) -> Awaitable[Page[models.RunInput]]:
        """Read a page, together with those of other runs."""
        part = part_of(f"run/{run.uuid}/inputs", first=first, after=after)
        return loaders_of(info).inputs_of_run.load((run.pk, part))

    @staticmethod
    def resolve_outputs(
        run: models.Run, info: Info, first: int | None = None, after: str | None = None
    ) -> Awaitable[Page[models.DatasetVersion]]:
        """Read a page, together with those of other runs."""
        part = part_of(f"run/{run.uuid}/outputs", first=first, after=after)
        return loaders_of(info).outputs_of_run.load((run.pk, part))


class RunInput(graphene.ObjectType):
    """That a run read a data set."""

    dataset = graphene.Field(governance.Dataset, required=True, description="What was read.")
    declared = graphene.String(
        required=True, description="The version that the run named; empty for none."
    )
    announced_at = graphene.DateTime(required=True, description="When it was first said.")

    @staticmethod
    def resolve_dataset(read: models.RunInput, info: Info) -> Awaitable[Dataset]:
        """Look the data set up with the other ones."""
        return of_governance(info).datasets.load(read.dataset_id)


class DatasetVersion(graphene.ObjectType):
    """A data set's content from one write to the next."""

    id = graphene.UUID(required=True, source="uuid", description="The version's public id.")
    dataset = graphene.Field(governance.Dataset, required=True, description="Of which data set.")
    kind = graphene.Field(VersionKind, required=True, description="Where it comes from.")
    declared = graphene.String(
        required=True, description="The name that its writer gave it; empty for none."
    )
    visible_from = graphene.DateTime(required=True, description="When its writer started.")
    complete_at = graphene.DateTime(required=True, description="When it was whole.")
    replaces = graphene.Boolean(
        required=True, description="Whether nothing of what was there before is left."
    )
    run = graphene.Field(Run, description="The run that wrote it, if one did.")

    @staticmethod
    def resolve_dataset(version: models.DatasetVersion, info: Info) -> Awaitable[Dataset]:
        """Look the data set up with the other ones."""
        return of_governance(info).datasets.load(version.dataset_id)

    @staticmethod
    def resolve_run(
        version: models.DatasetVersion, info: Info
    ) -> Awaitable[models.Run | None] | None:
        """Look the run up with those of the other versions."""
        return None if version.run_id is None else loaders_of(info).runs.load(version.run_id)


class Material(graphene.ObjectType):
    """One line of a bill of materials."""

    dataset = graphene.Field(governance.Dataset, required=True, description="What went in.")
    certainty = graphene.Field(Certainty, required=True, description="How that is known.")


class Deployment(graphene.ObjectType):
    """Where a model version is in use, as pipelines tell it."""

    id = graphene.UUID(required=True, source="uuid", description="The deployment's public id.")
    environment = graphene.String(required=True, description="Where it is in use.")
    since = graphene.DateTime(required=True, description="When that began.")
    until = graphene.DateTime(description="When it was over; nothing while it is in use.")


class ModelVersion(graphene.ObjectType):
    """What exactly one run made of a model, and the frozen record of what it descends from."""

    id = graphene.UUID(required=True, source="uuid", description="The version's public id.")
    model = graphene.Field(governance.Model, required=True, description="Of which model.")
    version = graphene.String(
        required=True, description="The name that its run gave it; empty for none."
    )
    trained_at = graphene.DateTime(required=True, description="When its run ended.")
    run = graphene.Field(
        Run, description="The run that made it; nothing once its month was let go."
    )
    run_id = graphene.String(description="That run's OpenLineage runId.")
    run_state = graphene.Field(RunState, description="How far that run is.")
    provenance_digest = graphene.String(
        description="SHA-256 over what it descends from, as the ledger holds it; hexadecimal."
    )
    provenance_truncated = graphene.Boolean(
        description="Whether the walk was cut at its bound, so that something may be missing."
    )
    frozen_at = graphene.DateTime(description="When its provenance was computed last.")
    stale_since = graphene.DateTime(
        source="stale_at", description="Since when it is to be computed again; nothing is fresh."
    )
    ledger_record = graphene.UUID(description="The record that holds the digest.")
    datasets = page_field(
        lambda: MaterialConnection, "Its bill of materials: every data set that it descends from."
    )
    deployments = page_field(lambda: DeploymentConnection, "Where it is or was in use.")

    @staticmethod
    def resolve_model(made: models.ModelVersion, _info: Info) -> object:
        """Return what was read together with the version."""
        return made.model

    @staticmethod
    def resolve_version(made: models.ModelVersion, _info: Info) -> str:
        """Return what was read together with the version."""
        return made.version.declared

    @staticmethod
    def resolve_trained_at(made: models.ModelVersion, _info: Info) -> datetime:
        """Return what was read together with the version."""
        return made.version.complete_at

    @staticmethod
    async def resolve_run(made: models.ModelVersion, info: Info) -> models.Run | None:
        """Look the run up with those of the other versions."""
        return await _run_of(made, info)

    @staticmethod
    async def resolve_run_id(made: models.ModelVersion, info: Info) -> str | None:
        """Read it off the run."""
        run = await _run_of(made, info)
        return run.run_id if run else None

    @staticmethod
    async def resolve_run_state(made: models.ModelVersion, info: Info) -> int | None:
        """Read it off the run."""
        run = await _run_of(made, info)
        return run.state if run else None

    @staticmethod
    def resolve_provenance_digest(made: models.ModelVersion, _info: Info) -> str | None:
        """Write the bytes as text."""
        frozen = _frozen(made)
        return bytes(frozen.digest).hex() if frozen else None

    @staticmethod
    def resolve_provenance_truncated(made: models.ModelVersion, _info: Info) -> bool | None:
        """Read it off the provenance."""
        frozen = _frozen(made)
        return frozen.truncated if frozen else None

    @staticmethod
    def resolve_frozen_at(made: models.ModelVersion, _info: Info) -> datetime | None:
        """Read it off the provenance."""
        frozen = _frozen(made)
        return frozen.frozen_at if frozen else None

    @staticmethod
    def resolve_ledger_record(made: models.ModelVersion, _info: Info) -> object:
        """Read it off the provenance."""
        frozen = _frozen(made)
        return frozen.ledger_record if frozen else None

    @staticmethod
    def resolve_datasets(
        made: models.ModelVersion, info: Info, first: int | None = None, after: str | None = None
    ) -> Awaitable[Page[MaterialRow]]:
        """Read a page, together with those of other versions."""
        part = part_of(f"model-version/{made.uuid}/datasets", first=first, after=after)
        return loaders_of(info).materials.load((made.pk, part))

    @staticmethod
    def resolve_deployments(
        made: models.ModelVersion, info: Info, first: int | None = None, after: str | None = None
    ) -> Awaitable[Page[models.Deployment]]:
        """Read a page, together with those of other versions."""
        part = part_of(f"model-version/{made.uuid}/deployments", first=first, after=after)
        return loaders_of(info).deployments.load((made.pk, part))


class PathStep(graphene.ObjectType):
    """One version on the way from a model up to a data set."""

    version = graphene.UUID(required=True, description="The version's public id.")
    dataset = graphene.UUID(required=True, description="The data set's public id.")
    namespace = graphene.String(required=True, description="The data set's namespace.")
    name = graphene.String(required=True, description="The data set's name.")
    run = graphene.UUID(description="The public id of the run that wrote it, if one did.")


class ModelUse(graphene.ObjectType):
    """A model version that used the data set."""

    model_version = graphene.Field(
        ModelVersion, required=True, description="The version of the model."
    )
    certainty = graphene.Field(Certainty, required=True, description="How that is known.")
    path = page_field(
        lambda: PathStepConnection, "A shortest way from the model version up to the data set."
    )

    @staticmethod
    async def resolve_path(
        use: Used, info: Info, first: int | None = None, after: str | None = None
    ) -> Page[walk.Step]:
        """Search it, together with the ways of the other uses."""
        made = use.model_version
        part = part_of(f"way/{made.uuid}/{use.dataset_id}", first=first, after=after)
        way = await loaders_of(info).ways.load((made.version_id, use.dataset_id))
        return page_of_list(way, part)


class Pending(graphene.ObjectType):
    """What may still change an answer, each counted up to a thousand."""

    events = graphene.Int(required=True, description="Events that are not yet applied.")
    model_versions = graphene.Int(
        required=True, description="Model versions whose provenance is to be computed again."
    )


RunConnection: Any = connection(Run)
RunInputConnection: Any = connection(RunInput)
DatasetVersionConnection: Any = connection(DatasetVersion)
MaterialConnection: Any = connection(Material)
DeploymentConnection: Any = connection(Deployment)
PathStepConnection: Any = connection(PathStep)
ModelVersionConnection: Any = connection(ModelVersion)


def _frozen(made: models.ModelVersion) -> models.Provenance | None:
    """Return the provenance that was read together with the version."""
    return getattr(made, "provenance", None)


async def _run_of(made: models.ModelVersion, info: Info) -> models.Run | None:
    """Look the run up with those of the others; its month may have been let go."""
    run = made.version.run_id
    return None if run is None else await loaders_of(info).runs.load(run)
