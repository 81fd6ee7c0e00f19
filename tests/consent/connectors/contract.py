"""What every connector must do, whatever it connects to: a test class per storage runs this."""

import json
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, replace
from typing import Protocol

import pytest

from consent.connectors import connector_for
from consent.connectors.base import (
    ConnectorError,
    Located,
    Place,
    RowsNotReadError,
    StorageMissingError,
    StorageReadOnlyError,
    StorageUnreadableError,
    SubjectColumnMissingError,
)

Row = tuple[str | int | None, str | None, int]  # person, note, a number that gives the order

ODD = [
    "Zoë", "Zoe\u0308", "O'Brien", 'x"y', '"quoted"', "a,b", "two\nlines", "日本", "🦉",
    "x' OR '1'='1", "'; DROP TABLE people; --", "%(x)s", "%s", ":x", "?", "back\\slash", "NULL",
    " padded ", "007", "7", "7.0", "1e3", "ANN", "ann",
]  # fmt: skip
CANARY = "canary-4711"
LOST = "the process is gone"

_KILLED_ERASURE = """
import json, os, signal, sys
from consent.connectors import connector_for
from consent.connectors.base import Place
def die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)
{sabotage}
place = Place(**json.loads(sys.argv[1]))
connector_for(place.kind).erase(place, frozenset(sys.argv[2:]))
"""


class Storage(Protocol):
    """What a test needs from a storage, done without the connector."""

    sabotage: str  # Python that makes an erasure ``die()`` after it has begun to write

    def holding(self, rows: list[Row], *, numbers: bool = False) -> Place: ...
    def rows(self, place: Place) -> list[Row]: ...
    def add(self, place: Place, row: Row) -> None: ...
    def remove(self, place: Place) -> None: ...
    def spoil(self, place: Place) -> Place: ...
    def read_only(self, place: Place) -> AbstractContextManager[Place]: ...


def people(*persons: str | int | None) -> list[Row]:
    return [(person, f"note {at}", at) for at, person in enumerate(persons)]


@contextmanager
def refused(kind: type[ConnectorError], place: Place) -> Iterator[None]:
    """Expect this very error, and that neither it nor its chain tells a secret."""
    with pytest.raises(ConnectorError) as caught:
        yield
    error = caught.value
    assert type(error) is kind
    assert error.message.endswith(".")
    told = "".join(traceback.format_exception(error)) + repr(error.facts)
    assert CANARY not in told
    assert place.address not in error.message
    assert "secret" not in told


