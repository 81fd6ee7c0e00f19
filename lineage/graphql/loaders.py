"""What lineage looks up for many nodes at once."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from django.db.models import QuerySet
from pyroaring import BitMap

from governance.graphql import Info, Page, Part, batched
from governance.graphql.loading import by_key
from governance.graphql.pages import page_of_list, pages_of_children
from governance.models import Dataset
from governance.selectors import registry
from lineage.graphql.ways import ways
from lineage.models import DatasetVersion, Deployment, Job, ModelVersion, Provenance, Run, RunInput
from lineage.selectors import transparency
from lineage.selectors.identities import identities
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
        self.runs = batched(_runs)
        self.model_versions = by_key(model_versions)
        self.materials = batched(_materials)
        self.deployments = batched(_deployments)
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


def _runs(keys: Collection[int]) -> dict[int, Run | None]:
    """Look runs up; one whose month was dropped is nothing."""
    found = Run.objects.filter(pk__in=list(keys)).in_bulk()
    return {key: found.get(key) for key in keys}


def _materials(wanted: Collection[Wanted]) -> dict[Wanted, Page[Material]]:
    """Cut each frozen set to its part first, so that only what is shown is read."""
    frozen = Provenance.objects.filter(model_version__in={key for key, _ in wanted})
    held, masked = {}, {}
    for key, datasets, hidden in frozen.values_list("model_version_id", "datasets", "masked"):
        held[key] = BitMap.deserialize(bytes(datasets))
        masked[key] = BitMap.deserialize(bytes(hidden)) if hidden else BitMap()
    one = identities(set(BitMap.union(BitMap(), *held.values())))
    told = {key: _told(datasets, one) for key, datasets in held.items()}
    cut = {
        (key, part): page_of_list(told.get(key, []), part, lambda dataset: dataset)
        for key, part in wanted
    }
    shown = {dataset for page in cut.values() for dataset in page.nodes}
    kin = {one[pk] for pk in shown}
    names = {pk for pk, each in one.items() if each in kin}
    described, unknown = registry.datasets().in_bulk(shown), transparency.gaps(names)
    how = {
        key: transparency.certainties(names & set(datasets), set(masked[key]), unknown, one)
        for key, datasets in held.items()
    }
    return {
        (key, part): Page(
            part,
            [Material(described[pk], how[key][one[pk]]) for pk in page.nodes],
            page.places,
            page.has_next_page,
        )
        for (key, part), page in cut.items()
    }


def _deployments(wanted: Collection[Wanted]) -> dict[Wanted, Page[Deployment]]:
    return pages_of_children(Deployment.objects.all(), "model_version_id", wanted)


def _told(held: BitMap, one: Mapping[int, int]) -> list[int]:
    others = transparency.other_names({pk: one[pk] for pk in held})
    return [pk for pk in held if pk not in others]


def _runs_of_jobs(wanted: Collection[Wanted]) -> dict[Wanted, Page[Run]]:
    return pages_of_children(Run.objects.all(), "job_id", wanted)


def _inputs_of_runs(wanted: Collection[Wanted]) -> dict[Wanted, Page[RunInput]]:
    return pages_of_children(RunInput.objects.all(), "run_id", wanted)


def _outputs_of_runs(wanted: Collection[Wanted]) -> dict[Wanted, Page[DatasetVersion]]:
    return pages_of_children(DatasetVersion.objects.all(), "run_id", wanted)
