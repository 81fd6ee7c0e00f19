"""The checks that need no test: style, types, layers, migrations, Django's own."""

import subprocess
import time
from argparse import Namespace

from rich.console import Console
from rich.text import Text

from deploy import commands, programs

LAYERS = "from importlinter.cli import lint_imports_command; lint_imports_command()"
CHECKS = {
    "ruff check": programs.python("-m", "ruff", "check", "."),
    "ruff format --check": programs.python("-m", "ruff", "format", "--check", "."),
    "mypy": programs.python("-m", "mypy"),
    "lint-imports": programs.python("-c", LAYERS),
    "makemigrations --check": programs.manage("makemigrations", "--check", "--dry-run"),
    "manage.py check": programs.manage("check"),
}

console = Console(highlight=False, soft_wrap=True)


def check(_options: Namespace) -> int:
    """Run all checks, whichever fail, and return 1 if any did; a failed one shows its output."""
    failed = 0
    # The type checker and the last two load Django's settings, which ask for servers.
    with commands.environment_of("test") as environment:
        for name, command in CHECKS.items():
            begun = time.monotonic()
            done = subprocess.run(
                command,
                cwd=programs.ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                check=False,
            )
            seconds = time.monotonic() - begun
            result = "ok    " if done.returncode == 0 else "FAILED"
            console.print(f"{result}  {name:<24}{seconds:6.1f} s")
            if done.returncode != 0:
                failed += 1
                console.print(Text.from_ansi(done.stdout.rstrip()))
    return 1 if failed else 0
