"""How facets are kept: in the open, or sealed because they may hold something personal.

What a standard facet holds is known; of SQL, source code, error messages, environments, conditions
and of every facet that nobody standardised it is not, so those are kept under the organisation's
key, shown to people who work on the pipelines, and to auditors only by name.
"""

from typing import Any

Json = dict[str, Any]

PLACE = "facet"
"""What a sealed facet is bound to."""

OPEN = frozenset(
    {
        "catalog", "columnLineage", "dataQualityAssertions", "dataQualityMetrics", "dataSource",
        "datasetType", "documentation", "executionParameters", "externalQuery", "hierarchy",
        "inputStatistics", "jobDependencies", "jobType", "lifecycleStateChange", "lineage",
        "nominalTime", "outputStatistics", "ownership", "parent", "parentRun", "processing",
        "processing_engine", "schema", "sourceCodeLocation", "storage", "symlinks", "tags", "test",
        "version", "colophon_training", "colophon_dataset", "colophon_members",
    }
)  # fmt: skip


def is_open(name: str) -> bool:
    """Tell whether a facet of this name holds nothing personal by its nature."""
    return name in OPEN


def is_deleted(facet: Json | None) -> bool:
    """Tell whether the event took the facet back; the row stays, so that order does not matter."""
    return facet is not None and facet.get("_deleted") is True
