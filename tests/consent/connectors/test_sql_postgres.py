"""SQL tables on PostgreSQL: the contract, and what only it can do."""

from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import make_url

from consent.connectors.base import (
    Place,
    StorageBusyError,
    StorageReadOnlyError,
    StorageRefusedError,
    StorageUnreachableError,
    StorageUnreadableError,
)
from consent.connectors.sql import SqlConnector
from tests.consent.connectors.contract import (
    CANARY,
    ConnectorContract,
    Storage,
    people,
    refused,
)
from tests.consent.connectors.postgres import DATABASE_URL, PostgresStorage

CONNECTOR = SqlConnector()


@pytest.mark.skipif(not DATABASE_URL, reason="DATABASE_URL is not set")
class TestPostgresTable(ConnectorContract):
    @pytest.fixture
    def storage(self) -> Iterator[Storage]:
        storage = PostgresStorage()
        yield storage
        storage.close()

    def test_what_cannot_be_read_is_unreadable(self, storage):
        place = storage.holding(people(CANARY))
        with storage.role("INSERT") as address:
            self._every_read_is_refused(replace(place, address=address))

    def _every_read_is_refused(self, place: Place) -> None:
        for call in (CONNECTOR.locate, CONNECTOR.verify):
            with refused(StorageUnreadableError, place):
                call(place, frozenset({CANARY}))
        with refused(StorageUnreadableError, place):
            list(CONNECTOR.members(place))
        with refused(StorageReadOnlyError, place):
            CONNECTOR.erase(place, frozenset({CANARY}))

    def test_rows_that_a_policy_hides_are_not_taken_for_erased(self, storage):
        place = storage.holding(people(CANARY))
        storage.run(
            f"ALTER TABLE {storage.schema}.people ENABLE ROW LEVEL SECURITY",
            f"CREATE POLICY none ON {storage.schema}.people USING (false)",
        )
        with storage.role("SELECT, DELETE") as address:
            self._every_read_is_refused(replace(place, address=address))

    @pytest.mark.parametrize("kind", ["uuid", "varchar(40)", "char(40)", "text"])
    def test_a_uuid_is_found_by_its_text_whatever_the_column(self, storage, kind):
        person, other = uuid4(), uuid4()
        storage.run(
            f"CREATE TABLE {storage.schema}.people (person {kind})",
            f"INSERT INTO {storage.schema}.people VALUES ('{person}'), ('{other}'), (NULL)",
        )
        place = storage.place()
        assert {str(person), str(other)} == {m for b in CONNECTOR.members(place) for m in b}
        erased = CONNECTOR.erase(place, frozenset({str(person), "ann", str(uuid4())}))
        assert erased.rows == 1
        assert CONNECTOR.verify(place, frozenset({str(other)})) == 1

    @pytest.mark.parametrize(
        ("kind", "stored", "text"),
        [
            ("smallint", "7", "7"),
            ("numeric(10,2)", "7", "7.00"),
            ("numeric", "12345678901234567890123", "12345678901234567890123"),
            ("boolean", "true", "true"),
            ("date", "2026-01-02", "2026-01-02"),
            ("inet", "10.0.0.1", "10.0.0.1/32"),
        ],
    )
    def test_other_types_are_compared_by_the_databases_own_text(self, storage, kind, stored, text):
        storage.run(
            f"CREATE TABLE {storage.schema}.people (person {kind})",
            f"INSERT INTO {storage.schema}.people VALUES ('{stored}'), (NULL)",
        )
        place = storage.place()
        assert list(CONNECTOR.members(place)) == [[text]]
        assert CONNECTOR.erase(place, frozenset({"99999", "x", "\0", text})).rows == 1

    def test_domains_and_enums_are_found(self, storage):
        storage.run(
            f"SET search_path TO {storage.schema}",
            "CREATE DOMAIN code AS bigint",
            "CREATE TYPE who AS ENUM ('ann', 'bob')",
            "CREATE TABLE people (a code, b who)",
            "INSERT INTO people VALUES (7, 'ann'), (8, 'bob')",
        )
        assert CONNECTOR.erase(storage.place(column="a"), frozenset({"7", "x"})).rows == 1
        assert CONNECTOR.erase(storage.place(column="b"), frozenset({"bob", "x"})).rows == 1

    @pytest.mark.parametrize("column", ["text", "integer", "uuid"])
    def test_the_index_is_used(self, storage, column, monkeypatch):
        values = {"text": "i::text", "integer": "i", "uuid": "md5(i::text)::uuid"}
        storage.run(
            f"CREATE TABLE {storage.schema}.people AS "
            f"SELECT ({values[column]})::{column} AS person FROM generate_series(1, 3000) i",
            f"CREATE INDEX ON {storage.schema}.people (person)",
            f"ANALYZE {storage.schema}.people",
        )
        place = storage.place()
        (known,) = storage.run(f"SELECT person::text FROM {storage.schema}.people LIMIT 1")[0]
        plans = []
        monkeypatch.setattr(
            "consent.connectors.sql._Subjects.delete",
            lambda self, values: plans.extend(self.connection.execute(_explain(self, values))) or 0,
        )
        CONNECTOR.erase(place, frozenset({known}))
        assert "Index" in str(plans)

    def test_odd_table_schema_and_column_names_are_quoted(self, storage):
        table, column = '"my ""odd"". % table"', "per%son (:id) ünï"
        storage.run(
            f'CREATE TABLE {storage.schema}.{table} ("{column}" text)',
            f"INSERT INTO {storage.schema}.{table} VALUES ('ann')",
        )
        place = storage.place(table, column)
        assert CONNECTOR.locate(place, frozenset({"ann"})).parts == (place.location,)
        assert CONNECTOR.erase(place, frozenset({"ann"})).rows == 1
        assert CONNECTOR.verify(place, frozenset({"ann"})) == 0

    def test_rows_that_others_refer_to_are_refused_and_all_stay(self, storage):
        place = storage.holding(people("bob", CANARY))
        storage.run(
            f"ALTER TABLE {storage.schema}.people ADD PRIMARY KEY (person)",
            f"CREATE TABLE {storage.schema}.visits (p text REFERENCES {storage.schema}.people)",
            f"INSERT INTO {storage.schema}.visits VALUES ('{CANARY}')",
        )
        with refused(StorageRefusedError, place):
            CONNECTOR.erase(place, frozenset({"bob", CANARY}))
        assert storage.rows(place) == people("bob", CANARY)

    def test_a_locked_table_is_busy(self, storage, monkeypatch):
        monkeypatch.setattr("consent.connectors.sql.WAIT", 1)
        place = storage.holding(people(CANARY))
        plain = make_url(DATABASE_URL).set(drivername="postgresql")
        with psycopg.connect(plain.render_as_string(hide_password=False)) as other:
            other.execute(f"LOCK TABLE {storage.schema}.people IN SHARE MODE")
            with refused(StorageBusyError, place):
                CONNECTOR.erase(place, frozenset({CANARY}))
        assert storage.rows(place) == people(CANARY)

    def test_nobody_listening_is_unreachable_and_can_be_tried_again(self):
        place = Place("sql", "postgresql://u:secret@127.0.0.1:9/x", "people", "person")
        with refused(StorageUnreachableError, place):
            CONNECTOR.verify(place, frozenset({CANARY}))
        assert StorageUnreachableError.retryable

    def test_no_connection_is_left_open(self, storage):
        place = storage.holding(people("ann"))
        CONNECTOR.erase(place, frozenset({"ann"}))
        next(CONNECTOR.members(place), None)
        open_ones = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%people%' AND pid <> "
        assert storage.run(f"{open_ones} pg_backend_pid() AND state <> 'active'") == [(0,)]


