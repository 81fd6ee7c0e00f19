"""One embedded PostgreSQL server: made on first start, reached by a unix socket alone."""

import logging
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from threading import Event

import psycopg

from deploy.devstack import binaries, places
from deploy.devstack.errors import DevstackError
from deploy.devstack.process import (
    CLEAN_ENVIRONMENT,
    end,
    running_in,
    send,
    spawn,
    wait_until,
)
from deploy.devstack.server import EmbeddedServer

logger = logging.getLogger(__name__)

DATABASE = "colophon"
PORT = "5432"  # names the socket file; nothing listens on it
BUILTIN_LOCALE_SINCE = 17
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "shared_buffers": "128MB",
    "max_connections": "100",
    # Fewer checkpoints in a burst of writes, for a gigabyte more on disk at most.
    "max_wal_size": "2GB",
}
RECOVERY_SECONDS = 600.0  # replaying the log of a killed server can take minutes, rarely
PATIENCE_SECONDS = 5.0


class Postgres(EmbeddedServer):
    """A server below a state directory, as a keeper keeps it."""

    name = "PostgreSQL"
    variable = "DATABASE_URL"

    def __init__(self, state: Path, environ: Mapping[str, str]) -> None:
        self._account = places.server_account(environ)
        self._programs = binaries.postgres(environ, self._account)
        home = places.postgres_home(state, self._account)
        super().__init__(log=home / "postgres.log")
        self._data = home / "data"
        self._sockets = places.socket_directory(home)

    @property
    def url(self) -> str:
        """The address in libpq's form; it names the port lest PGPORT be taken."""
        return self._url_of(DATABASE)

    def start(self, cancelled: Event) -> None:
        """Start, and return when the database answers; DevstackError when it does not."""
        self._end_leftovers()
        places.private_directory(self._sockets, self._account)
        if not (self._data / "PG_VERSION").exists():
            self._initialise()
        with self._log.open("ab") as log:
            self._process = spawn(
                self._command(),
                death_signal=signal.SIGINT,
                environ=CLEAN_ENVIRONMENT,
                output=log,
                account=self._account,
            )
        if self._becomes_ready(cancelled):
            self._ensure_database()

    def stop(self) -> None:
        """Stop by a fast shutdown: sessions are cut, everything committed is on disk."""
        if self._process is not None:
            end(self._process, (signal.SIGINT, 60), (signal.SIGQUIT, 5))
        self._end_leftovers()
        places.remove_if_empty(self._sockets)

    def _url_of(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self._sockets}&port={PORT}"

    def _command(self) -> list[str]:
        # The program finds its libraries by argv[0], which therefore is absolute.
        command = [str(self._programs / "postgres"), "-D", str(self._data)]
        command += ["-k", str(self._sockets), "-p", PORT]
        for name, value in SETTINGS.items():
            command += ["-c", f"{name}={value}"]
        return command

    def _initialise(self) -> None:
        """Make the cluster beside its place and move it there, so that half of one never counts."""
        draft = self._data.with_name("data.new")
        shutil.rmtree(draft, ignore_errors=True)
        places.private_directory(draft, self._account)
        command = [str(self._programs / "initdb"), "-D", str(draft)]
        command += ["-U", "postgres", "-A", "trust", "-E", "UTF8", *self._locale()]
        process = spawn(
            command,
            death_signal=signal.SIGTERM,
            environ=CLEAN_ENVIRONMENT,
            output=subprocess.PIPE,
            account=self._account,
        )
        told, _ = process.communicate()
        if process.returncode != 0:
            lines = told.decode(errors="replace").strip()
            raise DevstackError(
                f"PostgreSQL could not make its data directory {draft}; initdb said:\n{lines}"
            )
        draft.rename(self._data)

    def _locale(self) -> list[str]:
        """Return options for code point order, the same on every machine."""
        if binaries.major_version(self._programs) >= BUILTIN_LOCALE_SINCE:
            return ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        return ["--lc-collate=C", "--lc-ctype=C.UTF-8"]

    def _becomes_ready(self, cancelled: Event) -> bool:
        """Wait until a session can be opened; False when cancelled meanwhile."""
        begun, told = time.monotonic(), False
        while not cancelled.is_set():
            if self.ended():
                raise self._failure("did not start")
            try:
                psycopg.connect(self._url_of("postgres"), connect_timeout=5).close()
            except psycopg.OperationalError:
                waited = time.monotonic() - begun
            else:
                return True
            if waited > RECOVERY_SECONDS:
                raise self._failure(f"does not answer after {RECOVERY_SECONDS:.0f} s")
            if waited > PATIENCE_SECONDS and not told:
                logger.info("PostgreSQL is still starting; after a crash it replays its log.")
                told = True
            cancelled.wait(0.03)
        return False

    def _ensure_database(self) -> None:
        with psycopg.connect(self._url_of("postgres"), autocommit=True) as session:
            query = "SELECT 1 FROM pg_database WHERE datname = %s"
            if session.execute(query, [DATABASE]).fetchone() is None:
                session.execute(f"CREATE DATABASE {DATABASE}")

    def _end_leftovers(self) -> None:
        """End what an earlier life left: an orphaned server in order, its lone children at once."""
        pid_file = self._data / "postmaster.pid"

        def leftovers() -> list[int]:
            return running_in(self._data, "postgres", pid_file)

        found = leftovers()
        if found:
            first = _first_process(pid_file)
            if first in found:
                logger.info("Stopping a PostgreSQL left by an earlier run (process %d).", first)
                send([first], signal.SIGINT)
                wait_until(lambda: not leftovers(), 60)
            # Without the first process the others go by themselves, except for one that is busy:
            # it would keep the shared memory and with it the next start from happening.
            send(leftovers(), signal.SIGKILL)
            wait_until(lambda: not leftovers(), 10)
        # Nothing lives in the directory, so the file lies: its number may be a zombie's, or have
        # been given to another process, and either would keep PostgreSQL from starting.
        pid_file.unlink(missing_ok=True)


def _first_process(pid_file: Path) -> int | None:
    try:
        return int(pid_file.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return None
