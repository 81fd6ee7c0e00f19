"""Dagster: one run id for the pipeline and all its assets, and assets that only ever complete."""

from collections.abc import Sequence

from tests.factories.producers.envelope import Json, Producer, ref, run_id

NAMESPACE = "default"
ASSETS = "dagster"

dagster = Producer("https://github.com/OpenLineage/OpenLineage/tree/1.38.0/integration/dagster")


def pipeline(kind: str, name: str, minutes: float) -> Json:
    """Return an event of the pipeline; this producer's events have no schemaURL."""
    made = dagster.event(kind, minutes, job=(NAMESPACE, name), run=run_id("dagster", name))
    del made["schemaURL"]
    return made


def step(kind: str, pipeline: str, name: str, minutes: float) -> Json:
    """Return an event of a step, which has a run of its own below the pipeline's."""
    own = run_id("dagster", pipeline)
    made = dagster.event(
        kind, minutes, job=(NAMESPACE, f"{pipeline}.{name}"), run=run_id("step", pipeline, name),
        run_facets={"parent": dagster.parent((NAMESPACE, pipeline), own, None)},
    )  # fmt: skip
    del made["schemaURL"]
    return made


def materialised(pipeline: str, asset: str, minutes: float, *, reads: Sequence[str] = ()) -> Json:
    """Return what is told of an asset: that it is complete, under the pipeline's run id."""
    return dagster.event(
        "COMPLETE", minutes, job=(NAMESPACE, f"asset.{asset}"), run=run_id("dagster", pipeline),
        reads=[ref((ASSETS, each)) for each in reads], writes=[ref((ASSETS, asset))],
    )  # fmt: skip