def _explain(subjects, values):
    import sqlalchemy as sa

    (chosen,) = subjects._chosen(values)
    statement = sa.delete(subjects.table).where(chosen)
    bound = statement.compile(
        subjects.connection, compile_kwargs={"literal_binds": True, "render_postcompile": True}
    )
    return sa.text(f"EXPLAIN {bound}".replace(":", r"\:"))


@pytest.mark.skipif(not DATABASE_URL, reason="DATABASE_URL is not set")
class TestVectors:
    """A vector store is a table: with pgvector the rows of its index go with it."""

    @pytest.fixture
    def storage(self) -> Iterator[PostgresStorage]:
        storage = PostgresStorage()
        yield storage
        storage.close()

    @pytest.mark.filterwarnings("ignore:Did not recognize type 'vector'")
    def test_a_persons_embeddings_leave_the_table_and_the_nearest_neighbours(self, storage):
        if not storage.run("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'"):
            pytest.skip("this PostgreSQL has no extension named vector")
        table = f"{storage.schema}.embeddings"
        storage.run(
            "CREATE EXTENSION IF NOT EXISTS vector",
            f"CREATE TABLE {table} (chunk bigserial, person text, embedding vector(3))",
            f"INSERT INTO {table} (person, embedding) VALUES ('{CANARY}', '[1,0,0]'),"
            f" ('{CANARY}', '[0.9,0,0]'), ('bob', '[0,1,0]')",
            f"CREATE INDEX ON {table} USING hnsw (embedding vector_l2_ops)",
        )
        place = storage.place("embeddings")
        assert CONNECTOR.erase(place, frozenset({CANARY})).rows == 2
        assert CONNECTOR.verify(place, frozenset({CANARY})) == 0
        nearest = f"SELECT person FROM {table} ORDER BY embedding <-> '[1,0,0]' LIMIT 3"
        assert storage.run("SET enable_seqscan = off", nearest) == [("bob",)]
