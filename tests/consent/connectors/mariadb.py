"""A MariaDB server of the tests' own, and databases on it, done without the connector."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import sqlalchemy as sa

from consent.connectors.base import Place
from deploy.devstack.process import end, spawn
from tests.consent.connectors.contract import Row
from tests.consent.connectors.postgres import SABOTAGE

SYSTEM = "/usr/local/sbin:/usr/sbin:/usr/bin"
PATIENCE = 30.0
PROGRAMS = ("mariadbd", "mariadb-install-db", "my_print_defaults")  # the second calls the third


def installed() -> list[str] | None:
    """Return where the server's programs are, if they are."""
    path = f"{os.environ.get('PATH', '')}:{SYSTEM}"
    found = [shutil.which(each, path=path) for each in PROGRAMS]
    return None if None in found else [each for each in found if each]


@contextmanager
def running(programs: list[str]) -> Iterator[str]:
    """Run a server that listens on a socket alone; yield its address, and end it in any case."""
    server, install, _ = programs
    folder = Path(tempfile.mkdtemp(prefix="mariadb-"))
    as_root = ["--user=root"] if os.geteuid() == 0 else []
    where = ["--no-defaults", f"--datadir={folder}/data", *as_root]
    try:
        made = [install, *where, "--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run(made, check=True, capture_output=True, timeout=PATIENCE)
        with (folder / "log").open("wb") as log:
            process = spawn(
                [server, *where, f"--socket={folder}/s", f"--pid-file={folder}/pid",
                 "--skip-networking", "--innodb-buffer-pool-size=32M"],
                death_signal=signal.SIGKILL, environ=os.environ, output=log, cwd=folder,
            )  # fmt: skip
        try:
            _wait_for(folder / "s", folder / "log")
            yield f"mysql+pymysql://root@/mysql?unix_socket={folder}/s"
        finally:
            end(process, (signal.SIGTERM, 10.0))
    finally:
        shutil.rmtree(folder)


def _wait_for(socket: Path, log: Path) -> None:
    ends = time.monotonic() + PATIENCE
    while not socket.exists():
        assert time.monotonic() < ends, log.read_text()
        time.sleep(0.05)


class MariadbStorage:
    """A database of its own; ``address`` is of an account that may make databases and accounts."""

    sabotage = SABOTAGE

    def __init__(self, address: str) -> None:
        self.address = address
        self.name = f"c_{uuid4().hex}"
        self.run(f"CREATE DATABASE {self.name} COLLATE utf8mb4_nopad_bin")

    def close(self) -> None:
        self.run(f"DROP DATABASE {self.name}")

    def run(self, *statements: str, rows: list[Row] | None = None) -> list[tuple]:
        engine = sa.create_engine(self.address, poolclass=sa.NullPool)
        with engine.begin() as connection:
            for each in statements:
                done = connection.exec_driver_sql(each, rows or None)
            return [tuple(row) for row in done] if done.returns_rows else []

    def place(self, table: str = "people", column: str = "person") -> Place:
        return Place("sql", self.address, f"{self.name}.{table}", column)

    def holding(self, rows: list[Row], *, numbers: bool = False) -> Place:
        kind = "bigint" if numbers else "varchar(320)"
        self.run(f"CREATE TABLE {self.name}.people (person {kind}, note text, at integer)")
        self.run(f"INSERT INTO {self.name}.people VALUES (%s, %s, %s)", rows=rows)
        return self.place()

    def rows(self, place: Place) -> list[Row]:
        return self.run(f"SELECT person, note, at FROM {self.name}.people ORDER BY at")

    def add(self, place: Place, row: Row) -> None:
        self.run(f"INSERT INTO {self.name}.people VALUES (%s, %s, %s)", rows=[row])

    def remove(self, place: Place) -> None:
        self.run(f"DROP TABLE {self.name}.people")

    def spoil(self, place: Place) -> Place:
        """Leave a view in its place of a table that is gone."""
        self.run(
            f"RENAME TABLE {self.name}.people TO {self.name}.gone",
            f"CREATE VIEW {self.name}.people AS SELECT * FROM {self.name}.gone",
            f"DROP TABLE {self.name}.gone",
        )
        return place

    @contextmanager
    def read_only(self, place: Place) -> Iterator[Place]:
        with self.account("SELECT") as address:
            yield replace(place, address=address)

    @contextmanager
    def account(self, rights: str) -> Iterator[str]:
        """Be somebody who has these rights on the table only."""
        who = f"u_{self.name[:24]}"
        self.run(
            f"CREATE USER {who} IDENTIFIED BY 'secret'",
            f"GRANT {rights} ON {self.name}.people TO {who}",
        )
        url = sa.make_url(self.address).set(username=who, password="secret", database=self.name)
        try:
            yield url.render_as_string(hide_password=False)
        finally:
            self.run(f"DROP USER {who}")
