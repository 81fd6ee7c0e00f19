"""Flink: one run for weeks, which tells of itself at every checkpoint and never ends.

Release 1 repeats all inputs and outputs at each checkpoint, release 2 none of them.
"""

from collections.abc import Sequence

from tests.factories.producers.envelope import Json, Producer, ref, run_id

NAMESPACE = "flink-jobs"
BROKER = "kafka://broker.example:9092"

flink = Producer("https://github.com/OpenLineage/OpenLineage/tree/1.40.0/integration/flink")


def topic(name: str) -> Json:
    """Return a topic."""
    fields = [{"name": "id", "type": "string"}, {"name": "counter", "type": "long"}]
    kind = flink.facet("1-0-0/DatasetTypeDatasetFacet", datasetType="TOPIC", subType="")
    schema = flink.facet("1-1-1/SchemaDatasetFacet", fields=fields)
    return ref((BROKER, name), {"schema": schema, "datasetType": kind})


def stream(
    kind: str,
    name: str,
    minutes: float,
    *,
    reads: Sequence[str] = (),
    writes: Sequence[str] = (),
    checkpoint: int = 0,
    content: str = "ACCUMULATIVE",
) -> Json:
    """Return an event of a stream; ``content`` is COMPLETE_SNAPSHOT where events must not add."""
    emission = {"eventTrigger": "CHECKPOINT", "eventContentMode": content, "windowDuration": "PT1M"}
    run_facets: Json = {
        "flink_job": flink.own(jobId=run_id("flink", name).replace("-", "")),
        "processing_engine": flink.facet(
            "1-1-1/ProcessingEngineRunFacet",
            name="flink", version="2.0.0", openlineageAdapterVersion="1.40.0",
        ),
    }  # fmt: skip
    if checkpoint:
        run_facets["checkpoints"] = flink.own(completed=checkpoint, failed=0, total=checkpoint)
    return flink.event(
        kind, minutes, job=(NAMESPACE, name), run=run_id("flink", name),
        job_facets={
            "jobType": flink.job_type("STREAMING", "FLINK", "JOB", emissionPattern=emission)
        },
        run_facets=run_facets,
        reads=[topic(each) for each in reads], writes=[topic(each) for each in writes],
    )  # fmt: skip
