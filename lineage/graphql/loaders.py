"""What lineage looks up for many nodes at once."""

from collections.abc import Collection
from dataclasses import dataclass

from django.db.models import QuerySet
from pyroaring import BitMap

from governance.graphql import Info, Page, Part, batched
from governance.graphql.loading import by_key
from governance.graphql.pages import page_of_list, pages_of_children
from governance.models import Dataset
from governance.selectors import registry
from lineage.graphql.ways import ways
from lineage.models import DatasetVersion, Job, ModelVersion, Provenance, Run, RunInput
from lineage.selectors import transparency
from lineage.selectors.transparency import Certainty

Wanted = tuple[int, Part]
"""Whose children, and which part of them."""


@dataclass(frozen=True, slots=True)
class Material:
    """One data set that a model version descends from."""

    dataset: Dataset
    certainty: Certainty


class Loaders:
    """What one request looks up by reference, each kind in one query per level of the answer."""

    def __init__(self) -> None:
        self.jobs = by_key(Job.objects.all)
        self.runs = by_key(Run.objects.all)
        self.model_versions = by_key(model_versions)
        self.materials = batched(_materials)
        self.ways = batched(ways)
        self.runs_of_job = batched(_runs_of_jobs)
        self.inputs_of_run = batched(_inputs_of_runs)
        self.outputs_of_run = batched(_outputs_of_runs)


def loaders_of(info: Info) -> Loaders:
    """Return this app's loaders of the present request."""
    found: Loaders = info.context.lineage
    return found


def model_versions() -> QuerySet[ModelVersion]:
    """Return model versions with everything that is shown of them."""
    return ModelVersion.objects.select_related("model", "version", "provenance")


def _materials(wanted: Collection[Wanted]) -> dict[Wanted, Page[Material]]:
    """Cut each frozen set to its part first, so that only what is shown is read."""
    frozen = Provenance.objects.filter(model_version__in={key for key, _ in wanted})
    held = {
        key: list(BitMap.deserialize(bytes(datasets)))
        for key, datasets in frozen.values_list("model_version_id", "datasets")
    }
    cut = {
        (key, part): page_of_list(held.get(key, []), part, lambda dataset: dataset)
        for key, part in wanted
    }
    shown = {dataset for page in cut.values() for dataset in page.nodes}
    datasets, unknown = registry.datasets().in_bulk(shown), transparency.gaps(shown)
    materials = {
        key: Material(each, Certainty.UNKNOWN if key in unknown else Certainty.INFERRED)
        for key, each in datasets.items()
    }
    return {
        asked: Page(
            page.part, [materials[key] for key in page.nodes], page.places, page.has_next_page
        )
        for asked, page in cut.items()
    }


def _runs_of_jobs(wanted: Collection[Wanted]) -> dict[Wanted, Page[Run]]:
    return pages_of_children(Run.objects.all(), "job_id", wanted)


def _inputs_of_runs(wanted: Collection[Wanted]) -> dict[Wanted, Page[RunInput]]:
    return pages_of_children(RunInput.objects.all(), "run_id", wanted)


def _outputs_of_runs(wanted: Collection[Wanted]) -> dict[Wanted, Page[DatasetVersion]]:
    return pages_of_children(DatasetVersion.objects.all(), "run_id", wanted)
