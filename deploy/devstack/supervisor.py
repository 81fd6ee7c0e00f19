"""Give a command its servers: the user's own, those already running for a state, or new ones."""

import contextlib
import fcntl
import logging
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from deploy.devstack import endpoints, external, places, valkey
from deploy.devstack.endpoints import Endpoint, Endpoints
from deploy.devstack.errors import DevstackError
from deploy.devstack.keeper import Keeper
from deploy.devstack.master_key import master_key
from deploy.devstack.postgres import Postgres
from deploy.devstack.valkey import Valkey

logger = logging.getLogger(__name__)

DATABASE, REDIS, KEY = "DATABASE_URL", "REDIS_URL", "COLOPHON_MASTER_KEY"
JOIN_SECONDS = 120.0
PATIENCE_SECONDS = 2.0


@contextlib.contextmanager
def servers(state: Path, environ: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Yield ``environ`` completed by DATABASE_URL, REDIS_URL and COLOPHON_MASTER_KEY.

    A variable that is set already is verified and kept. For the others the servers of ``state``
    are used: joined where another process runs them, and then left to it; else started here,
    restarted when they die, and stopped at the end. Data and key stay in ``state``.

    Raises DevstackError, before or instead of the block, when a server cannot be had.
    """
    completed = {name: value for name, value in environ.items() if value.strip()}
    if DATABASE in completed:
        external.verify_database(completed[DATABASE])
    if REDIS in completed:
        external.verify_redis(completed[REDIS])
    wanted = {DATABASE, REDIS} - completed.keys()
    if not wanted and KEY in completed:
        yield completed
        return
    state = places.state_directory(state)
    if KEY not in completed:
        completed[KEY] = master_key(state)
    if not wanted:
        yield completed
        return
    with _embedded(state, wanted, completed) as addresses:
        yield completed | addresses


@contextlib.contextmanager
def _embedded(
    state: Path, wanted: set[str], environ: Mapping[str, str]
) -> Iterator[dict[str, str]]:
    """Yield the addresses of the wanted servers, joined or started."""
    with (state / "lock").open("a") as lock:
        running = _lock_or_join(lock.fileno(), state, wanted)
        if running is not None:
            yield running
            return
        endpoints.forget(state)
        with _started(state, wanted, environ) as addresses:
            yield addresses
        # Closing the file gives the lock up; a kill does so as well.


def _lock_or_join(lock: int, state: Path, wanted: set[str]) -> dict[str, str] | None:
    """Take the lock, or return the addresses of the servers that its holder runs.

    The holder may be starting still, or stopping: wait for one or the other to be over.
    """
    begun, told = time.monotonic(), False
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            running = _running(state, wanted)
        else:
            return None
        if running is not None:
            return running
        waited = time.monotonic() - begun
        if waited > JOIN_SECONDS:
            raise DevstackError(
                f"Another process has held {state / 'lock'} for {JOIN_SECONDS:.0f} s without its "
                "servers answering: end it, then run this again."
            )
        if waited > PATIENCE_SECONDS and not told:
            logger.info("Waiting for the servers in %s, which another process runs.", state)
            told = True
        time.sleep(0.1)


def _running(state: Path, wanted: set[str]) -> dict[str, str] | None:
    """Return the addresses of the running servers if they answer, or nothing."""
    written = Endpoints.read(state)
    if written is None:
        return None
    known = {DATABASE: written.postgres, REDIS: written.valkey}
    for name in sorted(wanted):
        if known[name] is None:
            raise DevstackError(
                f"The servers in {state} were started with {name} set, by process "
                f"{written.supervisor}: set it here to the same, or stop that process."
            )
    addresses = {name: found.url for name, found in known.items() if found and name in wanted}
    return addresses if all(_answers(name, url) for name, url in addresses.items()) else None


def _answers(name: str, url: str) -> bool:
    if name == REDIS:
        return valkey.answers(Path(urlsplit(url).path))
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


@contextlib.contextmanager
def _started(state: Path, wanted: set[str], environ: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Start the wanted servers, keep them running, and stop them; the caller holds the lock."""
    postgres = Postgres(state, environ) if DATABASE in wanted else None
    redis = Valkey(state) if REDIS in wanted else None

    def write_down() -> None:
        Endpoints(
            supervisor=os.getpid(),
            postgres=Endpoint(postgres.url, postgres.pid) if postgres else None,
            valkey=Endpoint(redis.url, redis.pid) if redis else None,
        ).write(state)

    kept = [server for server in (postgres, redis) if server is not None]
    with Keeper(kept, enduring=True, changed=write_down):
        addresses = {}
        if postgres:
            addresses[DATABASE] = postgres.url
        if redis:
            addresses[REDIS] = redis.url
        try:
            yield addresses
        finally:
            # First of all, so that nobody joins servers that are about to stop.
            endpoints.forget(state)
