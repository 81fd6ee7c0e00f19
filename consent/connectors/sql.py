"""Tables in SQL databases, through SQLAlchemy; tried on PostgreSQL, MariaDB, SQLite and DuckDB.

A location is ``table`` or ``schema.table``. A part is taken literally, with its case and spaces,
up to the next dot; a part in double quotes may hold dots, and ``""`` in it stands for one quote:
``"odd.name"``, ``archive."say ""hi"" twice"``.

Rows are deleted, unless the option ``set`` says what to put into which columns instead:
``{"set": {"patient_id": null, "note": "[erased]"}}``. It must name the subject column, or the rows
would still be that person's.

Deleted rows leave the table. SQLite's are overwritten too; PostgreSQL frees dead rows when it
vacuums, and other databases when they see fit.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.dialects.postgresql import CITEXT
from sqlalchemy.pool import NullPool
from sqlalchemy.types import NullType, TypeEngine

from consent.connectors import duckdb_sql, identifiers, plain
from consent.connectors.base import (
    JSON,
    Connector,
    Erased,
    Located,
    Place,
    StorageMissingError,
    StorageUnreadableError,
    SubjectColumnMissingError,
)
from consent.connectors.sql_errors import translated

CHUNK: Final = 1000  # values per statement
STREAM: Final = 10_000  # rows per round trip
WIDE: Final = 1_000  # whole rows per round trip
WAIT: Final = 5  # seconds, to connect and for a lock
LONGEST_STATEMENT: Final = 600  # seconds

_WAITING: Final = {
    "postgresql": "connect_timeout", "sqlite": "timeout",
    "mysql": "connect_timeout", "mariadb": "connect_timeout",
}  # fmt: skip
_LIKE_MYSQL: Final = frozenset({"mysql", "mariadb"})
_CHECKPOINTS: Final = {"sqlite": "PRAGMA wal_checkpoint(TRUNCATE)", "duckdb": "CHECKPOINT"}
_PART = re.compile(r'(?:"((?:[^"]|"")+)"|([^".][^.]*))(\.|$)')
# What SQLite would read as a number when it compares with a numeric column.
_NUMERIC = re.compile(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\s*")


class SqlConnector(Connector):
    """Rows of one table; each erasure is one transaction, all or nothing."""

    def members(self, place: Place) -> Iterator[list[str]]:
        """Stream through a server-side cursor where the database has them."""
        with _opened(place) as subjects:
            present = sa.select(subjects.column).where(subjects.column.is_not(None))
            for rows in subjects.stream(present):
                yield [str(value) for (value,) in rows]

    def locate(self, place: Place, values: frozenset[str]) -> Located:
        """Count by the index on the subject column, if there is one."""
        with _opened(place) as subjects:
            rows = sum(each in values for each in subjects.matching(values))
        return Located(rows, (place.location,) if rows else ())

    def rows(self, place: Place, values: frozenset[str]) -> Iterator[Mapping[str, JSON]]:
        """Stream by the same question as `locate`, with all columns of the table."""
        with _opened(place) as subjects:
            yield from map(plain.row, subjects.rows(values))

    def erase(self, place: Place, values: frozenset[str]) -> Erased:
        """Delete or mask in one transaction; a lax collation that takes in others is refused."""
        masks = _masks(place)
        with _opened(place, writing=True) as subjects:
            before = _exactly(subjects, values, place)
            deleted = subjects.mask(values, masks) if masks else subjects.delete(values)
            after = _exactly(subjects, values, place)
            if not _counts_rows(subjects.connection.dialect):
                deleted = before - after
        done = "rows_masked" if masks else "rows_deleted"
        evidence: dict[str, JSON] = {"rows_matching_before": before, done: deleted}
        evidence["rows_matching_after"] = after
        if masks:
            evidence["columns_masked"] = sorted(masks)
        return Erased(deleted, (place.location,) if deleted else (), evidence)

    def verify(self, place: Place, values: frozenset[str]) -> int:
        """Count on a connection of its own."""
        return self.locate(place, values).rows


def split_location(location: str) -> tuple[str | None, str]:
    """Return schema and table; raise ``StorageUnreadableError`` for anything else."""
    parts, at = [], 0
    while match := _PART.match(location, at):
        quoted, plain, dot = match.groups()
        parts.append(plain if quoted is None else quoted.replace('""', '"'))
        at = match.end()
        if not dot:
            break
    if at != len(location) or location.endswith(".") or len(parts) not in (1, 2):
        raise StorageUnreadableError(
            "Register the table as table or schema.table, with odd names in double quotes."
        )
    return (parts[0] if len(parts) == 2 else None), parts[-1]


@dataclass(frozen=True)
class _Subjects:
    """The subject column of an open table, and how text becomes a value of it."""

    connection: sa.Connection
    table: sa.TableClause
    column: sa.ColumnElement[Any]
    bound: TypeEngine[Any]
    convert: Callable[[str], Any]

    def stream(self, query: sa.Select[Any], size: int = STREAM) -> Iterator[Any]:
        streamed = query.execution_options(stream_results=True, yield_per=size)
        with closing(self.connection.execute(streamed)) as result:
            yield from result.partitions()

    def matching(self, values: frozenset[str]) -> Iterator[str]:
        """Read the identifiers that the database takes for equal, one per row."""
        for chosen in self._chosen(values):
            for rows in self.stream(sa.select(self.column).where(chosen)):
                yield from (str(value) for (value,) in rows)

    def rows(self, values: frozenset[str]) -> Iterator[Iterable[tuple[str, Any]]]:
        names, told = self.table.c.keys(), map(self._told, self.table.c)
        whole = sa.select(self.column, *told)
        for chosen in self._chosen(values):
            for rows in self.stream(whole.where(chosen), WIDE):
                for subject, *cells in rows:
                    if str(subject) in values:  # a lax collation takes in others
                        yield zip(names, cells, strict=True)

    def _told(self, column: sa.ColumnClause[Any]) -> sa.ColumnElement[Any]:
        """Select what the driver makes of a column: SQLAlchemy's types stumble over odd values."""
        told: sa.ColumnElement[Any] = column
        postgresql = self.connection.dialect.name == "postgresql"
        if postgresql and isinstance(column.type, sa.Date | sa.DateTime):
            told = sa.func.to_json(column)  # ISO 8601, and infinity, which Python has not
        return sa.type_coerce(told, NullType())

    def delete(self, values: frozenset[str]) -> int:
        chosen = self._chosen(values)
        return sum(
            self.connection.execute(sa.delete(self.table).where(each)).rowcount for each in chosen
        )

    def mask(self, values: frozenset[str], masks: Mapping[str, Any]) -> int:
        """Put the constants into the columns, each bound as the column's own type."""
        if unknown := masks.keys() - self.table.c.keys():
            raise StorageUnreadableError(
                f"Name only columns of the table in the option set: it has no {min(unknown)}."
            )
        constants = {self.table.c[name]: constant for name, constant in masks.items()}
        change = sa.update(self.table).values(constants)
        chosen = self._chosen(values)
        return sum(self.connection.execute(change.where(each)).rowcount for each in chosen)

    def _chosen(self, values: frozenset[str]) -> Iterator[sa.ColumnElement[bool]]:
        wanted = (each for each in map(self.convert, sorted(values)) if each is not None)
        for chunk in identifiers.in_chunks(wanted, CHUNK):
            yield self.column.in_(sa.bindparam("wanted", chunk, self.bound, expanding=True))


