"""A clinic with a table, a lake with files made of it, a model; and the sweeper's part by hand."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from io import BytesIO
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
from django.utils import timezone

from consent import tasks
from consent.manifests import Body, Form
from consent.models import Manifest, RightsRequest, Subject
from consent.selectors import requests
from consent.selectors.membership import to_reopen
from consent.services import membership, subjects
from consent.services.requests import open_erasure
from consent.services.settling import settle_step
from governance.models import Dataset
from governance.services.clients import issue_key
from governance.services.registry import register_dataset, register_storage
from lineage.selectors.versions import current
from lineage.services.apply import apply_ready
from lineage.services.inbox import accept
from lineage.services.provenance import freeze_stale
from lineage.services.versions import ensure_origins
from tests.factories.events import dataset as said
from tests.factories.events import run

ANN, BOB, EVE = PEOPLE = ("ann@example.org", "bob@example.org", "eve@example.org")
MODEL = said("model", model=True)


class Clinic:
    """Two storages on the disk, ``raw`` in a table and ``features`` in a file."""

    def __init__(self, folder: Path) -> None:
        self.table, self.lake = folder / "clinic.sqlite", folder / "lake"
        self.lake.mkdir()
        self.write_table(PEOPLE)
        self.write_lake(PEOPLE)
        self.key = issue_key(client_name="pipeline", scopes=["lineage:write"]).key
        sql = register_storage(name="clinic", kind="sql", address=f"sqlite:///{self.table}").thing
        files = register_storage(name="lake", kind="files", address=str(self.lake)).thing
        self.raw = self.register("raw", storage=sql, location="patients")
        self.features = self.register("features", storage=files, location="*.parquet")
        self.runs("features", reads=["raw"], writes=["features"])
        self.hand_in(self.raw, PEOPLE, mode="replace")

    def register(self, name: str, **more) -> Dataset:
        of = {"subject_column": "email", "subject_scheme": "email", "namespace": "test"}
        made: Dataset = register_dataset(name=name, **of | more).thing
        ensure_origins([made.pk])
        return made

    def table_named(self, name: str) -> Dataset:
        """Register one more table, which holds everybody."""
        self.write_table(PEOPLE, name)
        return self.register(name, storage=self.raw.storage, location=name)

    def write_table(self, people: Iterable[str], name: str = "patients") -> None:
        with closing(sqlite3.connect(self.table)) as wire, wire:
            wire.execute(f"CREATE TABLE IF NOT EXISTS {name} (email TEXT)")
            wire.execute(f"DELETE FROM {name}")
            wire.executemany(f"INSERT INTO {name} VALUES (?)", [(each,) for each in people])

    def write_lake(self, people: Sequence[str]) -> None:
        pq.write_table(pa.table({"email": list(people)}), self.lake / "part.parquet")

    def rows(self, name: str = "patients") -> list[str]:
        with closing(sqlite3.connect(self.table)) as wire:
            return [row[0] for row in wire.execute(f"SELECT email FROM {name} ORDER BY email")]

    def files(self) -> list[str]:
        return pq.read_table(self.lake / "part.parquet")["email"].to_pylist()

    def runs(self, job: str, *, reads: Sequence, writes: Sequence, **facets) -> None:
        """Let a job run now, from beginning to end."""
        events = run(job, 0, 0, reads=reads, writes=writes, run=str(uuid4()), **facets)
        accept(key=self.key, events=[e | {"eventTime": timezone.now().isoformat()} for e in events])
        while apply_ready() or freeze_stale():
            pass

    def hand_in(self, dataset: Dataset, people: Iterable[str], *, mode: str = "add") -> Manifest:
        """Take a list for the current version; each time another one, by a line that is empty."""
        listed = "\n".join([json.dumps({"id": each}) for each in people])
        raw = (listed + "\n" * Manifest.objects.count()).encode()
        return membership.load(
            dataset=dataset, version=current(dataset.pk), mode=Manifest.Mode(mode),
            form=Form.NDJSON, body=Body(BytesIO(raw).read, key=b"k" * 32),
        ).manifest  # fmt: skip

    def comes_back(self) -> None:
        """Restore an old table, and have a list say so."""
        self.write_table(PEOPLE)
        self.hand_in(self.raw, PEOPLE)

    def erased(self, who: str = ANN, by_hand: Sequence[str] = ()) -> tuple[Subject, RightsRequest]:
        """Have a person register, ask to be erased, and be forgotten."""
        person = subjects.register(identifiers=[("email", who)]).subject
        request = open_erasure(subject=person, key=uuid4(), verified=True)
        settle()
        for step in request.steps.filter(dataset__name__in=by_hand):
            settle_step(
                step=step, outcome="by_hand", code="gone", reason="it was dropped", evidence="seen"
            )
        settle()
        request.refresh_from_db()
        assert request.forgotten_at is not None
        return person, request


def settle(rounds: int = 8) -> None:
    """Do whatever is due, as the sweeper would have it done, until nothing is left to do."""
    for _ in range(rounds):
        due = [(tasks.reopen, pk) for pk in to_reopen().values_list("tombstone_id", flat=True)]
        due += [(tasks.plan, pk) for pk in requests.to_plan().values_list("pk", flat=True)]
        due += [(tasks.carry_out, pk) for pk in requests.datasets_to_erase_from()]
        due += [(tasks.follow, pk) for pk in requests.to_observe().values_list("pk", flat=True)]
        if not due:
            return
        for task, pk in due:
            task(pk)
