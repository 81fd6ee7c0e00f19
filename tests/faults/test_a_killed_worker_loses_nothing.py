"""Killing the worker in the middle of erasures and flushing Redis loses and doubles nothing."""

import os
import time
from collections import Counter
from collections.abc import Callable
from io import BytesIO
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import redis

from consent.manifests import Body, Form
from consent.models import ErasureStep, Manifest, RequestRecord, RightsRequest
from consent.selectors import requests
from consent.selectors.requests import RequestState
from consent.services import membership, planning, subjects
from consent.services.requests import open_erasure
from governance.selectors import ledger_check
from governance.services import ledger as ledger_service
from governance.services.registry import register_dataset, register_storage
from lineage.selectors.versions import current
from lineage.services.versions import ensure_origins

ROWS = 100_000
PEOPLE = 20
KILLS = 2
PATIENCE = 60.0


def person(number: int) -> str:
    return f"person-{number}@example.org"


def lake(folder) -> None:
    """Write one large file, so that an erasure takes long enough to be hit."""
    everybody = [person(n) for n in range(ROWS)]
    pq.write_table(pa.table({"email": everybody, "value": range(ROWS)}), folder / "all.parquet")


def members(folder) -> None:
    storage = register_storage(name="lake", kind="files", address=str(folder)).thing
    dataset = register_dataset(
        namespace="test", name="everybody", storage=storage, location="all.parquet",
        subject_column="email", subject_scheme="email",
    ).thing  # fmt: skip
    ensure_origins([dataset.pk])
    listed = "\n".join(f'{{"id": "{person(n)}"}}' for n in range(PEOPLE)).encode()
    membership.load(
        dataset=dataset, version=current(dataset.pk), mode=Manifest.Mode.ADD, form=Form.NDJSON,
        body=Body(BytesIO(listed).read, key=b"k" * 32),
    )  # fmt: skip


def steps_now() -> list[tuple[object, ...]]:
    fields = ("state", "outcome", "attempt", "code", "reason")
    return list(ErasureStep.objects.values_list(*fields, "request__forgotten_at"))


def wait_for(what: Callable[[], bool], why: Callable[[], str]) -> None:
    ends = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < ends, why()
        time.sleep(0.02)


def test_kills_and_a_flushed_broker_lose_nothing_and_do_nothing_twice(staff, tmp_path):
    lake(tmp_path)
    members(tmp_path)
    broker = redis.from_url(os.environ["REDIS_URL"])

    # What the client was told is what counts, not what the server says later.
    journal = []
    for n in range(PEOPLE):
        subject = subjects.register(identifiers=[("email", person(n))]).subject
        request = open_erasure(subject=subject, key=uuid4(), verified=True)
        planning.plan(request.pk)
        journal.append(request.uuid)
    staff.start("sweeper")
    staff.start("worker")

    for kill in range(1, KILLS + 1):
        # What a dead worker held looks as if it ran; that it was claimed anew shows in the attempt.
        running = ErasureStep.objects.filter(state=ErasureStep.State.RUNNING, attempt__gte=kill)
        wait_for(
            lambda running=running: running.count() == PEOPLE,
            lambda: f"not everybody's erasure ran at once: {steps_now()}",
        )
        staff.kill("worker")
        broker.flushall()
        staff.start("worker")

    def everything_is_complete() -> bool:
        found = RightsRequest.objects.filter(uuid__in=journal)
        return all(requests.standing_of(r).state is RequestState.COMPLETED for r in found)

    wait_for(everything_is_complete, lambda: f"{steps_now()} {staff.log.read_text()[-2000:]}")

    left = pq.read_table(tmp_path / "all.parquet")
    assert left["email"].to_pylist() == [person(n) for n in range(PEOPLE, ROWS)]
    assert left["value"].to_pylist() == list(range(PEOPLE, ROWS))
    assert not list(tmp_path.glob(".colophon-*"))
    steps = ErasureStep.objects.filter(request__uuid__in=journal)
    assert sorted(steps.values_list("outcome", "located_rows")) == [("erased", 1)] * PEOPLE
    assert min(steps.values_list("deaths", flat=True)) >= KILLS
    told = Counter(RequestRecord.objects.values_list("request__uuid", "kind"))
    assert set(told.values()) == {1}
    assert {uuid for uuid, _ in told} == set(journal)
    while ledger_service.sequence():
        pass
    report = ledger_check.verify()
    assert report.ok, report
