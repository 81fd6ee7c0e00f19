"""What flowed where."""

from lineage.models.deployments import Deployment
from lineage.models.flows import ColumnEdge, DatasetEdge, Design, Flow
from lineage.models.graph import (
    DatasetFacet,
    DatasetVersion,
    Job,
    JobFacet,
    Run,
    RunFacet,
    RunInput,
    UseFacet,
)
from lineage.models.history import Horizon, OutputStatement, RunEvent
from lineage.models.identity import Alias, Identity, ModelClaim
from lineage.models.inbox import InboxEvent
from lineage.models.provenance import KeptEdge, ModelVersion, Provenance, WayBack
from lineage.models.sources import Source, SourceMessage, SourceSecret

__all__ = [
    "Alias",
    "ColumnEdge",
    "DatasetEdge",
    "DatasetFacet",
    "DatasetVersion",
    "Deployment",
    "Design",
    "Flow",
    "Horizon",
    "Identity",
    "InboxEvent",
    "Job",
    "JobFacet",
    "KeptEdge",
    "ModelClaim",
    "ModelVersion",
    "OutputStatement",
    "Provenance",
    "Run",
    "RunEvent",
    "RunFacet",
    "RunInput",
    "Source",
    "SourceMessage",
    "SourceSecret",
    "UseFacet",
    "WayBack",
]
