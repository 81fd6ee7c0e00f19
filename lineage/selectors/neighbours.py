"""What lies upstream and downstream of a data set, a job or a run, as a graph to draw.

A walk goes from data sets through jobs to data sets, all of one distance in one statement. Runs
that failed or still run have read and are followed; their states are told on the job.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from django.db import OperationalError, connection, transaction

from governance.errors import NotFoundError
from governance.models import Dataset, Model
from lineage.graphs import Edge, Graph, Node, NodeKind
from lineage.models import DatasetVersion, Job, Run, RunInput
from lineage.openlineage import RunState
from lineage.selectors import ancestry
from lineage.selectors.identities import called, identities
from lineage.selectors.instants import as_it_stood

SECONDS = 5


class Direction(StrEnum):
    """Which way to go from what is asked about."""

    UP = "up"
    DOWN = "down"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Question:
    """How far to look. ``depth`` counts steps from data set to data set; no ``states`` is all."""

    direction: Direction = Direction.BOTH
    depth: int = 5
    most: int = 500
    states: frozenset[RunState] = frozenset()
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Step:
    """Runs of a job took a data set to another; either end may be missing."""

    source: int | None
    job: int | None
    target: int | None
    masked: bool
    first_at: datetime
    last_at: datetime
    states: tuple[int, ...]


@dataclass(slots=True)
class _Found:
    """The walk so far: steps, and at which distance each data set was met."""

    steps: set[_Step] = field(default_factory=set)
    depth: dict[int, int] = field(default_factory=dict)
    truncated: bool = False


def around_dataset(dataset: Dataset, question: Question) -> Graph:
    """Return what lies around a data set, under all of its names."""
    start = identities([dataset.pk])[dataset.pk]
    return _asked({start}, (), question)


def around_job(job: Job, question: Question) -> Graph:
    """Return what lies around a job: what its runs read and wrote, and on from there."""
    return _asked(set(), tuple(job.runs.values_list("pk", flat=True)), question)


def around_run(run: Run, question: Question) -> Graph:
    """Return what lies around one run."""
    return _asked(set(), (run.pk,), question)


def job_named(namespace: str, name: str) -> Job:
    """Return a job by its OpenLineage name, or raise `NotFoundError`."""
    found = Job.objects.filter(namespace=namespace, name=name).first()
    if found is None:
        raise NotFoundError("no such job is known: check namespace and name")
    return found


def run_of(uuid: UUID) -> Run:
    """Return a run by its public id, or raise `NotFoundError`."""
    found = Run.objects.filter(uuid=uuid).first()
    if found is None:
        raise NotFoundError("no such run is known")
    return found


def _asked(start: set[int], runs: tuple[int, ...], question: Question) -> Graph:
    if question.as_of is None:
        return _walked(start, runs, question)
    near = start | _touched(runs, read=True) | _touched(runs, read=False)
    scope = ancestry.descendants(near).dataset_ids | ancestry.sources(near).dataset_ids
    with as_it_stood(question.as_of, scope=scope):
        return _walked(start, runs, question)


def _touched(runs: Collection[int], *, read: bool) -> set[int]:
    rows = RunInput.objects.filter(run__in=runs) if read else None
    written = DatasetVersion.objects.filter(run__in=runs)
    found = (written if rows is None else rows).values_list("dataset_id", flat=True)
    return set(identities(set(found)).values())


def _walked(start: set[int], runs: tuple[int, ...], question: Question) -> Graph:
    found = _Found(depth=dict.fromkeys(start, 0))
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = %s", [f"{SECONDS}s"])
            if question.direction != Direction.DOWN:
                _go(found, start, runs, question, up=True)
            if question.direction != Direction.UP:
                _go(found, start, runs, question, up=False)
            cursor.execute("SET LOCAL statement_timeout = DEFAULT")
    except OperationalError:  # the clock ran out; what was found until then is shown as a part
        found.truncated = True
    return _drawn(found)


def _go(
    found: _Found, start: set[int], runs: tuple[int, ...], question: Question, *, up: bool
) -> None:
    edge = set(start)
    if runs:
        steps = _steps_of(runs, question, up=up)
        for step in steps:
            near = step.target if up else step.source
            if near is not None:
                found.depth.setdefault(near, 0)
        edge = _take(found, steps, question, up=up, depth=0)
    for depth in range(1, question.depth + 1):
        if not edge or found.truncated:
            return
        edge = _take(found, _steps(edge, question, up=up), question, up=up, depth=depth)
    if edge and _steps(edge, question, up=up):
        found.truncated = True


def _take(
    found: _Found, steps: Iterable[_Step], question: Question, *, up: bool, depth: int
) -> set[int]:
    """Add steps; return the data sets that are met for the first time."""
    new: set[int] = set()
    for step in sorted(steps, key=lambda step: (step.job or 0, step.source or 0, step.target or 0)):
        far = step.source if up else step.target
        if far is not None and far not in found.depth:
            if len(found.depth) >= question.most:
                found.truncated = True
                continue
            found.depth[far] = depth
            new.add(far)
        found.steps.add(step)
    return new


_COLUMNS = """
    r.job_id, min(r.started_at), max(r.last_heard_at), array_agg(DISTINCT r.state ORDER BY r.state)
