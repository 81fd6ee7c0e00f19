"""Put the service through a storm, and hold it to what its clients were told.

``python -m tests.faults.chaos --seconds 30 --seed 7``, or ``make chaos``. It starts servers and
processes of its own, lets people ask for erasures while one thing after the other is killed,
frozen or flushed, waits until it is quiet, and checks: nothing lost, nothing done twice, nothing
invented, nothing stuck after 60 seconds, the ledger whole. The seed is printed; the same one
draws the same faults in the same order.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any

import django
from rich.console import Console

from deploy import programs
from deploy.devstack import servers
from deploy.processes import address, free_port, wait_until_ready
from tests.consent.connectors.owner import running as owner_running
from tests.faults.chaos.journal import Journal
from tests.faults.chaos.nemesis import LEASE_SECONDS, Nemesis, Staff
from tests.faults.chaos.world import PURPOSE, World

SCOPES = [
    "lineage:write", "gate:ask", "consent:read", "consent:write", "requests:read", "requests:write",
]  # fmt: skip
QUIET_SECONDS = 60.0
PROCESSES = ("sweeper1", "worker1", "worker2", "web")


def main() -> int:
    """Run one storm; the exit code is 1 if anything is wrong afterwards."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=300, help="how long (default %(default)s)")
    parser.add_argument("--people", type=int, default=200, help="who ask (default %(default)s)")
    parser.add_argument("--pause", type=float, default=2.0, help="seconds between two faults")
    parser.add_argument("--seed", type=int, help="draws the faults (default: by chance, printed)")
    parser.add_argument("--only", action="append", help="draw from these faults alone, by name")
    chosen = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 32) if chosen.seed is None else chosen.seed
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"seed {seed}")
    with tempfile.TemporaryDirectory(prefix="colophon-chaos-") as folder:
        return storm(Path(folder), chosen, seed, console)


def storm(folder: Path, chosen: argparse.Namespace, seed: int, console: Console) -> int:
    """Set the scene, let it storm, wait for quiet, and say what is wrong."""
    outside = {k: v for k, v in os.environ.items() if k not in {"DATABASE_URL", "REDIS_URL"}}
    with owner_running() as owner, servers(folder / "state", outside) as environment:
        port = free_port(programs.HOST)
        (folder / "journal").mkdir(mode=0o700)
        environment |= {
            "COLOPHON_JOURNAL_DIR": str(folder / "journal"),
            "COLOPHON_LEASE_SECONDS": str(LEASE_SECONDS), "COLOPHON_LOG_LEVEL": "WARNING",
            "COLOPHON_MAIL_DIR": str(folder / "mail"), "COLOPHON_PUBLIC_URL": "http://localhost",
        }  # fmt: skip
        os.environ.update(environment)
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deploy.settings")
        django.setup()
        world = World(folder, owner, chosen.people)
        staff = Staff(environment, folder / "service.log", port)
        bearer, subjects = prepare(world)
        try:
            for name in PROCESSES:
                staff.start(name)
            url = address(programs.HOST, port)
            wait_until_ready(url)
            journal = Journal(folder / "journal.ndjson")
            nemesis = Nemesis(staff, folder / "state", random.Random(seed), chosen.pause)
            if chosen.only:
                nemesis.faults = {each: nemesis.faults[each] for each in chosen.only}
            callers = Callers(url, bearer, subjects, journal, seed)
            blow(chosen.seconds, callers, nemesis, console)
            return verdict(journal, world, nemesis, staff, console)
        finally:
            staff.end_all()


def prepare(world: World) -> tuple[str, list[str]]:
    """Migrate, register places and people, and issue a key."""
    from django.core.management import call_command

    from governance.models import LegalBasis, Purpose
    from governance.services.clients import issue_key
    from tests.factories.consent import take
    from tests.faults.chaos.clients import subjects_of

    call_command("migrate", verbosity=0)
    world.build()
    Purpose.objects.create(
        key=PURPOSE, title="Suggestions", dpv_iri="https://w3id.org/dpv#Purpose",
        legal_basis=LegalBasis.CONSENT,
    )  # fmt: skip
    subjects = subjects_of(world.people)
    for dataset in world.register().values():
        take(dataset, world.everybody, mode="replace", scheme="email")
    return issue_key(client_name="storm", scopes=SCOPES).bearer, subjects


@dataclass(frozen=True)
class Callers:
    """Who asks, where, and the journal that they share."""

    url: str
    bearer: str
    subjects: list[str]
    journal: Journal
    seed: int

    def caller(self, number: int) -> Any:
        """Return one of them; each draws its own keys."""
        from tests.faults.chaos.clients import Client

        return Client(self.url, self.bearer, self.journal, self.seed + number)


def blow(seconds: float, callers: Callers, nemesis: Nemesis, console: Console) -> None:
    """Let the clients ask and the faults happen, for some seconds."""
    leaving, begun = Event(), time.monotonic()

    def tell(what: str) -> None:
        console.print(f"{time.monotonic() - begun:6.1f} s  {what}")

    background: list[Callable[[], Any]] = [
        lambda: nemesis.storm(leaving, tell),
        lambda: callers.caller(1).tell(leaving),
        lambda: callers.caller(2).ask(leaving),
    ]
    threads = [Thread(target=each) for each in background]
    for thread in threads:
        thread.start()
    every = 0.9 * seconds / len(callers.subjects)
    with ThreadPoolExecutor(4) as pool:
        for number, subject in enumerate(callers.subjects):
            pool.submit(callers.caller(3 + number).erase, number, subject)
            time.sleep(max(0.0, begun + every * (number + 1) - time.monotonic()))
    leaving.wait(max(0.0, begun + seconds - time.monotonic()))
    leaving.set()
    for thread in threads:
        thread.join()


def verdict(
    journal: Journal, world: World, nemesis: Nemesis, staff: Staff, console: Console
) -> int:
    """Wait until it is quiet, and print what came out."""
    from django.db import OperationalError, connection

    from tests.faults.chaos import checker

    ends, waiting = time.monotonic() + QUIET_SECONDS, ["?"]
    begun = time.monotonic()
    while waiting and time.monotonic() < ends:
        time.sleep(0.3)
        try:
            waiting = checker.busy()
        except OperationalError:  # our own session was ended with the others
            connection.close()
    quiet = time.monotonic() - begun
    found = checker.problems(journal, world)
    console.print(f"quiet after {quiet:.1f} s; faults: {sum(nemesis.done.values())}")
    told = ", ".join(f"{count} × {name}" for name, count in sorted(nemesis.done.items()))
    console.print(told)
    counts = {what: len(journal.of(what)) for what in ("erasure", "decision", "event")}
    console.print(f"acknowledged: {counts}; answers: {dict(journal.statuses)}")
    for each in found[:40]:
        console.print(f"WRONG {each}")
    if found:
        console.print(staff.log.read_text(errors="replace")[-6000:])
    console.print("nothing lost, nothing twice, nothing stuck" if not found else "it did not hold")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
