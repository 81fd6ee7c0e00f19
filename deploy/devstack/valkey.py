"""One embedded Valkey server: an append-only file, and a unix socket alone."""

import logging
import os
import signal
import socket
import time
from pathlib import Path
from threading import Event

from deploy.devstack import binaries, places
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

SETTINGS = {
    "port": "0",
    "unixsocketperm": "700",
    "daemonize": "no",
    "save": "",
    "appendonly": "yes",
    "appendfsync": "everysec",
    # A full memory refuses writes; it never forgets a message.
    "maxmemory-policy": "noeviction",
}
LOADING_SECONDS = 120.0


class Valkey(EmbeddedServer):
    """A server below a state directory, as a keeper keeps it."""

    name = "Valkey"
    variable = "REDIS_URL"

    def __init__(self, state: Path) -> None:
        self._program = binaries.valkey()
        self._data = places.private_directory(state / "valkey", None)
        super().__init__(log=self._data / "valkey.log")
        self._pid_file = self._data / "valkey.pid"
        self._socket = places.socket_directory(self._data) / "valkey.sock"

    @property
    def url(self) -> str:
        """The address in redis-py's form."""
        return f"unix://{self._socket}?db=0"

    def start(self, cancelled: Event) -> None:
        """Start, and return when the server answers; DevstackError when it does not."""
        self._end_leftovers()
        places.private_directory(self._socket.parent, None)
        with self._log.open("ab") as log:
            self._process = spawn(
                self._command(),
                death_signal=signal.SIGTERM,
                environ=CLEAN_ENVIRONMENT,
                output=log,
            )
        deadline = time.monotonic() + LOADING_SECONDS
        while not answers(self._socket) and not cancelled.is_set():
            if self.ended():
                raise self._failure("did not start")
            if time.monotonic() > deadline:
                raise self._failure(f"does not answer after {LOADING_SECONDS:.0f} s")
            cancelled.wait(0.01)

    def stop(self) -> None:
        """Stop in order: the append-only file is written out."""
        if self._process is not None:
            end(self._process, (signal.SIGTERM, 15))
        places.remove_if_empty(self._socket.parent)

    def _command(self) -> list[str]:
        command = [str(self._program), "--dir", str(self._data)]
        command += ["--unixsocket", str(self._socket), "--pidfile", str(self._pid_file)]
        for name, value in SETTINGS.items():
            command += [f"--{name}", value]
        return command

    def _end_leftovers(self) -> None:
        def leftovers() -> list[int]:
            return running_in(self._data, "valkey-server", self._pid_file)

        for number, seconds in ((signal.SIGTERM, 15), (signal.SIGKILL, 5)):
            found = leftovers()
            if not found:
                break
            logger.info("Stopping a Valkey left by an earlier run (process %d).", found[0])
            send(found, number)
            wait_until(lambda: not leftovers(), seconds)
        self._socket.unlink(missing_ok=True)


def answers(path: Path) -> bool:
    """Tell whether a server that has loaded its data listens on a socket."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        try:
            connection.connect(os.fspath(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False
