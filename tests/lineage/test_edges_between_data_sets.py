"""What flowed into what is noted once, and is what every run, design and kept edge says."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from importlib import import_module
from random import Random

import pytest
from django.db import connection

from governance.models import Dataset
from lineage.models import (
    DatasetEdge,
    DatasetVersion,
    Design,
    Flow,
    Identity,
    Job,
    KeptEdge,
    Run,
    RunInput,
)
from lineage.selectors import ancestry
from lineage.selectors.downstream import downstream
from lineage.services.retention import drop_months_before
from tests.factories.events import at, explicit, run

pytestmark = pytest.mark.django_db

JULY = date(2026, 7, 1)
MONTHS = (date(2026, 6, 1), JULY)
Pair = tuple[int, int]


def rows_of_a_graph(random: Random) -> list:
    """Make data sets and runs; return rows that say of them what flowed, each a surprise."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT lineage_ensure_months(%s::date[])", [list(MONTHS)])
    names = Dataset.objects.bulk_create(
        Dataset(namespace="test", name=f"set {n}") for n in range(9)
    )
    jobs = Job.objects.bulk_create(Job(namespace="test", name=f"job {n}") for n in range(2))
    runs = Run.objects.bulk_create(
        Run(
            run_id=str(n), month=random.choice(MONTHS), job=random.choice(jobs), state=2,
            state_at=at(n), started_at=at(n), last_heard_at=at(n),
        )
        for n in range(6)
    )  # fmt: skip

    def pick(most: int, least: int = 0) -> list[Dataset]:
        return random.sample(names, random.randint(least, most))

    rows: list = []
    versions = []
    for each in runs:
        of_run = {"run": each, "month": each.month}
        rows += [RunInput(dataset=one, announced_at=at(0), **of_run) for one in pick(2)]
        versions += [written(each, one) for one in pick(2)]
        rows += [
            Flow(
                output=one, input=source, kind=kind, event_at=at(when), **of_run,
                masked=source is not None and random.random() < 0.7,
            )
            for one in pick(2)
            for source in {*pick(1), random.choice([*names, None])}
            for kind in random.sample(["explicit", "columns"], random.randint(1, 2))
            for when in random.sample([1, 2], random.randint(1, 2))
        ]  # fmt: skip
    rows += [
        Design(job=random.choice(jobs), event_at=at(n), masked=random.random() < 0.5,
               input=random.choice([*names, None]), output=random.choice([*names, None]))
        for n in range(2)
    ]  # fmt: skip
    random.shuffle(rows)
    for each in versions:
        rows.insert(random.randrange(len(rows) + 1), each)
    if len(versions) > 1:
        child, parent = random.sample(versions, 2)
        rows.append(KeptEdge(child=child, parent=parent, masked=random.random() < 0.5))
    if random.random() < 0.5:
        one, other = sorted(each.pk for each in random.sample(names, 2))
        rows += [Identity(dataset_id=pk, identity=one) for pk in (one, other)]
    return rows


def written(by: Run, dataset: Dataset) -> DatasetVersion:
    return DatasetVersion(
        kind="written", dataset=dataset, identity=dataset.pk, run=by, announced_at=at(0),
        visible_from=at(0), complete_at=at(1),
    )  # fmt: skip


def save(rows: Iterable) -> None:
    for each in rows:
        each.save(force_insert=True)


