"""SQL tables on MariaDB, where a server is there to be asked: MARIADB_URL names its database."""

import os
from uuid import uuid4

import pytest
import sqlalchemy as sa

from consent.connectors.base import Place, StorageMissingError, StorageUnreachableError
from consent.connectors.sql import SqlConnector
from tests.consent.connectors.contract import CANARY, refused

CONNECTOR = SqlConnector()
URL = os.environ.get("MARIADB_URL", "")  # mysql+pymysql://user:password@host/database


@pytest.mark.skipif(not URL, reason="MARIADB_URL is not set: no MariaDB server comes as a wheel")
def test_upper_and_lower_case_are_two_people_there_too():
    table, engine = f"people_{uuid4().hex}", sa.create_engine(URL)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE {table} (person varchar(40) COLLATE utf8mb4_bin)")
        connection.exec_driver_sql(f"INSERT INTO {table} VALUES ('ann'), ('Ann'), (NULL)")
    place = Place("sql", URL, table, "person")
    try:
        assert CONNECTOR.erase(place, frozenset({"ann"})).rows == 1
        assert list(CONNECTOR.members(place)) == [["Ann"]]
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"DROP TABLE {table}")
    with refused(StorageMissingError, place):
        CONNECTOR.verify(place, frozenset({CANARY}))


def test_nobody_listening_is_unreachable():
    place = Place("sql", "mysql+pymysql://u:secret@127.0.0.1:9/x", "people", "person")
    with refused(StorageUnreachableError, place):
        CONNECTOR.verify(place, frozenset({CANARY}))
