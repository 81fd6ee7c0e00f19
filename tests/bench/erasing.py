"""Rows about erasures: a thousand requests end to end, beside the bare work at the storages."""

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from django.db.models import QuerySet

from consent import tasks
from consent.connectors import connector_for
from consent.connectors.base import Place
from consent.models import ErasureBatch, ErasureStep, RightsRequest, Subject
from consent.selectors import requests
from consent.services import subjects
from consent.services.requests import open_erasure
from deploy.sweeper import TOGETHER
from governance.services.registry import register_dataset, register_storage
from tests.bench.asking import milliseconds
from tests.bench.row import Row
from tests.factories.consent import take
from tests.factories.governance import PurposeFactory

DATASETS, REQUESTS, IN = 20, 1_000, 2
SINGLY = 100
KINDS = ("files", "sql")


def who(number: int) -> str:
    return f"person-{number}@example.org"


def names(dataset: int, rows: int) -> list[str]:
    """Return who is in a data set: some who leave, and many who stay."""
    leaving = [who(n) for n in range(REQUESTS) if dataset in {n % DATASETS, (n + 1) % DATASETS}]
    return leaving + [f"stays-{dataset}-{n}@example.org" for n in range(rows - len(leaving))]


def write(folder: Path, rows: int) -> None:
    """Write each data set: Parquet files and SQL tables by turns."""
    folder.mkdir()
    with sqlite3.connect(folder / "shop.db") as wire:
        for number in range(DATASETS):
            listed = names(number, rows)
            if number % 2:
                wire.execute(f"CREATE TABLE t{number} (email TEXT, value INTEGER)")
                pairs = ((each, n) for n, each in enumerate(listed))
                wire.executemany(f"INSERT INTO t{number} VALUES (?, ?)", pairs)
                wire.execute(f"CREATE INDEX i{number} ON t{number} (email)")
            else:
                table = pa.table({"email": listed, "value": range(len(listed))})
                pq.write_table(table, folder / f"t{number}.parquet")


def places(folder: Path) -> Iterator[Place]:
    for number in range(DATASETS):
        if number % 2:
            yield Place("sql", f"sqlite:///{folder / 'shop.db'}", f"t{number}", "email")
        else:
            yield Place("files", str(folder), f"t{number}.parquet", "email")


@dataclass(frozen=True, slots=True)
class Measured:
    """Requests a second: ours, and what a script does that keeps nothing."""

    unit: str
    ours: float
    singly: float
    together: float


def erasure(*, scale: str, environment: dict[str, str]) -> Row:
    """Erase a thousand people, beside a script that takes each person as they ask."""
    found = measured(scale)
    return Row(
        "erasure", found.ours, found.unit, "the bare connectors, a person at a time",
        found.singly, scale, "ratio 0.8",
    )  # fmt: skip


def erasure_together(*, scale: str, environment: dict[str, str]) -> Row:
    """The same beside a script that waits for everybody, which nobody's request can."""
    found = measured(scale)
    return Row(
        "erasure_together", found.ours, found.unit, "the bare connectors, everybody at once",
        found.together, scale, "",
    )  # fmt: skip


@cache
def measured(scale: str) -> Measured:
    """Erase a thousand people from twenty data sets, each of whom is in two, in three ways."""
    rows = (100_000 if scale == "small" else 1_000_000) // DATASETS
    with tempfile.TemporaryDirectory() as home:
        ours, bare, single = (Path(home) / name for name in ("ours", "bare", "single"))
        write(ours, rows)
        shutil.copytree(ours, bare)
        shutil.copytree(ours, single)
        people = _registered(ours, rows)
        seconds = milliseconds(lambda: end_to_end(people)) / 1000
        _check(ours, rows)
        alone = milliseconds(lambda: bare_work(bare)) / 1000
        _check(bare, rows)
        each = milliseconds(lambda: one_by_one(single)) / 1000 / SINGLY
    unit = (
        f"requests/s ({REQUESTS:,} over {DATASETS} data sets, {rows * DATASETS:,} rows; "
        f"{ErasureBatch.objects.count()} rewritings)"
    )
    return Measured(unit, REQUESTS / seconds, 1 / each, REQUESTS / alone)


def end_to_end(people: list[Subject]) -> None:
    """Open each by itself; plan, carry out, forget and observe what is due, as the workers do."""
    for each in people:
        open_erasure(subject=each, key=uuid4(), verified=True)
    while waiting := _as_told(requests.to_plan()):
        tasks.plan(*waiting)
    while due := requests.datasets_to_erase_from():
        for dataset_id in due:
            tasks.carry_out(dataset_id)
    while waiting := _as_told(requests.to_observe()):
        tasks.follow(*waiting)
    done = RightsRequest.objects.filter(completion_recorded_at__isnull=False).count()
    assert done == REQUESTS
    assert ErasureStep.objects.filter(outcome="erased").count() == REQUESTS * IN


def _as_told(due: "QuerySet[RightsRequest]") -> list[int]:
    """Return as many as the sweeper puts into a message."""
    return list(due.values_list("pk", flat=True)[:TOGETHER])


def bare_work(folder: Path) -> None:
    """Find, erase and read back with the connectors alone."""
    leaving = frozenset(map(who, range(REQUESTS)))
    for place in places(folder):
        connector = connector_for(place.kind)
        found = {each for batch in connector.members(place) for each in batch} & leaving
        connector.erase(place, frozenset(found))
        assert connector.verify(place, frozenset(found)) == 0


def one_by_one(folder: Path) -> None:
    """The same for some people, each by themselves."""
    by_number = list(places(folder))
    for number in range(SINGLY):
        leaving = frozenset([who(number)])
        for place in (by_number[number % DATASETS], by_number[(number + 1) % DATASETS]):
            connector = connector_for(place.kind)
            assert connector.locate(place, leaving).rows == 1
            connector.erase(place, leaving)
            assert connector.verify(place, leaving) == 0


def _registered(folder: Path, rows: int) -> list[Subject]:
    PurposeFactory(key="bench")
    people = [subjects.register(identifiers=[("email", who(n))]).subject for n in range(REQUESTS)]
    for number, place in enumerate(places(folder)):
        storage = register_storage(name=place.kind, kind=place.kind, address=place.address).thing
        dataset = register_dataset(
            namespace="bench", name=f"t{number}", storage=storage, location=place.location,
            subject_column="email", subject_scheme="email",
        ).thing  # fmt: skip
        take(dataset, names(number, rows), mode="replace", scheme="email")
    return people


def _check(folder: Path, rows: int) -> None:
    for place in places(folder):
        left = [each for batch in connector_for(place.kind).members(place) for each in batch]
        assert len(left) == rows - REQUESTS * IN // DATASETS
        assert not any(each.startswith("person") for each in left)
