"""The programs the service consists of, and how each is started; a container runs one of them.

``python -m deploy.programs web --host 0.0.0.0`` becomes that program, in the same process.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOST, PORT = "127.0.0.1", 8000


def python(*arguments: str) -> list[str]:
    """Return a command for this interpreter; scripts would carry the path they were made at."""
    return [sys.executable, *arguments]


def manage(*arguments: str) -> list[str]:
    """Return a command of Django's command line."""
    return python(str(ROOT / "manage.py"), *arguments)


def web(host: str, port: int) -> list[str]:
    """Return the web server's command: two processes of four threads."""
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    command = python("-m", "gunicorn", "deploy.wsgi:application", "--bind", address)
    command += ["--config", "python:deploy.web"]
    command += ["--worker-class", "gthread", "--workers", "2", "--threads", "4"]
    # No access log: its lines would say who looked at what. No control socket: nobody uses it.
    return [*command, "--graceful-timeout", "10", "--log-level", "warning", "--no-control-socket"]


def worker() -> list[str]:
    """Return the task worker's command; alone on its queue, it need not look for others."""
    # Celery warns root of messages that carry code; ours are JSON, and no other is accepted.
    silence = "ignore:You're running the worker with superuser"
    command = python("-W", silence, "-m", "celery", "--quiet", "-A", "deploy.celery", "worker")
    command += ["--concurrency", "2", "--loglevel", "warning"]
    return [*command, "--without-mingle", "--without-gossip"]


def sweeper() -> list[str]:
    """Return the command that sends again whatever is due and not done."""
    return manage("sweep")


def migrate() -> list[str]:
    """Return the command that brings the database to this version."""
    return manage("migrate", "--noinput", "--verbosity", "0")


PROGRAMS: dict[str, Callable[[str, int], list[str]]] = {
    "web": web,
    "worker": lambda _host, _port: worker(),
    "sweeper": lambda _host, _port: sweeper(),
    "migrate": lambda _host, _port: migrate(),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Become the named program; it receives the signals meant for this process."""
    parser = argparse.ArgumentParser(prog="python -m deploy.programs", description=__doc__)
    parser.add_argument("program", choices=PROGRAMS)
    parser.add_argument("--host", default=HOST, help="address that web listens on (%(default)s)")
    parser.add_argument("--port", default=PORT, type=int, help="port of web (%(default)s)")
    chosen = parser.parse_args(arguments)
    command = PROGRAMS[chosen.program](chosen.host, chosen.port)
    os.chdir(ROOT)
    os.execv(command[0], command)  # noqa: S606 - there is no shell to avoid


if __name__ == "__main__":
    main()
