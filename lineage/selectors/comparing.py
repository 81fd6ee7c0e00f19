"""What changed between two model versions, and what hangs on a data set."""

from dataclasses import dataclass
from typing import Any

from pyroaring import BitMap

from governance.models import Dataset
from lineage.models import DatasetFacet, ModelVersion, Provenance, RunFacet
from lineage.selectors import ancestry, transparency
from lineage.selectors.identities import called
from lineage.selectors.transparency import ModelUse


@dataclass(frozen=True, slots=True)
class Changes:
    """What one model version has that another has not, and the other way round."""

    datasets_added: list[Dataset]
    datasets_removed: list[Dataset]
    versions_added: int
    versions_removed: int
    parameters: dict[str, tuple[Any, Any]]
    code: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Impact:
    """What would be concerned if a data set went."""

    datasets: list[Dataset]
    models: list[ModelUse]
    owners: list[str]
    truncated: bool


def changes(before: ModelVersion, after: ModelVersion) -> Changes:
    """Answer what changed from one model version to another."""
    (old_sets, old_versions), (new_sets, new_versions) = _held(before), _held(after)
    was, now = _parameters(before), _parameters(after)
    changed = {
        key: (was.get(key), now.get(key))
        for key in sorted(was.keys() | now.keys())
        if was.get(key) != now.get(key)
    }
    return Changes(
        _named(new_sets - old_sets), _named(old_sets - new_sets),
        len(new_versions - old_versions), len(old_versions - new_versions),
        changed, (_code(before), _code(after)),
    )  # fmt: skip


def impact(dataset: Dataset, *, most: int) -> Impact:
    """Answer what lies downstream of a data set, and whom to tell."""
    below = ancestry.descendants(called([dataset.pk]))
    reached = Dataset.objects.filter(pk__in=below.dataset_ids - called([dataset.pk]))
    shown = list(reached.order_by("namespace", "name")[: most + 1])
    found = transparency.using(dataset)
    owners = DatasetFacet.objects.filter(name="ownership", dataset__in=below.dataset_ids)
    names = {
        str(each.get("name"))
        for value in owners.values_list("value", flat=True)
        for each in (value or {}).get("owners") or []
        if isinstance(each, dict)
    }
    cut = below.truncated or len(shown) > most or len(found.keys) > most
    uses = transparency.uses(found, found.keys[:most])
    return Impact(shown[:most], uses, sorted(names), cut)


def _held(made: ModelVersion) -> tuple[BitMap, BitMap]:
    frozen = Provenance.objects.filter(model_version=made).first()
    if frozen is None:
        return BitMap(), BitMap()
    return (
        BitMap.deserialize(bytes(frozen.datasets)),
        BitMap.deserialize(bytes(frozen.versions)),
    )


def _named(datasets: BitMap) -> list[Dataset]:
    return list(Dataset.objects.filter(pk__in=list(datasets)).order_by("namespace", "name"))


def _parameters(made: ModelVersion) -> dict[str, Any]:
    facet = RunFacet.objects.filter(run=made.version.run_id, name="executionParameters").first()
    listed = (facet.value or {}).get("parameters") if facet else None
    return {
        str(each.get("key")): each.get("value") for each in listed or [] if isinstance(each, dict)
    }


def _code(made: ModelVersion) -> str:
    facet = RunFacet.objects.filter(run=made.version.run_id, name="sourceCodeLocation").first()
    value = (facet.value or {}) if facet else {}
    return str(value.get("version") or value.get("url") or "")
