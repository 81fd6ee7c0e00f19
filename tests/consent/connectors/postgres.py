"""A PostgreSQL schema of its own for a test, done without the connector."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from uuid import uuid4

import psycopg
from psycopg import sql
from sqlalchemy import make_url

from consent.connectors.base import Place
from tests.consent.connectors.contract import Row

# Makes an erasure die after it has deleted, before it commits.
SABOTAGE = """
from consent.connectors import sql
delete = sql._Subjects.delete
def delete_and_die(self, values): delete(self, values); die()
sql._Subjects.delete = delete_and_die
"""
DATABASE_URL = os.environ.get("DATABASE_URL", "")


class PostgresStorage:
    sabotage = SABOTAGE

    def __init__(self) -> None:
        self.schema = f"c_{uuid4().hex}"
        self.address = DATABASE_URL
        self.run(f"CREATE SCHEMA {self.schema}")

    def close(self) -> None:
        self.run(f"DROP SCHEMA {self.schema} CASCADE")

    def run(self, *statements: str) -> list[tuple]:
        plain = make_url(self.address).set(drivername="postgresql")
        with psycopg.connect(plain.render_as_string(hide_password=False)) as connection:
            done = [connection.execute(sql.SQL(each)) for each in statements]
            return done[-1].fetchall() if done[-1].description else []

    def place(self, table: str = "people", column: str = "person") -> Place:
        return Place("sql", self.address, f"{self.schema}.{table}", column)

    def holding(self, rows: list[Row], *, numbers: bool = False) -> Place:
        self.run(
            f"CREATE TABLE {self.schema}.people "
            f"(person {'integer' if numbers and len(rows) < 4 else 'bigint' if numbers else 'text'}"
            ", note text, at integer)"
        )
        plain = make_url(self.address).set(drivername="postgresql")
        with psycopg.connect(plain.render_as_string(hide_password=False)) as connection:
            copy = f"COPY {self.schema}.people FROM STDIN"
            with connection.cursor() as cursor, cursor.copy(copy) as out:
                for row in rows:
                    out.write_row(row)
        return self.place()

    def rows(self, place: Place) -> list[Row]:
        return self.run(f"SELECT person, note, at FROM {self.schema}.people ORDER BY at")

    def add(self, place: Place, row: Row) -> None:
        self.run(f"INSERT INTO {self.schema}.people VALUES ('{row[0]}', '{row[1]}', {row[2]})")

    def remove(self, place: Place) -> None:
        self.run(f"DROP TABLE {self.schema}.people")

    def spoil(self, place: Place) -> Place:
        with self.role("") as address:
            pass
        return replace(place, address=address)

    @contextmanager
    def read_only(self, place: Place) -> Iterator[Place]:
        with self.role("SELECT") as address:
            yield replace(place, address=address)

    @contextmanager
    def role(self, rights: str) -> Iterator[str]:
        """Connect as ourselves but act as somebody who has these rights only."""
        name = f"r_{self.schema}"
        self.run(f"CREATE ROLE {name}", f"GRANT USAGE ON SCHEMA {self.schema} TO {name}")
        if rights:
            self.run(f"GRANT {rights} ON {self.schema}.people TO {name}")
        url = make_url(self.address)
        url = url.update_query_dict({"options": f"-c role={name}"})
        try:
            yield url.render_as_string(hide_password=False)
        finally:
            self.run(f"DROP OWNED BY {name}", f"DROP ROLE {name}")
