"""Where the measurements run: a database of their own, and the web process in front of it."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit, urlunsplit

import httpx
import psycopg
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from psycopg import sql

from deploy import programs

NAME = "colophon_bench"


@contextmanager
def own_database() -> Iterator[dict[str, str]]:
    """Make and migrate a fresh database; yields the environment that leads to it."""
    url = os.environ["DATABASE_URL"]
    with psycopg.connect(url, autocommit=True) as outside:
        outside.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(NAME)))
        outside.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(NAME)))
    parts = urlsplit(url)
    environment = {**os.environ, "DATABASE_URL": urlunsplit(parts._replace(path=f"/{NAME}"))}
    connection.close()
    connection.settings_dict["NAME"] = NAME
    call_command("migrate", verbosity=0)
    # A journal of an earlier database would say that this one was restored from before it.
    with TemporaryDirectory() as journal:
        settings.COLOPHON_JOURNAL_DIR = environment["COLOPHON_JOURNAL_DIR"] = journal
        yield environment
    connection.close()


@contextmanager
def web(environment: dict[str, str]) -> Iterator[int]:
    """Run the web process as it runs in service; yields its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen(
        programs.web("127.0.0.1", port), env=environment, stderr=subprocess.DEVNULL
    ) as process:
        try:
            _wait(port)
            yield port
        finally:
            process.terminate()


def _wait(port: int) -> None:
    for _ in range(200):
        try:
            if httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise SystemExit("the web process did not start")
