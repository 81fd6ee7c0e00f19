"""What the embedded servers have in common: a process, a log, and a way to say what went wrong."""

import signal
import subprocess
from collections import deque
from pathlib import Path

from deploy.devstack.errors import DevstackError

LINES_SHOWN = 15


class EmbeddedServer:
    """One server process with its log; how to start it is each server's own."""

    name: str
    variable: str
    """The environment variable that names a server to use instead."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process id of the server's first process."""
        return self._process.pid if self._process else None

    def ended(self) -> str | None:
        """Say how the server ended, or nothing while it runs."""
        if self._process is None or self._process.poll() is None:
            return None
        return f"ended with status {self._process.returncode} (log: {self._log})"

    def broken(self) -> bool:
        """Tell whether it ended by its own fault, and not by a kill from outside."""
        return self._process is not None and self._process.poll() != -signal.SIGKILL

    def _failure(self, what: str) -> DevstackError:
        with self._log.open(errors="replace") as log:
            last = "".join(deque(log, maxlen=LINES_SHOWN)).rstrip()
        return DevstackError(
            f"{self.name} {what}. The last lines of {self._log}:\n{last}\n"
            f"Set {self.variable} to use a server of yours instead."
        )