def said() -> tuple[dict[Pair, list[bool]], set[Pair]]:
    """Read off all rows what flowed down, masked or not each time it is said, and what came up."""
    down: dict[Pair, list[bool]] = defaultdict(list)
    up = set()
    flows = list(Flow.objects.all())
    for each in Run.objects.all():
        read = set(RunInput.objects.filter(run=each).values_list("dataset_id", flat=True))
        made = set(DatasetVersion.objects.filter(run=each).values_list("dataset_id", flat=True))
        mine = [flow for flow in flows if flow.run_id == each.pk]
        for pair in [(one, other) for one in read for other in made]:
            down[pair].append(masks(mine, pair))
            up.add(pair)
        for flow in mine:
            if flow.input_id is not None:
                pair = (flow.input_id, flow.output_id)
                down[pair].append(masks(mine, pair))
                up |= {(flow.input_id, other) for other in made}
    for design in Design.objects.exclude(input=None).exclude(output=None):
        down[design.input_id, design.output_id].append(design.masked)
        up.add((design.input_id, design.output_id))
    for kept in KeptEdge.objects.select_related("parent", "child"):
        pair = (kept.parent.dataset_id, kept.child.dataset_id)
        down[pair].append(kept.masked)
        up.add(pair)
    names = list(Identity.objects.values_list("dataset_id", flat=True))
    for pair in [(one, other) for one in names for other in names]:
        down[pair].append(False)
        up.add(pair)
    return down, up


def masks(flows: list[Flow], pair: Pair) -> bool:
    """Say whether what stands of one run's flows masks everything from an input to an output."""
    about = [each for each in flows if each.output_id == pair[1]]
    stands = [each for each in about if each.kind == "explicit"]
    if not stands:
        last = max((each.event_at for each in about), default=None)
        stands = [each for each in about if each.event_at == last]
    found = [each.masked for each in stands if each.input_id == pair[0]]
    return bool(found) and all(found)


def closed(start: int, pairs: Iterable[Pair]) -> set[int]:
    found, pairs = {start}, set(pairs)
    while more := {other for one, other in pairs if one in found} - found:
        found |= more
    return found


@pytest.mark.parametrize("seed", range(12))
def test_what_lies_below_and_above_is_what_all_that_was_said_says(seed):
    save(rows_of_a_graph(Random(seed)))
    down, up = said()
    clear = {pair for pair, masked in down.items() if not all(masked)}
    assert clear
    for pk in Dataset.objects.values_list("pk", flat=True):
        below = closed(pk, down)
        assert ancestry.descendants([pk]).dataset_ids == below
        assert ancestry.sources([pk]).dataset_ids == closed(pk, {pair[::-1] for pair in up})
        found = downstream([pk])
        assert (set(found.depth), found.clear) == (below, closed(pk, clear))


def test_what_was_said_before_edges_were_noted_is_noted_by_the_migration():
    save(rows_of_a_graph(Random(1)))
    columns = ("input_id", "output_id", "down", "up", "masks")
    noted = sorted(DatasetEdge.objects.values_list(*columns))
    assert {each[2:4] for each in noted} == {(True, True), (True, False), (False, True)}
    assert {each[4] for each in noted} == {True, False}
    DatasetEdge.objects.all().delete()
    with connection.cursor() as cursor:
        for each in import_module("lineage.migrations.0012_edges_between_data_sets").KNOWN:
            cursor.execute(each.sql)
    assert sorted(DatasetEdge.objects.values_list(*columns)) == noted


def test_what_is_said_again_changes_no_edge(send):
    events = run("join", 0, 1, reads=["one", "two"], writes=["both"])
    send(events)
    before = list(DatasetEdge.objects.order_by("pk").values())
    assert len(before) == 2
    send(run("join", 2, 3, reads=["two", "one"], writes=["both"], run="again"))
    assert list(DatasetEdge.objects.order_by("pk").values()) == before


def test_what_once_lay_below_does_so_when_the_month_of_the_run_is_gone(send):
    only = {"lineage": explicit({"out": ["in"]})}
    send(run("split", 0, 1, reads=["in", "beside"], writes=["out"], job_facets=only))
    [beside] = Dataset.objects.filter(name="beside")
    before = downstream([beside.pk])
    assert len(before.depth) == len(before.clear) == 2
    assert drop_months_before(JULY)
    assert not RunInput.objects.exists()
    assert downstream([beside.pk]) == before
