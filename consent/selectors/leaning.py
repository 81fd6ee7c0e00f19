"""Which runs leaned on which answer of the gate, and whom they left out by it."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pyroaring import BitMap

from consent.gate_tokens import Mismatch, Name
from consent.models import GateDecision, RequestSource, RightsRequest
from consent.selectors import gate
from lineage.models import DatasetVersion, Run, RunFacet

TRAINING_FACET = "colophon_training"


@dataclass(frozen=True, slots=True)
class Declared:
    """What a run said of itself: for what, and by which answer of the gate."""

    purposes: tuple[str, ...] = ()
    gate_decision: UUID | None = None
    mechanism: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, facet: Mapping[str, object]) -> "Declared":
        """Read the facet; what does not fit its schema was not said."""
        purposes = facet.get("purposes")
        texts = purposes if isinstance(purposes, list) else []
        return cls(
            tuple(dict.fromkeys(each for each in texts if isinstance(each, str))),
            _uuid(facet.get("gateDecision")),
            said if isinstance(said := facet.get("mechanism"), Mapping) else None,
        )


def decisions_named(uuids: Iterable[UUID]) -> dict[UUID, GateDecision]:
    """Return the gate's answers of these names, of those that it gave."""
    found = GateDecision.objects.filter(uuid__in=list(uuids)).select_related("purpose")
    described = found.prefetch_related("inputs__dataset", "inputs__version")
    return {each.uuid: each for each in described}


def misfit(
    decision: GateDecision, *, run: Run, model: Name | None, purposes: Collection[str]
) -> list[Mismatch]:
    """Return why an answer does not speak for a run that names it; nothing if it does."""
    return gate.mismatches(decision, run=run, model=model, purposes=purposes)


def left_out(version_ids: Collection[int]) -> dict[int, BitMap]:
    """Return, of versions whose runs leaned on the gate, the people who were left out of them."""
    told = RunFacet.objects.filter(
        name=TRAINING_FACET, value__has_key="gateDecision", run__outputs__in=list(version_ids)
    )
    said = {
        version: Declared.of(each) for version, each in told.values_list("run__outputs", "value")
    }
    if not said:
        return {}
    named = decisions_named(
        each.gate_decision for each in said.values() if each.gate_decision is not None
    )
    wanted = set(version_ids) & said.keys()
    found: dict[int, BitMap] = {}
    for version in DatasetVersion.objects.filter(pk__in=wanted).select_related("dataset", "run"):
        word = said[version.pk]
        decision = named.get(word.gate_decision) if word.gate_decision else None
        if decision is None or version.run is None:
            continue
        model = (version.dataset.namespace, version.dataset.name)
        if not misfit(decision, run=version.run, model=model, purposes=word.purposes):
            found[version.pk] = excluded_by(decision)
    return found


def excluded_by(decision: GateDecision) -> BitMap:
    """Return whom an answer of the gate left out.

    That is also whoever was erased by then and came back: rows are filtered by tombstones too,
    though who stands for the person was not there to be counted yet.
    """
    stand_ins = RightsRequest.objects.filter(
        source=RequestSource.AUTOMATIC, subject__erased_at__lte=decision.decided_at,
        subject__created_at__gt=decision.decided_at,
    )  # fmt: skip
    later = BitMap(stand_ins.values_list("subject_id", flat=True))
    return BitMap.deserialize(bytes(decision.excluded)) | later


def _uuid(text: object) -> UUID | None:
    try:
        return UUID(text) if isinstance(text, str) else None
    except ValueError:
        return None
