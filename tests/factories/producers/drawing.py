"""The graph as a person would draw it, and the orders in which its events may come."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from governance.models import Dataset
from lineage.models import DatasetVersion, Flow, InboxEvent, Job, Run, RunInput
from lineage.openlineage import RunState
from lineage.selectors import transparency

Events = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Drawing:
    """Everything that is on the paper; a run is its job's name and its state."""

    datasets: set[str]
    jobs: set[str]
    runs: list[tuple[str, str]]
    edges: set[tuple[str, str]]


def drawn() -> Drawing:
    """Read the whole graph, by the names without their namespaces."""
    runs = Run.objects.values_list("job__name", "state")
    reads = RunInput.objects.values_list("dataset__name", "run__job__name")
    flows = Flow.objects.exclude(input=None).values_list("input__name", "run__job__name")
    written = DatasetVersion.objects.filter(kind="written")
    return Drawing(
        datasets=set(Dataset.objects.values_list("name", flat=True)),
        jobs=set(Job.objects.values_list("name", flat=True)),
        runs=sorted((job, RunState(state).name) for job, state in runs),
        edges=set(reads) | set(flows) | set(written.values_list("run__job__name", "dataset__name")),
    )


def by_file_name(events: Events) -> Events:
    """Return events as files 1, 10, 11, 2 ... would be read: a tenth comes before a second."""
    places = sorted(range(1, len(events) + 1), key=str)
    return [events[place - 1] for place in places]


def doubled(events: Events) -> Events:
    """Return every event twice, byte for byte, as a client that timed out sends it."""
    return [*events, *events]


def told_again(events: Events) -> Events:
    """Return every event twice, the second time by another release of the producer."""
    return [*events, *({**each, "producer": f"{each['producer']}/next"} for each in events)]


ORDERS: dict[str, Callable[[Events], Events]] = {
    "in order": list,
    "by file name": by_file_name,
    "reversed": lambda events: events[::-1],
    "doubled": doubled,
    "told again": told_again,
}


def trained_on(namespace: str, name: str) -> list[tuple[str, str]]:
    """Return the model versions that used a data set: (model, state of the run), the last first."""
    found = transparency.models_using(transparency.dataset_named(namespace, name))
    return [
        (use.model_version.model.dataset.name, RunState(use.model_version.version.run.state).name)
        for use in found
    ]


def refused() -> list[str]:
    """Return why events could not be applied."""
    return list(InboxEvent.objects.exclude(state="done").values_list("reason", flat=True))