"""
_DOWN = f"""
    SELECT lineage_identity_of(i.dataset_id) AS source, written.identity AS target,
           coalesce(bool_and(written.masked), false), {_COLUMNS}
      FROM lineage_runinput i
      JOIN lineage_run r ON r.id = i.run_id
      LEFT JOIN LATERAL (
            SELECT v.identity, s.masked FROM lineage_datasetversion v
             CROSS JOIN LATERAL lineage_sources(r.id, v.dataset_id) s
             WHERE v.run_id = r.id AND lineage_identity_of(s.dataset_id)
                                       = lineage_identity_of(i.dataset_id)) written ON true
     WHERE i.dataset_id = ANY(%(names)s) AND {{more}}
     GROUP BY 1, 2, r.job_id
"""  # noqa: S608 the text is ours
_UP = f"""
    SELECT lineage_identity_of(s.dataset_id) AS source, v.identity AS target,
           coalesce(bool_and(s.masked), false), {_COLUMNS}
      FROM lineage_datasetversion v
      JOIN lineage_run r ON r.id = v.run_id
      LEFT JOIN LATERAL lineage_sources(r.id, v.dataset_id) s ON true
     WHERE v.dataset_id = ANY(%(names)s) AND {{more}}
     GROUP BY 1, 2, r.job_id
"""  # noqa: S608 the text is ours
_DESIGN = """
    SELECT lineage_identity_of(d.input_id), lineage_identity_of(d.output_id), bool_and(d.masked),
           d.job_id, min(d.event_at), max(d.event_at), ARRAY[]::smallint[]
      FROM lineage_design d
     WHERE {end} = ANY(%(names)s)
     GROUP BY 1, 2, d.job_id
"""


def _steps(datasets: Collection[int], question: Question, *, up: bool) -> list[_Step]:
    more, states = _filter(question)
    asked = {"names": list(called(datasets)), "states": states}
    steps = _read((_UP if up else _DOWN).format(more=more), asked)
    end = "d.output_id" if up else "d.input_id"
    return steps + _read(_DESIGN.format(end=end), asked)


def _steps_of(runs: Collection[int], question: Question, *, up: bool) -> list[_Step]:
    """Return the steps of given runs alone."""
    more, states = _filter(question)
    asked = {
        "names": list(called(_touched(runs, read=not up))), "states": states, "runs": list(runs),
    }  # fmt: skip
    return _read((_UP if up else _DOWN).format(more=f"r.id = ANY(%(runs)s) AND {more}"), asked)


def _filter(question: Question) -> tuple[str, list[int]]:
    states = sorted(int(each) for each in question.states)
    return ("r.state = ANY(%(states)s)" if states else "true"), states


def _read(statement: str, asked: dict[str, list[int]]) -> list[_Step]:
    with connection.cursor() as cursor:
        cursor.execute(statement, asked)
        return [
            _Step(source, job, target, masked, first, last, tuple(states))
            for source, target, masked, job, first, last, states in cursor.fetchall()
        ]


def _drawn(found: _Found) -> Graph:
    """Turn the walk into nodes and edges; data sets that are models are told as such."""
    named = Dataset.objects.in_bulk(found.depth)
    models = set(
        Model.objects.filter(dataset__in=called(found.depth)).values_list("dataset", flat=True)
    )
    models = set(identities(models).values())
    jobs = Job.objects.in_bulk({step.job for step in found.steps if step.job is not None})
    nodes = {}
    for pk, each in named.items():
        kind = NodeKind.MODEL if pk in models else NodeKind.DATASET
        nodes[f"dataset:{each.uuid}"] = Node(
            f"dataset:{each.uuid}", kind, each.namespace, each.name, each.uuid,
            depth=2 * found.depth[pk],
        )  # fmt: skip
    edges: dict[tuple[str, str], list[_Step]] = {}
    for step in found.steps:
        ends = [
            f"dataset:{named[pk].uuid}" if pk in named else None
            for pk in (step.source, step.target)
        ]
        if step.job is None:
            if ends[0] and ends[1]:
                edges.setdefault((ends[0], ends[1]), []).append(step)
            continue
        key = f"job:{jobs[step.job].uuid}"
        for place in ((ends[0], key), (key, ends[1])):
            if place[0] and place[1]:
                edges.setdefault((place[0], place[1]), []).append(step)
    for job in jobs.values():
        nodes[f"job:{job.uuid}"] = _job_node(job, found)
    lines = [_edge(ends, steps) for ends, steps in sorted(edges.items())]
    return Graph(tuple(nodes[key] for key in sorted(nodes)), tuple(lines), found.truncated)


def _job_node(job: Job, found: _Found) -> Node:
    mine = [step for step in found.steps if step.job == job.pk]
    states = sorted({state for step in mine for state in step.states})
    ends = [found.depth[pk] for s in mine for pk in (s.source, s.target) if pk in found.depth]
    note = ", ".join(RunState(state).name for state in states) or "by design"
    return Node(
        f"job:{job.uuid}", NodeKind.JOB, job.namespace, job.name, job.uuid, note,
        2 * min(ends, default=0) + 1,
    )  # fmt: skip


def _edge(ends: tuple[str, str], steps: list[_Step]) -> Edge:
    return Edge(
        *ends,
        label="by design" if not any(step.states for step in steps) else "",
        masked=all(step.masked for step in steps),
        first_at=min(step.first_at for step in steps),
        last_at=max(step.last_at for step in steps),
    )
