"""Events merged into facts, in memory, before they are written in sets.

Pure. Every merge is commutative, associative and idempotent (a minimum, a maximum or a union),
so a batch gives the same facts in any order and cut into any other batches.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from lineage import flows
from lineage.flows import ColumnFlow, Sources
from lineage.openlineage import OWN_USE, DatasetRef, Event, Json, RunName, RunState

Name = tuple[str, str]


@dataclass(slots=True)
class RunFacts:
    """What a batch says of one run."""

    state: RunState
    state_at: datetime
    started_at: datetime
    last_heard_at: datetime
    relatives: tuple[datetime, RunName, RunName] | None = None  # parent and root, as last said

    def merge(self, state: RunState, at: datetime) -> None:
        """Take in one more event."""
        self.started_at = min(self.started_at, at)
        self.last_heard_at = max(self.last_heard_at, at)
        if state.weight(at) > self.state.weight(self.state_at):
            self.state, self.state_at = state, at


@dataclass(slots=True)
class OutputFacts:
    """What a batch says of one run's write to one data set."""

    announced_at: datetime
    declared: tuple[datetime, str] | None = None
    lifecycle: tuple[datetime, str] | None = None
    statements: set[tuple[datetime, str, str]] = field(default_factory=set)

    def merge(self, ref: DatasetRef, at: datetime) -> None:
        """Take in one more event."""
        self.announced_at = min(self.announced_at, at)
        declared, lifecycle = ref.declared_version, ref.lifecycle
        if declared:
            self.declared = max(self.declared or (at, ""), (at, declared))
        if lifecycle:
            self.lifecycle = max(self.lifecycle or (at, ""), (at, lifecycle))
        if declared or lifecycle:
            self.statements.add((at, declared, lifecycle))


Facets = dict[tuple[Any, str], tuple[datetime, bytes, bytes]]
"""By thing and name: when, the fingerprint, and the facet as JSON."""
Times = tuple[datetime, datetime]


@dataclass(slots=True)
class Batch:
    """Everything that some events say."""

    fingerprint: Callable[[bytes], bytes]
    datasets: set[Name] = field(default_factory=set)
    models: dict[Name, datetime] = field(default_factory=dict)
    aliases: dict[tuple[Name, Name], datetime] = field(default_factory=dict)
    jobs: set[Name] = field(default_factory=set)
    runs: dict[RunName, RunFacts] = field(default_factory=dict)
    run_events: set[tuple[RunName, datetime, RunState]] = field(default_factory=set)
    inputs: dict[tuple[RunName, Name, str], datetime] = field(default_factory=dict)
    outputs: dict[tuple[RunName, Name], OutputFacts] = field(default_factory=dict)
    # (run, output, whether explicit, event time, input or nothing): masked
    flows: dict[tuple[RunName, Name, bool, datetime, Name | None], bool] = field(
        default_factory=dict
    )
    # (job or nothing, data set described or nothing, event time, input, output): masked
    designs: dict[tuple[Name | None, Name | None, datetime, Name | None, Name | None], bool] = (
        field(default_factory=dict)
    )
    # (job or nothing, output, the columns): first and last said
    columns: dict[tuple[Name | None, Name, ColumnFlow], Times] = field(default_factory=dict)
    run_facets: Facets = field(default_factory=dict)
    job_facets: Facets = field(default_factory=dict)
    dataset_facets: Facets = field(default_factory=dict)
    use_facets: Facets = field(default_factory=dict)  # of (run, data set, whether it was written)


def merged(events: Iterable[Event], fingerprint: Callable[[bytes], bytes]) -> Batch:
    """Merge events. ``fingerprint`` tells facets apart, and says which stands at one instant."""
    batch = Batch(fingerprint)
    for event in events:
        _add(batch, event)
    return batch


def _add(batch: Batch, event: Event) -> None:
    for ref in event.datasets():
        _add_dataset(batch, ref, event.at)
    if event.dataset is not None:
        _add_description(batch, event.dataset, event.at)
    if event.job is None:
        return
    batch.jobs.add(event.job)
    _add_facets(batch, batch.job_facets, event.job, event.job_facets, event.at)
    if event.run_id:
        _add_run(batch, event, event.job, (*event.job, event.run_id))
    else:
        _add_design(batch, event, event.job)


def _add_dataset(batch: Batch, ref: DatasetRef, at: datetime) -> None:
    key = ref.key
    batch.datasets.add(key)
    if ref.is_model:
        batch.models[key] = min(batch.models.get(key, at), at)
    for other in ref.other_names():
        batch.datasets.add(other)
        pair = min(key, other), max(key, other)
        batch.aliases[pair] = min(batch.aliases.get(pair, at), at)
    lasting = {name: value for name, value in ref.facets.items() if name not in OWN_USE}
    _add_facets(batch, batch.dataset_facets, key, lasting, at)


