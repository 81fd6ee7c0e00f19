"""Masking instead of deleting: which columns, with what, and that nobody is found after it."""

from dataclasses import replace

import pytest

from consent.connectors.base import StorageUnreadableError
from consent.connectors.sql import SqlConnector
from tests.consent.connectors.contract import CANARY, people, refused
from tests.consent.connectors.postgres import DATABASE_URL, PostgresStorage
from tests.consent.connectors.test_sql_tables import SqliteStorage

CONNECTOR = SqlConnector()
CANARIES = frozenset({CANARY})


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def storage(request, tmp_path):
    if request.param == "sqlite":
        yield SqliteStorage(tmp_path)
    elif request.param == "mariadb":
        yield request.getfixturevalue("database")
    elif not DATABASE_URL:
        pytest.skip("DATABASE_URL is not set")
    else:
        storage = PostgresStorage()
        yield storage
        storage.close()


@pytest.mark.parametrize("mask", [None, "[erased]"])
def test_the_columns_named_are_masked_and_the_row_stays(storage, mask):
    place = storage.holding(people(CANARY, "bob", CANARY))
    place = replace(place, options={"set": {"person": mask, "note": "[erased]"}})
    erased = CONNECTOR.erase(place, CANARIES)
    assert erased.rows == 2
    assert erased.evidence == {
        "rows_matching_before": 2, "rows_masked": 2, "rows_matching_after": 0,
        "columns_masked": ["note", "person"],
    }  # fmt: skip
    rows = storage.rows(place)
    assert rows == [(mask, "[erased]", 0), ("bob", "note 1", 1), (mask, "[erased]", 2)]
    assert CONNECTOR.verify(place, CANARIES) == 0
    assert CONNECTOR.erase(place, CANARIES).rows == 0


@pytest.mark.parametrize(
    "masks",
    [
        {"note": None},
        ["person"],
        "person",
        {"person": ["x"]},
        {"person": None, "nonsense": None},
    ],
)
def test_a_rule_that_would_not_erase_is_refused(storage, masks):
    place = storage.holding(people(CANARY))
    with refused(StorageUnreadableError, place):
        CONNECTOR.erase(replace(place, options={"set": masks}), CANARIES)
    assert storage.rows(place) == people(CANARY)


def test_a_constant_that_is_itself_the_person_leaves_them_to_be_found(storage):
    place = replace(storage.holding(people(CANARY)), options={"set": {"person": CANARY}})
    CONNECTOR.erase(place, CANARIES)
    assert CONNECTOR.verify(place, CANARIES) == 1
