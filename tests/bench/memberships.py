"""Rows about who is in which data set: taking lists, finding one person, and bytes on disk."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import httpx
import numpy as np
import psycopg
from django.db import connection

from consent.manifests import Body, Form
from consent.models import Manifest, Subject
from consent.selectors import uses
from consent.services import membership
from governance.services.clients import issue_key
from governance.services.registry import register_dataset
from lineage.selectors import versions
from lineage.services.inbox import accept
from lineage.services.provenance import find_late_models, freeze_stale
from lineage.services.versions import ensure_origins
from tests.bench.applying import apply_everything
from tests.bench.asking import milliseconds, p99
from tests.bench.place import web
from tests.bench.row import Row
from tests.factories.events import dataset as said
from tests.factories.events import run

MODELS = 10
ASKED = 400
MOST_ROWS = 10_000_000  # of the plain table: a row a membership takes forty times the room


@dataclass(frozen=True, slots=True)
class Size:
    """How many people there are, and data sets: one of everybody, the others of half of them."""

    people: int
    datasets: int

    @property
    def memberships(self) -> int:
        return self.people * (self.datasets + 1) // 2

    @property
    def copied(self) -> int:
        """How many people are in the plain table, each with a row for every model."""
        return min(self.people, MOST_ROWS // MODELS)


SIZES = {"small": Size(100_000, 10), "full": Size(10_000_000, 19)}


def manifest_load(*, scale: str, environment: dict[str, str]) -> Row:
    """Take a list for each data set, and copy the same as rows."""
    size = SIZES[scale]
    rates = load_lists(size)
    return Row(
        "manifest_load", float(np.median(rates[1:])), "memberships/s",
        "COPY of the same rows into an indexed table",
        copied(size.copied), scale, "ratio 0.3",
    )  # fmt: skip


def load_lists(size: Size) -> list[float]:
    """Take a list of everybody, then of halves drawn by chance; return memberships a second."""
    everybody, drawn = size.people, np.random.default_rng(7)
    rates = []
    for number in range(size.datasets):
        share = np.arange(everybody)
        if number:
            share = np.sort(drawn.choice(everybody, everybody // 2, replace=False))
        text = "".join(f'"person-{n}@example.org"\n' for n in share).encode()
        dataset = register_dataset(
            namespace="bench", name=f"list-{number}", subject_column="id", subject_scheme="email"
        ).thing
        ensure_origins([dataset.pk])
        body = Body(BytesIO(text).read, key=b"k" * 32)
        started = time.perf_counter()
        membership.load(
            dataset=dataset, version=versions.current(dataset.pk), mode=Manifest.Mode.ADD,
            form=Form.NDJSON, body=body,
        )  # fmt: skip
        rates.append(len(share) / (time.perf_counter() - started))
    return rates


def copied(everybody: int) -> float:
    """Copy one row a membership, as one would keep them otherwise, and leave them for the joins.

    Everybody is in ten data sets there.
    """
    rows = b"".join(b"%d\t%d\n" % (n + 1, d) for d in range(MODELS) for n in range(everybody))
    with psycopg.connect(_url()) as wire:
        wire.execute(
            "CREATE TABLE bench_rows (subject bigint, dataset int, PRIMARY KEY (subject, dataset))"
        )
        wire.execute("CREATE INDEX bench_rows_dataset ON bench_rows (dataset, subject)")
        started = time.perf_counter()
        with wire.cursor().copy("COPY bench_rows FROM STDIN") as copy:
            copy.write(rows)
        wire.commit()
        seconds = time.perf_counter() - started
        wire.execute("ANALYZE bench_rows")
    return MODELS * everybody / seconds


def _url() -> str:
    known = connection.get_connection_params()
    names = ("host", "port", "user", "password", "dbname")
    return " ".join(f"{name}={known[name]}" for name in names if known.get(name))


def bytes_per_membership(*, scale: str, environment: dict[str, str]) -> Row:
    """Weigh the tables that say who is where, in both directions, and the plain one."""
    many = SIZES[scale].memberships
    ours = ("consent_membershipspan", "consent_membershipchunk", "consent_membershipblock")
    with connection.cursor() as cursor:
        for table in ours:
            cursor.execute(f"VACUUM FULL {table}")
        cursor.execute(
            "SELECT sum(pg_total_relation_size(t::regclass)) FROM unnest(%s::text[]) AS t",
            [list(ours)],
        )
        size = float(cursor.fetchone()[0])
        cursor.execute("SELECT pg_total_relation_size('bench_rows')")
        plain = float(cursor.fetchone()[0])
        cursor.execute("SELECT count(*) FROM bench_rows")
        rows = cursor.fetchone()[0]
    return Row(
        "bytes_per_membership", size / many, f"bytes ({many:,})", "a row each",
        plain / rows, scale, "15 at most",
    )  # fmt: skip


def my_models(*, scale: str, environment: dict[str, str]) -> Row:
    """Ask which models used one person's data, of many people, and the same by a join."""
    key = issue_key(client_name="bench", scopes=["lineage:write"]).key
    events = []
    for number in range(MODELS):
        reads = [{"namespace": "bench", "name": f"list-{number}"}]
        made = said(f"model-{number}", model=True)
        events += run(f"train-{number}", 0, 1, reads=reads, writes=[made])
    accept(key=key, events=events)
    apply_everything()
    find_late_models()
    while freeze_stale():
        pass
    asked = sample(scale)
    assert sum(len(uses.models_of(each)) for each in asked[:20]) > 60
    ours = [milliseconds_in_database(lambda s=each: uses.models_of(s)) for each in asked]
    theirs = [milliseconds_in_database(lambda s=each: joined(s.pk)) for each in asked]
    return Row(
        "my_models", p99(ours), "ms in the database (p99)", "a join over membership rows",
        p99(theirs), scale, "under 1 ms",
    )  # fmt: skip