def _add_run(batch: Batch, event: Event, job: Name, run: RunName) -> None:
    at = event.at
    _mention(batch, run, event.state, at)
    _add_relatives(batch, event, run)
    _add_facets(batch, batch.run_facets, run, event.run_facets, at)
    # Where the code is, is said of the job, and each run has run the code of its time.
    code = {name: said for name, said in event.job_facets.items() if name == "sourceCodeLocation"}
    _add_facets(batch, batch.run_facets, run, code, at)
    for ref in event.inputs:
        _add_input(batch, run, ref, at)
    for ref in event.outputs:
        batch.outputs.setdefault((run, ref.key), OutputFacts(at)).merge(ref, at)
        _add_use_facets(batch, (run, ref.key, True), ref, at)
    sources, taken = _sources(event, job)
    for name in taken:
        batch.datasets.add(name)
        place = run, name, ""
        batch.inputs[place] = min(batch.inputs.get(place, at), at)
    for output, said in sources.items():
        facts = batch.outputs.setdefault((run, output), OutputFacts(at))
        facts.announced_at = min(facts.announced_at, at)
        if not said.narrows:
            for name in said.masked:
                place = run, name, ""
                batch.inputs[place] = min(batch.inputs.get(place, at), at)
            _add_columns(batch, job, output, said, at)
            continue
        for source, masked in _or_none(said.masked):
            place_of_flow = run, output, said.explicit, at, source
            batch.flows[place_of_flow] = batch.flows.get(place_of_flow, True) and masked
        _add_columns(batch, job, output, said, at)


def _add_input(batch: Batch, run: RunName, ref: DatasetRef, at: datetime) -> None:
    place = run, ref.key, ref.declared_version
    batch.inputs[place] = min(batch.inputs.get(place, at), at)
    _add_use_facets(batch, (run, ref.key, False), ref, at)


def _mention(batch: Batch, run: RunName, state: RunState, at: datetime) -> RunFacts:
    facts = batch.runs.get(run)
    if facts is None:
        facts = batch.runs[run] = RunFacts(state, at, at, at)
    facts.merge(state, at)
    batch.run_events.add((run, at, state))
    return facts


def _add_relatives(batch: Batch, event: Event, run: RunName) -> None:
    """Note parent and root; being named by a child, they are heard of at that time."""
    if "parent" not in event.run_facets and "parentRun" not in event.run_facets:
        return
    parent, root = event.relatives()
    if parent is None or parent == run:
        return
    root = root or parent
    for relative in {parent, root}:
        batch.jobs.add(relative[:2])
        _mention(batch, relative, RunState.HEARD_OF, event.at)
    facts = batch.runs[run]
    said = event.at, parent, root
    facts.relatives = max(facts.relatives, said) if facts.relatives else said


def _sources(event: Event, job: Name) -> tuple[dict[Name, Sources], Iterable[Name]]:
    """Return what the event says closer of its outputs, and inputs that only its facet names."""
    explicit, taken = flows.of_job(event.job_facets.get("lineage"), job)
    for ref in event.outputs:
        if ref.key not in explicit:
            said = flows.of_dataset(ref.facets.get("lineage"))
            said = said or flows.of_columns(ref.facets.get("columnLineage"))
            if said is not None:
                explicit[ref.key] = said
    return explicit, taken


def _add_design(batch: Batch, event: Event, job: Name) -> None:
    """Note what a job does by design; the product stands where nothing closer is said."""
    sources, taken = _sources(event, job)
    inputs = {ref.key for ref in event.inputs} | set(taken)
    batch.datasets.update(inputs)
    said = False
    for output in {ref.key for ref in event.outputs} | set(sources):
        closer = sources.get(output)
        masked = {} if closer and closer.narrows else dict.fromkeys(inputs, False)
        masked |= closer.masked if closer else {}
        _add_design_rows(batch, (job, None), event.at, output, masked)
        said = True
        if closer:
            _add_columns(batch, job, output, closer, event.at)
    if not said:
        for source, _ in _or_none(dict.fromkeys(inputs, False)):
            batch.designs[job, None, event.at, source, None] = False


def _add_description(batch: Batch, ref: DatasetRef, at: datetime) -> None:
    """Note what a data set is said to come from, whoever makes it."""
    said = flows.of_dataset(ref.facets.get("lineage"))
    said = said or flows.of_columns(ref.facets.get("columnLineage"))
    if said is not None:
        _add_design_rows(batch, (None, ref.key), at, ref.key, said.masked)
        _add_columns(batch, None, ref.key, said, at)


def _add_design_rows(
    batch: Batch, by: tuple[Name | None, Name | None], at: datetime, output: Name,
    masked: Mapping[Name, bool],
) -> None:  # fmt: skip
    batch.datasets.add(output)
    for source, is_masked in _or_none(masked):
        if source is not None:
            batch.datasets.add(source)
        place = (*by, at, source, output)
        batch.designs[place] = batch.designs.get(place, True) and is_masked


def _or_none(masked: Mapping[Name, bool]) -> list[tuple[Name | None, bool]]:
    """Return the sources, or one nothing, so that a statement without any leaves a trace too."""
    return [*masked.items()] or [(None, False)]


def _add_columns(batch: Batch, job: Name | None, output: Name, said: Sources, at: datetime) -> None:
    batch.datasets.add(output)
    batch.datasets.update(said.masked)
    for flow in said.columns:
        place = job, output, flow
        first, last = batch.columns.get(place, (at, at))
        batch.columns[place] = min(first, at), max(last, at)


def _add_use_facets(
    batch: Batch, use: tuple[RunName, Name, bool], ref: DatasetRef, at: datetime
) -> None:
    own = {name: value for name, value in ref.facets.items() if name in OWN_USE}
    _add_facets(batch, batch.use_facets, use, {**own, **ref.own_facets}, at)


def _add_facets(
    batch: Batch, into: Facets, of: object, facets: Mapping[str, Json], at: datetime
) -> None:
    for name, value in facets.items():
        place = of, name
        known = into.get(place)
        if known is not None and known[0] > at:
            continue
        text = _written(value)
        stated = at, batch.fingerprint(text), text
        if known is None or stated > known:
            into[place] = stated


def _written(value: Json) -> bytes:
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # an integer of more than 64 bits
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
