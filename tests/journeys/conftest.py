"""The service as people run it, its own processes and all, on a database that is thrown away."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import URL

from deploy import programs
from deploy.devstack import servers
from deploy.processes import address, free_port
from deploy.processes import service as running

# Not the queue of whatever else uses that Redis: the worker started here must find its own work.
SHARED = {
    "DATABASE_URL", "REDIS_URL", "COLOPHON_MAIL_DIR", "COLOPHON_PUBLIC_URL", "COLOPHON_JOURNAL_DIR",
}  # fmt: skip


@dataclass(frozen=True)
class Service:
    """Where it is, the environment that its programs have, and what they wrote."""

    url: str
    environment: dict[str, str]
    folder: Path
    log: Path

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Run a Python program beside it; what it prints comes back as one text."""
        return subprocess.run(
            programs.python(*command),
            cwd=programs.ROOT,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Run web, worker and sweeper on an empty database and a Redis of their own."""
    folder = tmp_path_factory.mktemp("journeys")
    with database(os.environ["DATABASE_URL"]) as url:
        environ = {name: value for name, value in os.environ.items() if name not in SHARED}
        with servers(folder / "state", {**environ, "DATABASE_URL": url}) as environment:
            port, log = free_port(programs.HOST), folder / "service.log"
            here = address(programs.HOST, port)
            environment["COLOPHON_MAIL_DIR"] = str(folder / "mail")
            environment["COLOPHON_PUBLIC_URL"] = here
            environment["COLOPHON_JOURNAL_DIR"] = str(folder / "journal")
            subprocess.run(
                programs.migrate(), cwd=programs.ROOT, env=environment, check=True, timeout=120
            )
            with running(environment, programs.HOST, port, log=log) as processes:
                processes.wait_until_ready()
                yield Service(here, environment, folder, log)


@contextlib.contextmanager
def database(server: str) -> Iterator[str]:
    """Create a database beside the one that is named, and drop it at the end."""
    name = f"journeys_{uuid4().hex[:12]}"
    with psycopg.connect(server, autocommit=True) as session:
        session.execute(f'CREATE DATABASE "{name}" TEMPLATE template0'.encode())
    try:
        yield _beside(server, name)
    finally:
        with psycopg.connect(server, autocommit=True) as session:
            session.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())


def _beside(server: str, name: str) -> str:
    parts = {key: str(value) for key, value in conninfo_to_dict(server).items()}
    user, password = parts.pop("user", None), parts.pop("password", None)
    parts.pop("dbname", None)
    url = URL.create("postgresql", user, password, database=name, query=parts)
    return url.render_as_string(hide_password=False)
