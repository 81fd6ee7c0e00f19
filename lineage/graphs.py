"""A piece of the lineage graph as a value: what questions answer with and pictures are drawn of.

Pure. Edges point the way the data flows.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


class NodeKind(StrEnum):
    """What a node is."""

    DATASET = "dataset"
    JOB = "job"
    RUN = "run"
    MODEL = "model"
    FIELD = "field"


@dataclass(frozen=True, slots=True)
class Node:
    """One thing. ``key`` is unique in its graph; ``depth`` counts edges from what was asked about.

    ``note`` is one short word more, such as a run's state or a certainty.
    """

    key: str
    kind: NodeKind
    namespace: str
    name: str
    uuid: UUID | None = None
    note: str = ""
    depth: int = 0


@dataclass(frozen=True, slots=True)
class Edge:
    """Data flowed from one node to another; ``label`` says how, where that is known."""

    source: str
    target: str
    label: str = ""
    masked: bool = False
    first_at: datetime | None = None
    last_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes, edges between them, and whether a bound cut the walk that found them."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    truncated: bool = False
