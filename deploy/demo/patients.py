"""Real patients in real storages: a SQL table here, another there, and files derived from them.

The measurements are those of 442 people that come with scikit-learn (Efron, Hastie, Johnstone and
Tibshirani, 2004). Who they were is not known; each gets an address of ours.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import URL

COLUMN = "email"
MEASURES = ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")
TARGET = "progression"
TABLE = "measurements"
ROWS_A_GROUP = 40
ROWS_A_FILE = 150

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Patient:
    """One person: an address, and what was measured; ``progression`` a year later."""

    number: int
    email: str
    measures: tuple[float, ...]
    progression: float

    @property
    def refuses(self) -> bool:
        """Say whether this person says no."""
        return self.number % 25 == 0

    @property
    def silent(self) -> bool:
        """Say whether this person says nothing."""
        return self.number % 40 == 13

    @property
    def agrees(self) -> bool:
        """Say whether this person says yes."""
        return not self.refuses and not self.silent


def load(run: str) -> list[Patient]:
    """Return the 442, with addresses that no other run of the story uses."""
    from sklearn.datasets import load_diabetes

    records = load_diabetes(scaled=False)
    pairs = zip(records.data.tolist(), records.target.tolist(), strict=True)
    return [
        Patient(number, f"patient-{number:04}@{run}.example.org", tuple(measured), progression)
        for number, (measured, progression) in enumerate(pairs, start=1)
    ]


@dataclass(frozen=True)
class Places:
    """Where everything lies: a folder, and where there is one a PostgreSQL schema of our own."""

    folder: Path
    postgres: str | None
    schema: str

    @property
    def hospital(self) -> Path:
        """The hospital's database file."""
        return self.folder / "hospital.sqlite"

    @property
    def lake(self) -> Path:
        """The folder of files."""
        return self.folder / "lake"

    @cached_property
    def hospital_address(self) -> str:
        """The hospital's database as SQLAlchemy writes it."""
        return f"sqlite:///{self.hospital}"

    @cached_property
    def registry_address(self) -> str:
        """The database that holds how each disease went on, as SQLAlchemy writes it."""
        if self.postgres is None:
            return self.hospital_address
        parts = {key: str(value) for key, value in conninfo_to_dict(self.postgres).items()}
        user, password = parts.pop("user", None), parts.pop("password", None)
        database = parts.pop("dbname", None)
        url = URL.create("postgresql+psycopg", user, password, None, None, database, parts)
        return url.render_as_string(hide_password=False)

    @property
    def registry_table(self) -> str:
        """The table of how each disease went on."""
        return TARGET if self.postgres is None else f"{self.schema}.{TARGET}"

    def create(self, patients: Sequence[Patient]) -> None:
        """Write the two tables."""
        self.lake.mkdir(parents=True)
        columns = ", ".join(f"{name} REAL NOT NULL" for name in MEASURES)
        with sqlite3.connect(self.hospital) as hospital:
            hospital.execute(f"CREATE TABLE {TABLE} ({COLUMN} TEXT PRIMARY KEY, {columns})")
        hospital.close()
        self._measure(patients)
        self._create_registry([(each.email, each.progression) for each in patients])

    def put_back(self, patient: Patient) -> None:
        """Write one row of measurements, as restoring an old table does."""
        self._measure([patient])

    def _measure(self, patients: Sequence[Patient]) -> None:
        with sqlite3.connect(self.hospital) as hospital:
            marks = ", ".join("?" * (1 + len(MEASURES)))
            rows = [(each.email, *each.measures) for each in patients]
            hospital.executemany(f"INSERT INTO {TABLE} VALUES ({marks})", rows)  # noqa: S608 ours
        hospital.close()

    def _create_registry(self, rows: list[Row]) -> None:
        columns = f"({COLUMN} TEXT PRIMARY KEY, {TARGET} DOUBLE PRECISION NOT NULL)"
        if self.postgres is None:
            with sqlite3.connect(self.hospital) as hospital:
                hospital.execute(f"CREATE TABLE {TARGET} {columns}")
                hospital.executemany(f"INSERT INTO {TARGET} VALUES (?, ?)", rows)  # noqa: S608 ours
            hospital.close()
            return
        with psycopg.connect(self.postgres) as registry, registry.cursor() as cursor:
            cursor.execute(f'CREATE SCHEMA "{self.schema}"'.encode())
            cursor.execute(f"CREATE TABLE {self.registry_table} {columns}".encode())
            with cursor.copy(f"COPY {self.registry_table} FROM STDIN".encode()) as copy:
                for row in rows:
                    copy.write_row(row)

    def measurements(self) -> list[Row]:
        """Read the hospital's table, in order of address."""
        query = f"SELECT * FROM {TABLE} ORDER BY {COLUMN}"  # noqa: S608 ours
        return self._in_hospital(query)

    def progressions(self) -> list[Row]:
        """Read how each disease went on, in order of address."""
        query = f"SELECT {COLUMN}, {TARGET} FROM {self.registry_table}"  # noqa: S608 ours
        if self.postgres is None:
            return sorted(self._in_hospital(query))
        with psycopg.connect(self.postgres) as registry:
            return sorted(registry.execute(query.encode()).fetchall())

    def _in_hospital(self, query: str) -> list[Row]:
        hospital = sqlite3.connect(self.hospital)
        try:
            return hospital.execute(query).fetchall()
        finally:
            hospital.close()


def write_files(folder: Path, rows: Sequence[Row]) -> None:
    """Replace the Parquet files of a folder: several, each of several row groups."""
    folder.mkdir(parents=True, exist_ok=True)
    schema = pa.schema([(COLUMN, pa.string()), *((name, pa.float64()) for name in NUMBERS)])
    written = set()
    for part, start in enumerate(range(0, len(rows), ROWS_A_FILE)):
        columns = list(zip(*rows[start : start + ROWS_A_FILE], strict=True))
        table = pa.table([pa.array(column) for column in columns], schema=schema)
        file = folder / f"part-{part}.parquet"
        pq.write_table(table, file, row_group_size=ROWS_A_GROUP)
        written.add(file)
    for old in set(folder.glob("*.parquet")) - written:
        old.unlink()


def read_files(folder: Path) -> dict[str, list[Row]]:
    """Read each Parquet file of a folder back, row by row."""
    return {
        file.name: [tuple(row.values()) for row in pq.read_table(file).to_pylist()]
        for file in sorted(folder.glob("*.parquet"))
    }


def rows_in(folder: Path) -> list[Row]:
    """Read all Parquet files of a folder as one table."""
    return [row for rows in read_files(folder).values() for row in rows]


NUMBERS = (*MEASURES, TARGET)
