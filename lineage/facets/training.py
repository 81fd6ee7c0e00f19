"""Our own facet of a run, as its published schema has it."""
# ruff: noqa: N815 - members are spelled as in the facet

from typing import Any

import attr


@attr.define
class Training:
    """See schemas/1-1-0/ColophonTrainingRunFacet.json."""

    purposes: list[str]
    gateDecision: str | None = None
    gateToken: str | None = None
    mechanism: dict[str, Any] | None = None