class ConnectorContract:
    reads_rows = True

    @pytest.fixture
    def storage(self) -> Storage:
        raise NotImplementedError

    def test_locating_counts_the_rows_and_changes_nothing(self, storage):
        rows = people("ann", "bob", "ann", "cid", None)
        place = storage.holding(rows)
        located = connector_for(place.kind).locate(place, frozenset({"ann", "cid"}))
        assert located.rows == 3
        assert len(located.parts) == 1
        assert storage.rows(place) == rows

    def read(self, place: Place, *values: str) -> list[Row]:
        """Read the rows of some people, as the storage's own way of reading gives them."""
        told = connector_for(place.kind).rows(place, frozenset(values))
        return sorted(map(self.row, json.loads(json.dumps(list(told)))), key=lambda row: row[2])

    def row(self, told: dict) -> Row:
        assert list(told) == ["person", "note", "at"]
        return told["person"], told["note"], int(told["at"])

    def test_rows_are_the_persons_own_whole_and_nothing_is_changed(self, storage):
        rows = people("ann", "bob", None, "ann", "annabel", "", "Ann", "cid")
        place = storage.holding(rows)
        if not self.reads_rows:
            with refused(RowsNotReadError, place):
                connector_for(place.kind).rows(place, frozenset({"ann", "cid"}))
            return
        assert self.read(place, "ann", "cid", "nobody", "\ud800") == [rows[0], rows[3], rows[7]]
        assert self.read(place, "nobody") == self.read(place) == []
        assert storage.rows(place) == rows

    def test_rows_of_somebody_with_many_are_streamed_and_can_be_left_halfway(self, storage):
        if not self.reads_rows:
            return
        place = storage.holding(people(*("ann" for _ in range(2_500)), "bob"))
        connector = connector_for(place.kind)
        some = connector.rows(place, frozenset({"ann"}))
        assert self.row(dict(next(some)))[0] == "ann"
        some.close()
        assert sum(1 for _ in connector.rows(place, frozenset({"ann"}))) == 2_500
        assert connector.erase(place, frozenset({"bob"})).rows == 1

    def test_rows_of_odd_names_are_theirs_alone(self, storage):
        if not self.reads_rows:
            return
        place = storage.holding(people(*ODD))
        for half in (slice(0, None, 2), slice(1, None, 2)):  # names that look alike are neighbours
            assert self.read(place, *ODD[half]) == people(*ODD)[half]

    def test_erasing_takes_only_the_persons_rows_and_leaves_every_other_as_it_was(self, storage):
        rows = people("ann", "bob", None, "ann", "annabel", "", "Ann")
        place = storage.holding(rows)
        erased = connector_for(place.kind).erase(place, frozenset({"ann"}))
        assert erased.rows == 2
        assert len(erased.parts) == 1
        assert storage.rows(place) == [row for row in rows if row[0] != "ann"]

    def test_erasing_twice_is_harmless(self, storage):
        place = storage.holding(people("ann", "bob"))
        connector = connector_for(place.kind)
        assert connector.erase(place, frozenset({"ann"})).rows == 1
        again = connector.erase(place, frozenset({"ann"}))
        assert (again.rows, again.parts) == (0, ())
        assert storage.rows(place) == people("ann", "bob")[1:]

    def test_erasing_everybody_leaves_an_empty_place_that_still_answers(self, storage):
        place = storage.holding(people("ann", "bob", "ann"))
        connector = connector_for(place.kind)
        assert connector.erase(place, frozenset({"ann", "bob"})).rows == 3
        assert storage.rows(place) == []
        assert connector.locate(place, frozenset({"ann"})) == Located(0, ())
        assert list(connector.members(place)) == []

    def test_the_evidence_is_json_and_names_nobody(self, storage):
        place = storage.holding(people(CANARY, "bob"))
        erased = connector_for(place.kind).erase(place, frozenset({CANARY}))
        assert erased.evidence
        assert CANARY not in json.dumps(erased.evidence)

    def test_verifying_reads_back_and_notices_a_row_that_came_back(self, storage):
        place = storage.holding(people("ann", "bob"))
        connector = connector_for(place.kind)
        assert connector.verify(place, frozenset({"ann"})) == 1
        connector.erase(place, frozenset({"ann"}))
        assert connector.verify(place, frozenset({"ann"})) == 0
        storage.add(place, ("ann", "restored", 99))
        assert connector.verify(place, frozenset({"ann"})) == 1

    def test_members_are_streamed_as_text_without_null(self, storage):
        names = [f"person {number}" for number in range(25_000)]
        place = storage.holding(people(*names, None, "person 1"))
        batches = connector_for(place.kind).members(place)
        first = next(batches)
        assert 0 < len(first) < 25_001
        assert sorted([*first, *(name for batch in batches for name in batch)]) == sorted(
            [*names, "person 1"]
        )

    def test_stopping_to_read_members_halfway_leaves_the_storage_usable(self, storage):
        place = storage.holding(people(*(f"person {number}" for number in range(12_000))))
        connector = connector_for(place.kind)
        batches = connector.members(place)
        next(batches)
        batches.close()
        assert connector.erase(place, frozenset({"person 1"})).rows == 1

    def test_numbers_are_members_in_the_text_that_finds_them(self, storage):
        place = storage.holding(people(7, -12, None, 9_007_199_254_740_993), numbers=True)
        connector = connector_for(place.kind)
        members = {name for batch in connector.members(place) for name in batch}
        assert members == {"7", "-12", "9007199254740993"}
        assert connector.erase(place, frozenset(members)).rows == 3

    @pytest.mark.parametrize("values", [frozenset(), frozenset({"nobody"}), frozenset({"\ud800"})])
    def test_an_unknown_person_has_no_rows_and_costs_none(self, storage, values):
        place = storage.holding(people("ann", "bob"))
        connector = connector_for(place.kind)
        assert connector.locate(place, values) == Located(0, ())
        assert connector.erase(place, values).rows == 0
        assert connector.verify(place, values) == 0
        assert storage.rows(place) == people("ann", "bob")

    def test_a_number_is_only_what_is_written_the_same(self, storage):
        place = storage.holding(people(7, 8, None), numbers=True)
        connector = connector_for(place.kind)
        lookalikes = {"007", "7.0", " 7", "+7", "\u0667", "7e0", "ann", "1" * 30, "9" * 19, "-", ""}
        assert connector.erase(place, frozenset(lookalikes)).rows == 0
        assert connector.erase(place, frozenset({"7", *lookalikes})).rows == 1
        assert storage.rows(place) == people(7, 8, None)[1:]

    def test_text_that_looks_like_a_number_is_compared_as_text(self, storage):
        place = storage.holding(people("007", "7", "07", "7.0"))
        assert connector_for(place.kind).erase(place, frozenset({"7"})).rows == 1
        assert [row[0] for row in storage.rows(place)] == ["007", "07", "7.0"]

    @pytest.mark.parametrize("name", ODD)
    def test_odd_names_find_themselves_and_nobody_else(self, storage, name):
        place = storage.holding(people(*ODD))
        connector = connector_for(place.kind)
        assert name in {each for batch in connector.members(place) for each in batch}
        assert connector.erase(place, frozenset({name})).rows == 1
        assert [row[0] for row in storage.rows(place)] == [each for each in ODD if each != name]

    def test_more_people_than_fit_into_one_question_are_all_erased(self, storage):
        names = [f"person {number}" for number in range(2_500)]
        place = storage.holding(people(*names, "ann"))
        erased = connector_for(place.kind).erase(place, frozenset([*names, "nobody"]))
        assert erased.rows == 2_500
        assert [row[0] for row in storage.rows(place)] == ["ann"]

    def test_a_place_that_does_not_exist_is_missing(self, storage):
        place = storage.holding(people(CANARY))
        storage.remove(place)
        self._every_call_is_refused(StorageMissingError, place)

    def test_a_column_that_does_not_exist_is_missing(self, storage):
        place = replace(storage.holding(people(CANARY)), subject_column="Person")
        self._every_call_is_refused(SubjectColumnMissingError, place)
        assert storage.rows(place) == people(CANARY)

    def test_what_cannot_be_read_is_unreadable(self, storage):
        place = storage.spoil(storage.holding(people(CANARY)))
        self._every_call_is_refused(StorageUnreadableError, place)

    def test_a_place_we_may_not_write_is_read_only_and_can_still_be_searched(self, storage):
        rows = people(CANARY, "bob")
        place = storage.holding(rows)
        with storage.read_only(place) as protected:
            connector = connector_for(place.kind)
            assert connector.locate(protected, frozenset({CANARY})).rows == 1
            if self.reads_rows:
                assert len(list(connector.rows(protected, frozenset({CANARY})))) == 1
            with refused(StorageReadOnlyError, protected):
                connector.erase(protected, frozenset({CANARY}))
        assert storage.rows(place) == rows

    def test_a_killed_erasure_loses_nothing_and_the_next_one_does_it(self, storage):
        rows = people("ann", "bob", "ann")
        place = storage.holding(rows)
        script = _KILLED_ERASURE.format(sabotage=storage.sabotage)
        command = [sys.executable, "-c", script, json.dumps(asdict(place)), "ann"]
        killed = subprocess.run(command, check=False, capture_output=True)
        assert killed.returncode == -9, killed.stderr.decode()
        assert storage.rows(place) == rows
        assert connector_for(place.kind).erase(place, frozenset({"ann"})).rows == 2
        assert storage.rows(place) == rows[1:2]

    def _every_call_is_refused(self, kind: type[ConnectorError], place: Place) -> None:
        connector, values = connector_for(place.kind), frozenset({CANARY})
        with refused(kind, place):
            list(connector.members(place))
        with refused(kind if self.reads_rows else RowsNotReadError, place):
            list(connector.rows(place, values))
        for call in (connector.locate, connector.erase, connector.verify):
            with refused(kind, place):
                call(place, values)
