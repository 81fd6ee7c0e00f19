"""What the commands do: get servers, get the database ready, run something, stop everything."""

import contextlib
import os
import platform
import shutil
import subprocess
import time
from argparse import Namespace
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

from deploy import foreground, programs
from deploy.devstack import DevstackError, servers
from deploy.processes import (
    ANY_ADDRESS,
    Processes,
    address,
    free_port,
    require_free,
    service,
)

STATES = programs.ROOT / ".colophon"
# What some tests need that comes as no wheel: the program, and the packages that bring it.
FOR_TESTS = {
    "/usr/bin/chromium": ("chromium",),
    "/usr/sbin/mariadbd": ("mariadb-server-core", "mariadb-client-core"),  # these start no service
}
INSTALL_SECONDS = 600

console = Console(highlight=False, soft_wrap=True)


@contextlib.contextmanager
def environment_of(name: str) -> Iterator[dict[str, str]]:
    """Yield the environment of a named state, its servers running; they stop at the end."""
    state = STATES / name
    with servers(state, os.environ) as environment:
        environment.setdefault("COLOPHON_MAIL_DIR", str(state / "mail"))
        environment.setdefault("COLOPHON_JOURNAL_DIR", str(state / "journal"))
        yield environment


def up(options: Namespace) -> int:
    """Run the service until Ctrl-C or SIGTERM, either of which is success."""
    require_free(options.host, options.port)
    with environment_of("main") as environment:
        url = address(options.host, options.port)
        environment.setdefault("COLOPHON_PUBLIC_URL", url)
        _prepare_database(environment)
        with service(environment, options.host, options.port) as processes:
            processes.wait_until_ready()
            _show_doors(url, environment)
            if options.host in ANY_ADDRESS and "COLOPHON_HOSTS" not in environment:
                console.print("Set COLOPHON_HOSTS to the host names that others will use.")
            return _stay(processes)


def demo(options: Namespace) -> int:
    """Run the demonstration, then keep its service for a look around."""
    return _demonstrate(options.port, stay=True)


def demo_check(options: Namespace) -> int:
    """Run the demonstration and return its exit status."""
    return _demonstrate(options.port, stay=False)


def test(options: Namespace) -> int:
    """Run pytest and return its exit status."""
    _install_for_tests()
    with environment_of("test") as environment:
        return foreground.run(programs.python("-m", "pytest", *options.arguments), environment)


def bench(options: Namespace) -> int:
    """Run the benchmarks and return their exit status."""
    with environment_of("bench") as environment:
        environment["BENCH_SCALE"] = options.scale or environment.get("BENCH_SCALE", "small")
        return foreground.run(programs.python("-m", "tests.bench", *options.rows), environment)


def chaos(options: Namespace) -> int:
    """Run a storm of faults on servers of its own, and return its exit status."""
    return foreground.run(
        programs.python("-m", "tests.faults.chaos", *options.arguments), dict(os.environ)
    )


def manage(options: Namespace) -> int:
    """Run Django's command line on the servers of ``up``, running or started for it."""
    with environment_of("main") as environment:
        return foreground.run(programs.manage(*options.arguments), environment)


def _demonstrate(port: int | None, *, stay: bool) -> int:
    port = port or free_port(programs.HOST)
    require_free(programs.HOST, port)
    with environment_of("demo") as environment:
        work, log = STATES / "demo" / "work", STATES / "demo" / "service.log"
        work.mkdir(parents=True, exist_ok=True)
        url = address(programs.HOST, port)
        environment.setdefault("COLOPHON_PUBLIC_URL", url)
        _prepare_database(environment)
        with _explained_by(log), service(environment, programs.HOST, port, log=log) as processes:
            processes.wait_until_ready()
            story = ("-m", "deploy.demo", "--url", url, "--workdir", str(work))
            status = foreground.run(programs.python(*story), environment)
            if status != 0:
                console.print(f"The demonstration failed (status {status}); see {log}.")
            elif stay:
                console.print(f"\nThe service stays up at {url} until Ctrl-C.")
                return _stay(processes)
            return status


def _stay(processes: Processes) -> int:
    with contextlib.suppress(KeyboardInterrupt, SystemExit):
        processes.wait()
    return 0


@contextlib.contextmanager
def _explained_by(log: Path) -> Iterator[None]:
    """Add the service's last lines to what went wrong with it."""
    try:
        yield
    except DevstackError as error:
        lines = ""
        if log.exists():
            with log.open(errors="replace") as file:
                lines = "".join(deque(file, maxlen=20))
        raise DevstackError(f"{error}\nThe last lines of {log}:\n{lines}".rstrip()) from None


def _prepare_database(environment: dict[str, str]) -> None:
    begun = time.monotonic()
    status = foreground.run(programs.migrate(), environment)
    if status != 0:
        raise DevstackError(f"The database could not be migrated (status {status}); see above.")
    console.print(f"The database is up to date ({time.monotonic() - begun:.1f} s).")


def _show_doors(url: str, environment: dict[str, str]) -> None:
    doors = {
        "portal": f"{url}/",
        "GraphQL": f"{url}/graphql",
        "admin": f"{url}/admin/",
        "API schema": f"{url}/api/schema",
        "an API key": "sh deploy/run manage issue_key --help",
        "an operator": "sh deploy/run manage createsuperuser",
    }
    if "COLOPHON_SMTP_HOST" not in environment:
        doors["mail"] = f"{environment['COLOPHON_MAIL_DIR']} (set COLOPHON_SMTP_HOST to send it)"
    if not os.environ.get("COLOPHON_MASTER_KEY"):
        doors["master key"] = f"{STATES / 'main' / 'master.key'} (lost, the data are unreadable)"
    console.print("\nColophon is running; Ctrl-C stops it.\n")
    for name, where in doors.items():
        console.print(f"  {name:<13}{where}", markup=False)


def _install_for_tests() -> None:
    """Install what some tests need, where that is ours to do."""
    if os.geteuid() != 0 or not _is_debian():
        return
    for program, packages in FOR_TESTS.items():
        if not Path(program).exists():
            _install(packages)


def _install(packages: Sequence[str]) -> None:
    names = " and ".join(packages)
    console.print(f"Installing {names} for the tests (once, a minute at most) ...")
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        for command in (["apt-get", "update", "-qq"], install):
            subprocess.run(
                command,
                check=True,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=INSTALL_SECONDS,
            )
    except (OSError, subprocess.SubprocessError) as error:
        console.print(f"{names} not installed ({error}); tests that need it will be skipped.")


def _is_debian() -> bool:
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return False
    return release.get("ID") == "debian" and shutil.which("apt-get") is not None