def _masks(place: Place) -> dict[str, str | int | float | None]:
    """Return what to put where, empty to delete; raise if the rows would stay the person's."""
    masks = place.options.get("set", {})
    if not isinstance(masks, Mapping) or not all(
        each is None or isinstance(each, str | int | float) for each in masks.values()
    ):
        raise StorageUnreadableError(
            'Write the option set as an object of columns and constants: {"note": null}.'
        )
    if masks and place.subject_column not in masks:
        raise StorageUnreadableError(
            f"Name {place.subject_column} in the option set too: rows that keep it are not erased."
        )
    return dict(masks)  # type: ignore[arg-type]


def _counts_rows(dialect: sa.Dialect) -> bool:
    return dialect.supports_sane_rowcount and dialect.name != "duckdb"


def _exactly(subjects: _Subjects, values: frozenset[str], place: Place) -> int:
    rows = 0
    for each in subjects.matching(values):
        if each not in values:
            raise StorageUnreadableError(
                f"Give column {place.subject_column} of {place.location} a collation that tells "
                "upper from lower case: erasing by it now would take other people's rows."
            )
        rows += 1
    return rows


@contextmanager
def _opened(place: Place, *, writing: bool = False) -> Iterator[_Subjects]:
    schema, name = split_location(place.location)
    url = database_url(place)
    where = f"table {place.location} at {url.host or Path(url.database or 'this machine').name}"
    with translated(where, writing=writing), closing(_Session(url, where)) as session:
        with session.engine.begin() as connection:
            _prepare(connection)
            yield _subjects(connection, schema, name, place)
        if writing:
            session.scrub()


