"""Events merged into facts, in memory, before they are written in sets.

Pure. Every merge is commutative, associative and idempotent (a minimum, a maximum or a union),
so a batch gives the same facts in any order and cut into any other batches.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from lineage.openlineage import DatasetRef, Event, Json, RunState

Name = tuple[str, str]
RunName = tuple[str, str, str]  # job namespace, job name, run id


@dataclass(slots=True)
class RunFacts:
    """What a batch says of one run."""

    state: RunState
    state_at: datetime
    started_at: datetime
    last_heard_at: datetime

    def merge(self, state: RunState, at: datetime) -> None:
        """Take in one more event."""
        self.started_at = min(self.started_at, at)
        self.last_heard_at = max(self.last_heard_at, at)
        if (state.terminal, at, state) > (self.state.terminal, self.state_at, self.state):
            self.state, self.state_at = state, at


@dataclass(slots=True)
class OutputFacts:
    """What a batch says of one run's write to one data set."""

    announced_at: datetime
    declared: tuple[datetime, str] | None = None
    lifecycle: tuple[datetime, str] | None = None

    def merge(self, ref: DatasetRef, at: datetime) -> None:
        """Take in one more event."""
        self.announced_at = min(self.announced_at, at)
        if ref.declared_version:
            self.declared = max(self.declared or (at, ""), (at, ref.declared_version))
        if ref.lifecycle:
            self.lifecycle = max(self.lifecycle or (at, ""), (at, ref.lifecycle))


Facets = dict[tuple[object, str], tuple[datetime, str]]


@dataclass(slots=True)
class Batch:
    """Everything that some events say."""

    datasets: set[Name] = field(default_factory=set)
    models: set[Name] = field(default_factory=set)
    jobs: set[Name] = field(default_factory=set)
    runs: dict[RunName, RunFacts] = field(default_factory=dict)
    inputs: dict[tuple[RunName, Name, str], datetime] = field(default_factory=dict)
    outputs: dict[tuple[RunName, Name], OutputFacts] = field(default_factory=dict)
    run_facets: Facets = field(default_factory=dict)
    job_facets: Facets = field(default_factory=dict)
    dataset_facets: Facets = field(default_factory=dict)


def merged(events: Iterable[Event]) -> Batch:
    """Merge events."""
    batch = Batch()
    for event in events:
        _add(batch, event)
    return batch


def _add(batch: Batch, event: Event) -> None:
    for ref in event.datasets():
        batch.datasets.add(ref.key)
        if ref.is_model:
            batch.models.add(ref.key)
        _add_facets(batch.dataset_facets, ref.key, _lasting(ref.facets), event.at)
    if event.job is None:
        return
    batch.jobs.add(event.job)
    _add_facets(batch.job_facets, event.job, event.job_facets, event.at)
    if event.run_id:
        _add_run(batch, event, (*event.job, event.run_id))


def _add_run(batch: Batch, event: Event, run: RunName) -> None:
    at = event.at
    facts = batch.runs.setdefault(run, RunFacts(event.state, at, at, at))
    facts.merge(event.state, at)
    _add_facets(batch.run_facets, run, event.run_facets, at)
    for ref in event.inputs:
        place = (run, ref.key, ref.declared_version)
        batch.inputs[place] = min(batch.inputs.get(place, at), at)
    for ref in event.outputs:
        batch.outputs.setdefault((run, ref.key), OutputFacts(at)).merge(ref, at)


def _lasting(facets: Mapping[str, Json]) -> dict[str, Json]:
    """Leave out what a run says of its own use of the data set."""
    own = {"version", "lifecycleStateChange", "lineage"}
    return {name: value for name, value in facets.items() if name not in own}


def _add_facets(into: Facets, of: object, facets: Mapping[str, Json], at: datetime) -> None:
    for name, value in facets.items():
        stated = at, json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        into[of, name] = max(into.get((of, name), stated), stated)
