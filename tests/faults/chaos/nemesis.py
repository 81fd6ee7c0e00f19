"""What goes wrong: processes killed, frozen and restarted, a broker that forgets, a database that
falls over. Each fault heals by itself, as the supervisor of a real installation would see to it.
"""

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import psycopg
import redis

from deploy import programs
from deploy.devstack import Endpoints

LEASE_SECONDS = 3
AWAY_SECONDS = 45  # the sweeper waits half a minute before it works itself


@dataclass
class Staff:
    """The service's processes, each the leader of a group of its own."""

    environment: dict[str, str]
    log: Path
    port: int
    running: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def start(self, name: str) -> None:
        """Start one: ``web``, or ``worker`` or ``sweeper`` with a number behind it."""
        command = programs.PROGRAMS[name.rstrip("0123456789")](programs.HOST, self.port)
        with self.log.open("ab") as log:
            self.running[name] = subprocess.Popen(
                command, env=self.environment, cwd=programs.ROOT, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def end(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Signal one and all that it started, and wait for its end."""
        process = self.running.pop(name)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def signal(self, name: str, number: signal.Signals) -> None:
        """Signal one and all that it started."""
        os.killpg(self.running[name].pid, number)

    def end_all(self) -> None:
        """End everything."""
        for name in list(self.running):
            self.end(name)


class Nemesis:
    """Does one thing after the other, drawn by chance, until it is told to stop."""

    def __init__(self, staff: Staff, state: Path, drawn: random.Random, pause: float) -> None:
        self._staff, self._state, self._drawn, self._pause = staff, state, drawn, pause
        self._redis = redis.from_url(staff.environment["REDIS_URL"], socket_timeout=2)
        self.done: dict[str, int] = {}
        self.faults: dict[str, Callable[[], None]] = {
            "worker killed": self._worker_killed,
            "broker flushed": self._broker_flushed,
            "database stopped in immediate mode": self._database_stopped,
            "worker frozen past its lease": self._zombie,
            "broker killed": self._broker_killed,
            "broker frozen": self._broker_frozen,
            "broker away": self._broker_away,
            "sessions terminated": self._sessions_terminated,
            "worker restarted in order": self._worker_restarted,
            "sweeper killed": self._sweeper_killed,
            "two sweepers": self._two_sweepers,
        }

    def storm(self, leaving: Event, tell: Callable[[str], None]) -> None:
        """Do every fault once in a drawn order, then again, until it is over."""
        while not leaving.is_set():
            order = list(self.faults)
            self._drawn.shuffle(order)
            for name in order:
                if leaving.wait(self._pause * (0.5 + self._drawn.random())):
                    return
                tell(name)
                self.faults[name]()
                self.done[name] = self.done.get(name, 0) + 1

    def _worker_killed(self) -> None:
        self._staff.end("worker1")
        self._staff.start("worker1")

    def _worker_restarted(self) -> None:
        self._staff.end("worker2", signal.SIGTERM)
        self._staff.start("worker2")

    def _zombie(self) -> None:
        """Freeze a worker until another has its work, and let it wake up and go on."""
        self._staff.signal("worker2", signal.SIGSTOP)
        time.sleep(LEASE_SECONDS + 1.5)
        self._staff.signal("worker2", signal.SIGCONT)

    def _sweeper_killed(self) -> None:
        self._staff.end("sweeper1")
        self._staff.start("sweeper1")

    def _two_sweepers(self) -> None:
        self._staff.start("sweeper2")
        time.sleep(1.5)
        self._staff.end("sweeper2")

    def _broker_flushed(self) -> None:
        with suppress(redis.RedisError):
            self._redis.flushall()

    def _broker_killed(self) -> None:
        self._end_server("valkey")

    def _broker_frozen(self, seconds: float = 4) -> None:
        pid = self._pid("valkey")
        if pid is not None:
            os.kill(pid, signal.SIGSTOP)
            time.sleep(seconds)
            os.kill(pid, signal.SIGCONT)

    def _broker_away(self) -> None:
        """Let the broker answer nobody for so long that the sweeper does the work itself."""
        self._broker_frozen(AWAY_SECONDS)

    def _database_stopped(self) -> None:
        self._end_server("postgres", signal.SIGQUIT)  # what `pg_ctl stop -m immediate` sends

    def _sessions_terminated(self) -> None:
        url = self._staff.environment["DATABASE_URL"]
        with suppress(psycopg.Error), psycopg.connect(url, autocommit=True) as wire:
            wire.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )

    def _pid(self, server: str) -> int | None:
        found = Endpoints.read(self._state)
        endpoint = getattr(found, server) if found else None
        return endpoint.pid if endpoint else None

    def _end_server(self, server: str, number: signal.Signals = signal.SIGKILL) -> None:
        """End a server; the supervisor starts it again, on the same data."""
        pid = self._pid(server)
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