class _Session:
    """An engine for one call: no pool, so no connection outlives the answer."""

    def __init__(self, url: sa.URL, where: str) -> None:
        wait = _WAITING.get(url.get_backend_name())
        arguments = {wait: WAIT} if wait else {}
        try:
            self.engine = sa.create_engine(
                url, poolclass=NullPool, connect_args=arguments, hide_parameters=True
            )
        except (ImportError, exc.NoSuchModuleError):
            raise StorageUnreadableError(
                f"Install the SQLAlchemy driver for {url.drivername} to reach {where}."
            ) from None

    def close(self) -> None:
        self.engine.dispose()

    def scrub(self) -> None:
        """Empty the write-ahead log, where the rows would outlive their deletion."""
        checkpoint = _CHECKPOINTS.get(self.engine.dialect.name)
        if checkpoint:
            with self.engine.connect() as connection:
                connection.exec_driver_sql(checkpoint)


def database_url(place: Place) -> sa.URL:
    """Return the address as SQLAlchemy's; raise if it is none or its SQLite file is not there."""
    try:
        url = sa.make_url(place.address)
    except (exc.ArgumentError, ValueError):
        raise StorageUnreadableError(
            f"Register the address of {place.location} as a database URL."
        ) from None
    if url.drivername in {"postgres", "postgresql"}:
        return url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() in {"sqlite", "duckdb"}:
        # Both create what they do not find, and an empty database holds nobody.
        file = Path((url.database or "").removeprefix("file:"))
        if not file.is_file():
            raise StorageMissingError(
                f"Restore the database file {file.name} or unregister {place.location}."
            )
    return url


def _prepare(connection: sa.Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{WAIT}s'")
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{LONGEST_STATEMENT}s'")
        # Rows hidden by a policy would look like rows that are gone; so fail instead.
        connection.exec_driver_sql("SET LOCAL row_security = off")
    elif connection.dialect.name in _LIKE_MYSQL:
        # For rows, and for tables. No limit for statements: there it would count a whole reading.
        for each in ("innodb_lock_wait_timeout", "lock_wait_timeout"):
            connection.exec_driver_sql(f"SET SESSION {each} = {WAIT}")
    elif connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete = ON")


def _subjects(connection: sa.Connection, schema: str | None, name: str, place: Place) -> _Subjects:
    if connection.dialect.name == "duckdb":
        kinds = duckdb_sql.columns(connection, schema, name)
    else:
        columns = sa.inspect(connection).get_columns(name, schema=schema)
        kinds = {each["name"]: each["type"] for each in columns}
    if place.subject_column not in kinds:
        raise SubjectColumnMissingError(
            f"Register the column of {place.location} that identifies people: "
            f"there is none named {place.subject_column}."
        )
    kind = kinds[place.subject_column]
    kind = getattr(kind, "data_type", kind)  # a domain stands for its base type
    column: sa.ColumnClause[Any] = sa.column(place.subject_column, kind)
    others = [sa.column(each, kinds[each]) for each in kinds if each != place.subject_column]
    table = sa.table(name, column, *others, schema=schema)
    return _Subjects(connection, table, *_comparison(column, connection.dialect.name))


def _comparison(
    column: sa.ColumnClause[Any], dialect: str
) -> tuple[sa.ColumnElement[Any], TypeEngine[Any], Callable[[str], Any]]:
    """Choose the expression to compare, the type to bind, and how text becomes that type."""
    kind = column.type
    if isinstance(kind, sa.Integer):
        return column, sa.BigInteger(), _as_integer_of(kind, dialect)
    if isinstance(kind, sa.Uuid) and dialect == "postgresql":
        return column, sa.Uuid(), identifiers.as_uuid
    text: sa.ColumnElement[Any] = column
    if dialect in _LIKE_MYSQL:
        # What is cast is compared by the connection's collation, which is none of the column's.
        if not isinstance(kind, sa.String):
            text = sa.cast(column, sa.Text).collate("utf8mb4_bin")
    elif not isinstance(kind, sa.String) or isinstance(kind, sa.CHAR | sa.Enum | CITEXT):
        text = sa.cast(column, sa.Text)  # exact, at the price of the index
    if dialect == "sqlite":
        return text.collate("BINARY"), sa.Text(), identifiers.as_text
    return text, sa.Text(), _without_nul if dialect == "postgresql" else identifiers.as_text


def _as_integer_of(kind: TypeEngine[Any], dialect: str) -> Callable[[str], Any]:
    if dialect == "sqlite":
        return _sqlite_number
    return partial(identifiers.as_integer, signed=not getattr(kind, "unsigned", False))


def _sqlite_number(value: str) -> int | str | None:
    """Convert for an integer column of SQLite: it may hold text that looks like no number."""
    number = identifiers.as_integer(value)
    if number is None and not _NUMERIC.fullmatch(value):
        return identifiers.as_text(value)
    return number


def _without_nul(value: str) -> str | None:
    return None if "\0" in value else identifiers.as_text(value)
