"""What flowed where."""

from lineage.models.graph import (
    DatasetFacet,
    DatasetVersion,
    Job,
    JobFacet,
    Run,
    RunFacet,
    RunInput,
)
from lineage.models.inbox import InboxEvent
from lineage.models.provenance import ModelVersion, Provenance, WayBack

__all__ = [
    "DatasetFacet",
    "DatasetVersion",
    "InboxEvent",
    "Job",
    "JobFacet",
    "ModelVersion",
    "Provenance",
    "Run",
    "RunFacet",
    "RunInput",
    "WayBack",
]
