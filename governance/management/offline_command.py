"""What commands share that check a statement offline."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from governance.offline import UNREADABLE, Checker


class OfflineCommand(BaseCommand):
    """Hand over to a checker, which runs without this framework too."""

    checker: Checker
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Let the checker say what can be given."""
        self.checker.add_arguments(parser)

    def handle(self, **options: Any) -> None:
        """Print what it says, and end with its exit code."""
        code, says = self.checker.run(options["file"], options["jwks"], as_json=options["json"])
        if code == UNREADABLE:
            raise CommandError(says, returncode=code)
        self.stdout.write(says)
        if code:
            sys.exit(code)
