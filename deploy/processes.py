"""Run the service's programs as children: label their output, restart them, stop them in order."""

import contextlib
import errno
import http.client
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from threading import Event, Thread
from typing import IO
from urllib.parse import urlsplit

from rich.console import Console
from rich.text import Text

from deploy import programs
from deploy.devstack import DevstackError
from deploy.devstack.keeper import Keeper
from deploy.devstack.process import end, spawn

STOP_SECONDS = 15.0
READY_SECONDS = 60.0
ANY_ADDRESS = {"0.0.0.0", "::", ""}  # noqa: S104 - recognised here, never bound

Sink = Callable[[str, str], None]
"""Takes a program's name and one line that it wrote."""


class Program:
    """One program of the service, as a keeper keeps it."""

    def __init__(
        self, name: str, command: list[str], environment: Mapping[str, str], sink: Sink
    ) -> None:
        self.name = name
        self._command = command
        self._environment = {**environment, "PYTHONUNBUFFERED": "1"}
        self._sink = sink
        self._process: subprocess.Popen[bytes] | None = None
        self._reader: Thread | None = None

    @property
    def pid(self) -> int | None:
        """The id of its first process, which leads a process group."""
        return self._process.pid if self._process else None

    def start(self, cancelled: Event) -> None:
        """Start it, after ending what a killed predecessor left behind."""
        self._end_group()
        self._process = spawn(
            self._command,
            death_signal=signal.SIGTERM,
            environ=self._environment,
            output=subprocess.PIPE,
            cwd=programs.ROOT,
        )
        assert self._process.stdout is not None
        arguments = (self._process.stdout,)
        self._reader = Thread(target=self._read, args=arguments, daemon=True)
        self._reader.start()

    def ended(self) -> str | None:
        """Say how it ended, or nothing while it runs."""
        if self._process is None or self._process.poll() is None:
            return None
        return f"ended with status {self._process.returncode}"

    def broken(self) -> bool:
        """Tell whether it ended by its own fault, and not by a kill from outside."""
        return self._process is not None and self._process.poll() != -signal.SIGKILL

    def stop(self) -> None:
        """Ask it to finish what it is doing, for a while; then end all of its processes."""
        if self._process is None:
            return
        end(self._process, (signal.SIGTERM, STOP_SECONDS))
        self._end_group()
        if self._reader:
            self._reader.join(1)

    def _end_group(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _read(self, output: IO[bytes]) -> None:
        with output:
            for line in output:
                # Whoever closed our output must not make the program block on a full pipe.
                with contextlib.suppress(OSError):
                    self._sink(self.name, line.decode(errors="replace").rstrip())


class Processes:
    """The running service."""

    def __init__(self, url: str, members: list[Program], keeper: Keeper) -> None:
        self.url = url
        self._members = members
        self._keeper = keeper

    def pids(self) -> dict[str, int | None]:
        """Return the process id of each program by name."""
        return {member.name: member.pid for member in self._members}

    def wait(self) -> None:
        """Block until interrupted; DevstackError when a program fails again and again."""
        self._keeper.wait()

    def wait_until_ready(self, seconds: float = READY_SECONDS) -> None:
        """Block until the web server is healthy; DevstackError when it fails or takes too long."""

        def pause() -> None:
            with contextlib.suppress(TimeoutError):
                self._keeper.wait(0.1)

        wait_until_ready(self.url, seconds, pause)


@contextlib.contextmanager
def service(
    environment: Mapping[str, str], host: str, port: int, *, log: Path | None = None
) -> Iterator[Processes]:
    """Run web, worker and sweeper while the block lasts; they are stopped in that order.

    What they write goes to ``log``, or else to the standard output, each line after its program's
    name. Raises DevstackError when the port is taken.
    """
    require_free(host, port)
    with _sink(log) as sink:
        members = [
            Program("sweeper", programs.sweeper(), environment, sink),
            Program("worker", programs.worker(), environment, sink),
            Program("web", programs.web(host, port), environment, sink),
        ]
        with Keeper(members, enduring=False) as keeper:
            yield Processes(address(host, port), members, keeper)


def address(host: str, port: int) -> str:
    """Return where a browser on this machine finds the service."""
    name = "127.0.0.1" if host in ANY_ADDRESS else host
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def require_free(host: str, port: int) -> None:
    """Raise DevstackError when the service could not listen there."""
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            # As the web server does: connections that linger from an earlier run do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
            probe.listen(1)
    except socket.gaierror:
        raise DevstackError(f"{host} is not an address here: choose another with --host") from None
    except PermissionError:
        raise DevstackError(f"port {port} needs root: choose one above 1023 with --port") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            message = f"port {port} is in use: choose another with --port"
        else:
            message = f"{host} cannot be listened on ({error.strerror}): choose another with --host"
        raise DevstackError(message) from None


def free_port(host: str) -> int:
    """Return a port that nobody listens on at this moment."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as probe:
        return int(probe.getsockname()[1])


def wait_until_ready(
    url: str,
    seconds: float = READY_SECONDS,
    pause: Callable[[], None] = lambda: time.sleep(0.1),
) -> None:
    """Poll ``/healthz`` until it answers; DevstackError when the time is up.

    Any answer below 500 will do: a host name that is not allowed is refused by a healthy server.
    """
    parts = urlsplit(url)
    deadline = time.monotonic() + seconds
    last = "no answer"
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=5)
        with contextlib.closing(connection):
            try:
                connection.request("GET", "/healthz")
                status = connection.getresponse().status
            except (OSError, http.client.HTTPException):
                status = None
        if status is not None and status < 500:
            return
        last = f"status {status}" if status else last
        pause()
    raise DevstackError(f"{url}/healthz is not healthy after {seconds:.0f} s: {last}")


@contextlib.contextmanager
def _sink(log: Path | None) -> Iterator[Sink]:
    if log is None:
        console = Console(highlight=False)

        def show(name: str, line: str) -> None:
            label = Text(f"{name:<7} | ", style="dim")
            console.print(label + Text.from_ansi(line), soft_wrap=True)

        yield show
        return
    with log.open("w", buffering=1, errors="replace") as file:
        yield lambda name, line: print(f"{name:<7} | {line}", file=file)
