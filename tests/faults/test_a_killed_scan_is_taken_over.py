"""Killing the worker in the middle of a scan loses nothing and takes nothing twice."""

import time
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq

from consent.models import Manifest, MembershipScan, Subject
from consent.selectors.membership import members
from consent.services import scanning
from governance.services.registry import register_dataset, register_storage

ROWS = 60_000
FILES = 5
PATIENCE = 60.0


def wait_for(what: Callable[[], bool], why: Callable[[], str]) -> None:
    ends = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < ends, why()
        time.sleep(0.02)


def test_a_scan_whose_worker_is_killed_is_done_once_by_another(staff, tmp_path):
    people = pa.table({"who": [f"person-{n}" for n in range(ROWS)]})
    for n in range(FILES):
        pq.write_table(people, tmp_path / f"{n}.parquet")
    storage = register_storage(name="lake", kind="files", address=str(tmp_path)).thing
    dataset = register_dataset(
        namespace="test", name="everybody", storage=storage, location="*.parquet",
        subject_column="who", subject_scheme="card",
    ).thing  # fmt: skip
    staff.start("sweeper")
    staff.start("worker")
    scan = scanning.ask(dataset=dataset).scan

    running = MembershipScan.objects.filter(state=MembershipScan.State.RUNNING)
    wait_for(running.exists, lambda: "the scan never ran")
    staff.kill("worker")
    assert not Manifest.objects.exists()
    staff.start("worker")
    done = MembershipScan.objects.filter(state=MembershipScan.State.DONE)
    wait_for(done.exists, lambda: staff.log.read_text()[-2000:])

    scan.refresh_from_db()
    assert (scan.outcome, scan.rows, scan.attempt) == ("complete", ROWS * FILES, 2)
    assert Manifest.objects.get() == scan.manifest
    assert len(members(dataset.pk)) == Subject.objects.count() == ROWS
