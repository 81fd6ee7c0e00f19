import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.consent.connectors import mariadb


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other accounts may look into, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="connector-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[str]:
    """A server of our own where its programs are installed, or the one that MARIADB_URL names."""
    if address := os.environ.get("MARIADB_URL"):
        yield address
        return
    programs = mariadb.installed()
    if programs is None:
        pytest.skip(
            "MariaDB is not installed (apt-get install mariadb-server-core mariadb-client-core), "
            "and MARIADB_URL names no server"
        )
    with mariadb.running(programs) as address:
        yield address


@pytest.fixture
def database(mariadb_server) -> Iterator[mariadb.MariadbStorage]:
    """A database on it that goes with the test."""
    storage = mariadb.MariadbStorage(mariadb_server)
    yield storage
    storage.close()
