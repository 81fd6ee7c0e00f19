"""``manage.py verify_receipt``: check what somebody was given, without database or network."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from governance import receipt_check


class Command(BaseCommand):
    """Check receipts; `governance.receipt_check` does it, and runs without this framework too."""

    help = receipt_check.ABOUT
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        receipt_check.add_arguments(parser)

    def handle(self, **options: Any) -> None:
        code, says = receipt_check.run(options["file"], options["jwks"], as_json=options["json"])
        if code == receipt_check.UNREADABLE:
            raise CommandError(says, returncode=code)
        self.stdout.write(says)
        if code:
            sys.exit(code)