def my_models_http(*, scale: str, environment: dict[str, str]) -> Row:
    """The same as a system asks it that speaks for people: known by its key, and on record."""
    bearer = issue_key(client_name="desk", scopes=["consent:read"]).bearer
    headers = {"Authorization": f"Bearer {bearer}"}
    with (
        web(environment) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers) as wire,
    ):

        def ask(subject: Subject) -> None:
            wire.get(f"/api/v1/subjects/{subject.uuid}/uses").raise_for_status()

        asked = sample(scale)
        for each in asked[:40]:
            ask(each)
        ours = [milliseconds(lambda s=each: ask(s)) for each in asked]
        theirs = [milliseconds(lambda: wire.get("/healthz")) for _ in asked]
    return Row(
        "my_models_http", p99(ours), "ms (p99)", "a health check", p99(theirs), scale,
        "under 10 ms",
    )  # fmt: skip


def sample(scale: str) -> list[Subject]:
    """Return people from all over the lists."""
    step = SIZES[scale].copied // ASKED
    first = Subject.objects.order_by("pk").values_list("pk", flat=True)[0]
    found = Subject.objects.filter(pk__in=[first + n * step for n in range(ASKED)])
    return list(found.order_by("pk"))


def milliseconds_in_database(work: Callable[[], Any]) -> float:
    """Return how long statements took, from sending each until its answer was there."""
    spent = 0.0

    def timed(execute: Any, *statement: Any) -> Any:
        nonlocal spent
        started = time.perf_counter()
        try:
            return execute(*statement)
        finally:
            spent += time.perf_counter() - started

    with connection.execute_wrapper(timed):
        work()
    return 1000 * spent


def joined(subject: int) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT DISTINCT m.id FROM bench_rows r
              JOIN governance_dataset d ON d.namespace = 'bench' AND d.name = 'list-' || r.dataset
              JOIN lineage_runinput i ON i.dataset_id = d.id
              JOIN lineage_datasetversion v ON v.run_id = i.run_id
              JOIN lineage_modelversion m ON m.version_id = v.id
             WHERE r.subject = %s
            """,
            [subject],
        )
        return [row[0] for row in cursor.fetchall()]
