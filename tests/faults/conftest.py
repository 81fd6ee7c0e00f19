"""Real worker and sweeper processes on the test's own database, to be killed."""

import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.db import connection

from deploy import programs


@dataclass
class Staff:
    """The processes that do the work."""

    environment: dict[str, str]
    log: Path
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str) -> None:
        command = {"worker": programs.worker, "sweeper": programs.sweeper}[name]()
        with self.log.open("ab") as log:
            self.running[name] = subprocess.Popen(
                command, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )

    def kill(self, name: str) -> None:
        """End a process and its children at once, as a power cut would."""
        process = self.running.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def staff(transactional_db, tmp_path) -> Iterator[Staff]:
    parts = urlsplit(os.environ["DATABASE_URL"])
    url = urlunsplit(parts._replace(path=f"/{connection.settings_dict['NAME']}"))
    environment = {
        **os.environ, "DATABASE_URL": url, "COLOPHON_LEASE_SECONDS": "3",
        "COLOPHON_JOURNAL_DIR": str(tmp_path / "journal"),
    }  # fmt: skip
    made = Staff(environment, tmp_path / "staff.log")
    yield made
    for name in list(made.running):
        made.kill(name)
