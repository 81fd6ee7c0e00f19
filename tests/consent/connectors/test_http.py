"""An owner's endpoint: the contract, signed and idempotent asking, and owners who misbehave."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import httpx
import pytest

from consent.connectors import http
from consent.connectors.base import (
    Place,
    StorageBusyError,
    StorageMissingError,
    StorageReadOnlyError,
    StorageRefusedError,
    StorageUnreachableError,
    StorageUnreadableError,
)
from consent.connectors.http import HttpConnector
from governance.outbound import allowed
from tests.consent.connectors import owner
from tests.consent.connectors.contract import CANARY, ConnectorContract, Row, people, refused

CONNECTOR = HttpConnector()
CANARIES = frozenset({CANARY})


class OwnerStorage:
    sabotage = "import httpx; httpx.Client.send = die"

    def __init__(self, server: owner.Owner) -> None:
        self.server = server

    def holding(self, rows: list[Row], *, numbers: bool = False) -> Place:
        self.server.tables["people"] = list(rows)
        return Place("http", self.server.address, "people", "person", step="step-1")

    def rows(self, place: Place) -> list[Row]:
        return self.server.tables["people"]

    def add(self, place: Place, row: Row) -> None:
        self.server.tables["people"].append(row)

    def remove(self, place: Place) -> None:
        del self.server.tables["people"]

    def spoil(self, place: Place) -> Place:
        for verb in ("members", "locate", "erase", "verify"):
            self.server.refusing[verb] = (500, {"code": "storage_unreadable", "for": CANARY})
        return place

    @contextmanager
    def read_only(self, place: Place) -> Iterator[Place]:
        self.server.refusing["erase"] = (403, {"detail": CANARY})
        yield place
        self.server.refusing.clear()


class TestOwner(ConnectorContract):
    reads_rows = False

    @pytest.fixture
    def storage(self) -> Iterator[OwnerStorage]:
        with owner.running() as server:
            yield OwnerStorage(server)

    @pytest.fixture(autouse=True)
    def _no_pauses(self, monkeypatch):
        monkeypatch.setattr(http, "PAUSE", 0.01)

    def test_erasing_twice_is_harmless(self, storage):
        place = storage.holding(people("ann", "bob"))
        assert CONNECTOR.erase(place, frozenset({"ann"})).rows == 1
        assert CONNECTOR.erase(replace(place, step="step-2"), frozenset({"ann"})).rows == 0

    def test_every_attempt_of_a_step_has_the_same_key_and_every_question_a_new_one(self, storage):
        place = storage.holding(people(CANARY, "bob"))
        for _ in range(2):
            CONNECTOR.locate(place, CANARIES)
            assert CONNECTOR.erase(place, CANARIES).rows == 1  # the owner repeats its answer
            CONNECTOR.verify(place, CANARIES)
        CONNECTOR.erase(replace(place, step="step-2"), CANARIES)
        CONNECTOR.erase(place, frozenset({"bob"}))
        keys = {verb: [k for v, k in storage.server.seen if v == verb] for verb in
                ("locate", "erase", "verify")}  # fmt: skip
        assert keys["erase"][0] == keys["erase"][1]
        assert len({key for each in keys.values() for key in each}) == 2 + 3 + 2
        assert CANARY not in str(storage.server.seen)

    def test_an_owner_that_erases_and_then_times_out_is_asked_again(self, storage, monkeypatch):
        monkeypatch.setattr(http, "TIMEOUT", httpx.Timeout(0.4))
        place = storage.holding(people(CANARY, "bob"))
        storage.server.slow_after_erasing = True
        with refused(StorageUnreachableError, place):
            CONNECTOR.erase(place, CANARIES)
        assert CONNECTOR.erase(place, CANARIES).rows == 1
        assert CONNECTOR.verify(place, CANARIES) == 0
        assert storage.rows(place) == people(CANARY, "bob")[1:]

    def test_an_owner_that_lies_is_found_out_by_verifying(self, storage):
        place = storage.holding(people(CANARY, "bob"))
        storage.server.lying = True
        assert CONNECTOR.erase(place, CANARIES).evidence["rows_claimed"] == 1
        assert CONNECTOR.verify(place, CANARIES) == 1

    def test_a_promised_answer_is_waited_for(self, storage):
        place = storage.holding(people(CANARY, "bob"))
        storage.server.promises = 3
        assert CONNECTOR.erase(place, CANARIES).rows == 1
        assert [verb for verb, _ in storage.server.seen] == ["erase", *["status/1"] * 3]
        assert len({key for _, key in storage.server.seen}) == 1

    def test_a_promise_that_takes_too_long_is_busy(self, storage, monkeypatch):
        monkeypatch.setattr(http, "LONGEST_WAIT", 0.05)
        place = storage.holding(people(CANARY, "bob"))
        storage.server.promises = 1_000
        with refused(StorageBusyError, place):
            CONNECTOR.erase(place, CANARIES)
        assert StorageBusyError.retryable

    @pytest.mark.parametrize(
        "url", ["http://127.0.0.1:9/status", "https://127.0.0.1/x", "//169.254.169.254/latest"]
    )
    def test_a_promise_elsewhere_is_not_followed(self, storage, url):
        place = storage.holding(people(CANARY))
        storage.server.promises, storage.server.status_url = 1, url
        with refused(StorageUnreadableError, place):
            CONNECTOR.erase(place, CANARIES)
        assert [verb for verb, _ in storage.server.seen] == ["erase"]

    @pytest.mark.parametrize(
        ("status", "told", "error"),
        [
            (302, {}, StorageUnreadableError),
            (400, {}, StorageUnreadableError),
            (401, {}, StorageReadOnlyError),
            (404, {}, StorageMissingError),
            (409, {}, StorageBusyError),
            (409, {"code": "storage_refused"}, StorageRefusedError),
            (429, {}, StorageBusyError),
            (503, {"code": ["odd"]}, StorageUnreachableError),
            (200, {}, StorageUnreadableError),
            (200, {"rows": -1}, StorageUnreadableError),
            (200, {"rows": "1"}, StorageUnreadableError),
            (200, {"rows": True}, StorageUnreadableError),
        ],
    )
    def test_what_the_owner_answers_becomes_our_error(self, storage, status, told, error):
        place = storage.holding(people(CANARY))
        storage.server.refusing["erase"] = (status, told | {"detail": CANARY})
        with refused(error, place):
            CONNECTOR.erase(place, CANARIES)

    def test_what_the_owner_tells_is_kept_unless_it_names_the_person(self, storage):
        place = storage.holding(people(CANARY, "bob"))
        storage.server.evidence = {"ticket": "T-1"}
        told = CONNECTOR.erase(place, frozenset({"bob"})).evidence
        assert told["owner_says"] == {"ticket": "T-1"}
        storage.server.evidence = {"ticket": f"T-1 for {CANARY}"}
        told = CONNECTOR.erase(place, CANARIES).evidence
        assert told["owner_says"] == "withheld: it names people"

    def test_another_key_is_not_accepted(self, storage):
        place = storage.holding(people(CANARY))
        place = replace(place, address=place.address.replace("whsec_", "whsec_AAAA"))
        with refused(StorageUnreadableError, place):
            CONNECTOR.verify(place, CANARIES)

    def test_an_endless_answer_is_cut_off(self, storage, monkeypatch):
        monkeypatch.setattr(http, "LONGEST_ANSWER", 1_000)
        place = storage.holding(people(*(f"person {n}" for n in range(1_000))))
        with refused(StorageUnreadableError, place):
            list(CONNECTOR.members(place))


GOOD = "AAAAAAAAAAAAAAAAAAAAAAAA"


@pytest.mark.parametrize(
    "address",
    [
        "https://owner.example/base",
        "https://:short@owner.example/base",
        f"ftp://:{GOOD}@owner.example/base",
        f"https://:{GOOD}@owner.example:99999/base",
        f"https://:{GOOD}@owner.example/base?x=1",
        f"https://:{GOOD}@owner.example/base#public",
        f"http://:{GOOD}@8.8.8.8/base",
        f"https://:{GOOD}@127.0.0.1/base",
        f"https://:{GOOD}@localhost/base",
        f"https://:{GOOD}@10.0.0.1/base",
        f"https://:{GOOD}@[::ffff:127.0.0.1]/base",
        f"https://:{GOOD}@2130706433/base",
        f"https://:{GOOD}@169.254.169.254/latest#private",
        f"https://:{GOOD}@0.0.0.0/base#private",
    ],
)
def test_an_endpoint_that_may_not_be_spoken_to_is_refused(address):
    place = Place("http", address, "people", "person")
    with refused(StorageUnreadableError, place):
        CONNECTOR.verify(place, CANARIES)


def test_nobody_listening_is_unreachable_and_can_be_tried_again():
    place = Place("http", f"http://:{GOOD}@127.0.0.1:9/base#private", "people", "person")
    with refused(StorageUnreachableError, place):
        CONNECTOR.verify(place, CANARIES)


@pytest.mark.parametrize(
    ("address", "public", "private"),
    [
        ("8.8.8.8", True, True),
        ("2001:4860:4860::8888", True, True),
        ("10.1.2.3", False, True),
        ("::1", False, True),
        ("fe80::1%eth0", False, False),
        ("224.0.0.1", False, False),
        ("::", False, False),
        ("::ffff:169.254.169.254", False, False),
    ],
)
def test_which_addresses_areallowed(address, public, private):
    assert (allowed(address, private=False), allowed(address, private=True)) == (public, private)
