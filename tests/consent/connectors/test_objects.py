"""Object stores, tried on fsspec's memory: the contract, and one upload or none."""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import Mock
from uuid import uuid4

import fsspec
import pytest

from consent.connectors.base import (
    LocationEscapesStorageError,
    Place,
    StorageBusyError,
    StorageUnreachableError,
    StorageUnreadableError,
)
from consent.connectors.files import FilesConnector
from tests.consent.connectors.contract import CANARY, ConnectorContract, Row, people, refused

CONNECTOR = FilesConnector()
MEMORY = fsspec.filesystem("memory")


class MemoryStorage:
    sabotage = "raise SystemExit('memory dies with its process')"

    def __init__(self) -> None:
        self.root = f"memory://{uuid4().hex}"
        self.numbers = False

    def holding(self, rows: list[Row], *, numbers: bool = False) -> Place:
        self.numbers = numbers
        text = io.StringIO(newline="")
        csv.writer(text).writerows([("person", "note", "at"), *rows])
        MEMORY.pipe_file(f"{self.root}/x/people.csv", text.getvalue().encode())
        return Place("files", self.root, "x/*.csv", "person")

    def rows(self, place: Place) -> list[Row]:
        text = io.StringIO(MEMORY.cat_file(f"{self.root}/x/people.csv").decode(), newline="")
        return [self._row(*cells) for cells in list(csv.reader(text))[1:]]

    def _row(self, person: str, note: str, at: str) -> Row:
        value = int(person) if self.numbers and person else person
        return ("" if value == "" and int(at) == 5 else value or None), note, int(at)

    def add(self, place: Place, row: Row) -> None:
        self.holding([*self.rows(place), row])

    def remove(self, place: Place) -> None:
        MEMORY.rm(f"{self.root}/x/people.csv")

    def spoil(self, place: Place) -> Place:
        MEMORY.pipe_file(f"{self.root}/x/people.csv", b'person\n"never closed\n')
        return place

    @contextmanager
    def read_only(self, place: Place) -> Iterator[Place]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("fsspec.implementations.memory.MemoryFileSystem._open", forbidding)
            yield place


opening = fsspec.implementations.memory.MemoryFileSystem._open


def forbidding(self, path, mode="rb", **options):
    if mode != "rb":
        raise PermissionError(13, f"denied {CANARY}")
    return opening(self, path, mode, **options)


def driver_error(module: str) -> Exception:
    return type("DriverError", (Exception,), {"__module__": module})(CANARY)


class TestObjectStore(ConnectorContract):
    test_a_killed_erasure_loses_nothing_and_the_next_one_does_it = None  # see below

    @pytest.fixture
    def storage(self) -> MemoryStorage:
        return MemoryStorage()

    def test_an_upload_that_breaks_off_is_never_the_object(self, storage, monkeypatch):
        place = storage.holding(people(CANARY, "bob"))
        with monkeypatch.context() as patch:
            patch.setattr("shutil.copyfileobj", breaking_at(2))
            with refused(StorageUnreachableError, place):
                CONNECTOR.erase(place, frozenset({CANARY}))
        assert [row[0] for row in storage.rows(place)] == [CANARY, "bob"]

    def test_an_object_that_others_changed_meanwhile_keeps_their_change(self, storage, monkeypatch):
        place = storage.holding(people(CANARY, "bob"))
        with monkeypatch.context() as patch:
            patch.setattr(
                "hashlib.file_digest", lambda *_: storage.add(place, ("dora", "", 9)) or Digest()
            )
            with refused(StorageBusyError, place):
                CONNECTOR.erase(place, frozenset({CANARY}))
        assert {row[0] for row in storage.rows(place)} == {CANARY, "bob", "dora"}

    def test_a_location_that_leads_out_is_refused(self, storage):
        place = Place("files", storage.root, "../people.csv", "person")
        with refused(LocationEscapesStorageError, place):
            CONNECTOR.locate(place, frozenset({CANARY}))

    @pytest.mark.parametrize(
        "error", [TimeoutError(), ConnectionResetError(), driver_error("botocore.exceptions")]
    )
    def test_a_store_that_does_not_answer_is_unreachable(self, storage, monkeypatch, error):
        place = storage.holding(people(CANARY))
        monkeypatch.setattr("shutil.copyfileobj", Mock(side_effect=error))
        with refused(StorageUnreachableError, place):
            CONNECTOR.erase(place, frozenset({CANARY}))

    def test_a_mistake_of_our_own_is_not_taken_for_the_stores(self, storage, monkeypatch):
        place = storage.holding(people(CANARY))
        monkeypatch.setattr("shutil.copyfileobj", Mock(side_effect=driver_error("consent.x")))
        with pytest.raises(Exception, match=CANARY):
            CONNECTOR.erase(place, frozenset({CANARY}))


class Digest:
    @staticmethod
    def hexdigest() -> str:
        return ""


def breaking_at(call: int):
    from shutil import copyfileobj

    calls = iter(range(1, 9))

    def copy(source, target, length):
        if next(calls) == call:
            target.write(b"half")
            raise OSError(5, f"connection lost {CANARY}")
        copyfileobj(source, target, length)

    return copy


def test_a_store_without_a_driver_says_what_to_install():
    place = Place("files", "nope://bucket/prefix", "a.csv", "person")
    with refused(StorageUnreadableError, place):
        CONNECTOR.locate(place, frozenset({CANARY}))
