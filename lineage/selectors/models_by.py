"""Which models used what a job wrote, what somebody owns, what carries a tag, or one column."""

from collections import defaultdict
from collections.abc import Collection

from django.db import connection
from pyroaring import BitMap

from governance.models import Dataset, Model
from lineage.models import ColumnEdge, DatasetVersion, Job, Provenance, RunInput
from lineage.selectors.identities import called
from lineage.selectors.transparency import model_versions_holding

WHOLE = ""
"""Stands for all columns of a data set, where nothing is known of columns."""


def job(job: Job) -> list[int]:
    """Return the model versions that a job made, or that descend from what it wrote."""
    written = DatasetVersion.objects.filter(run__job=job)
    own = written.filter(model_version__isnull=False).values_list("model_version", flat=True)
    datasets = set(written.values_list("dataset_id", flat=True))
    return _falling(set(own) | set(model_versions_holding(called(datasets))))


def owner(name: str) -> list[int]:
    """Return the model versions that descend from data sets of an owner, by ownership facets."""
    return _falling(set(model_versions_holding(called(_facet_names("ownership", "owners", name)))))


def tag(key: str, value: str = "") -> list[int]:
    """Return the model versions that descend from data with a tag, on all of it or on a field."""
    return _falling(set(model_versions_holding(called(_tagged(key, value)))))


def version(of: DatasetVersion) -> list[int]:
    """Return the model versions whose frozen provenance holds exactly this version."""
    candidates = model_versions_holding(called([of.dataset_id]))
    frozen = Provenance.objects.filter(model_version__in=list(candidates))
    held = frozen.values_list("model_version_id", "versions")
    return _falling([pk for pk, kept in held if of.pk in BitMap.deserialize(bytes(kept))])


def field(dataset: Dataset, name: str) -> list[int]:
    """Return the model versions that a column may have flowed into.

    Where a data set's columns are known, the column goes where they say; where they are not, it
    may go anywhere. The answer stays within what the whole data set flowed into.
    """
    reached = _columns_below({(pk, name) for pk in called([dataset.pk])})
    models = Model.objects.filter(dataset__in=called({pk for pk, _ in reached}))
    datasets = set(models.values_list("dataset_id", flat=True))
    held = set(model_versions_holding(called([dataset.pk])))
    return _falling(held & _versions_of(datasets))


def _versions_of(datasets: Collection[int]) -> set[int]:
    made = DatasetVersion.objects.filter(dataset__in=called(datasets), model_version__isnull=False)
    return set(made.values_list("model_version", flat=True))


def _columns_below(start: set[tuple[int, str]]) -> set[tuple[int, str]]:
    reached, edge = set(start), set(start)
    while edge:
        below = _one_below(edge) - reached
        reached |= below
        edge = below
    return reached


def _one_below(columns: set[tuple[int, str]]) -> set[tuple[int, str]]:
    datasets = {pk for pk, _ in columns}
    wanted: dict[int, set[str]] = defaultdict(set)
    for pk, name in columns:
        wanted[pk].add(name)
    found: set[tuple[int, str]] = set()
    told: set[tuple[int, int]] = set()
    for edge in ColumnEdge.objects.filter(input__in=datasets):
        told.add((edge.input_id, edge.output_id))
        if WHOLE in wanted[edge.input_id] or edge.input_field in wanted[edge.input_id]:
            found.add((edge.output_id, edge.output_field))
    runs = RunInput.objects.filter(dataset__in=datasets).values_list("dataset_id", "run_id")
    readers: dict[int, set[int]] = defaultdict(set)
    for pk, run in runs:
        readers[run].add(pk)
    written = DatasetVersion.objects.filter(run__in=list(readers), kind="written")
    for run, output in written.values_list("run_id", "dataset_id"):
        if any((pk, output) not in told for pk in readers[run]):
            found.add((output, WHOLE))
    return found


def _facet_names(facet: str, member: str, name: str) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT dataset_id FROM lineage_datasetfacet WHERE name = %s"
            " AND jsonb_path_exists(value, %s, jsonb_build_object('wanted', %s::text))",
            [facet, f"$.{member}[*] ? (@.name == $wanted)", name],
        )
        return [row[0] for row in cursor.fetchall()]


def _tagged(key: str, value: str) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT dataset_id FROM lineage_datasetfacet WHERE name = 'tags'"
            " AND jsonb_path_exists(value, '$.tags[*] ? (@.key == $key"
            ' && ($value == "" || @.value == $value))\','
            " jsonb_build_object('key', %s::text, 'value', %s::text))",
            [key, value],
        )
        return [row[0] for row in cursor.fetchall()]


def _falling(keys: Collection[int]) -> list[int]:
    return sorted(keys, reverse=True)
