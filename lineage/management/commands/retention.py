"""``manage.py retention``: what is kept from which month, and letting go of the old."""

import json
from argparse import ArgumentParser, ArgumentTypeError
from datetime import date, timedelta
from io import StringIO
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from rich.console import Console
from rich.table import Table

from lineage.selectors.horizon import Month, months
from lineage.services.retention import drop_months_before, expire_bodies


class Command(BaseCommand):
    """Show what is kept, or let go of old months and old bodies."""

    help = (
        "Show the months whose runs are kept. With --drop-months-before, condense and drop those "
        "before it, and empty the raw bodies that are older than COLOPHON_RAW_DAYS; with --dry-run "
        "too, only say what would go. Provenance stays as it is."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--drop-months-before", type=_month, metavar="YYYY-MM", help="the first month to keep"
        )
        parser.add_argument("--dry-run", action="store_true", help="change nothing")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, **options: Any) -> None:
        first: date | None = options["drop_months_before"]
        known = months()
        going = [each for each in known if first is not None and each.month < first]
        emptied = 0
        if first is not None and not options["dry_run"]:
            drop_months_before(first)
            emptied = expire_bodies(older_than=timedelta(days=settings.COLOPHON_RAW_DAYS))
        if options["json"]:
            self.stdout.write(
                json.dumps(
                    {"months": [_shown(each) for each in known],
                     "going": [_shown(each) for each in going], "bodies_emptied": emptied}
                )
            )  # fmt: skip
            return
        table = Table("month", "runs", "MB on disk", "", title="runs by month")
        for each in known:
            fate = ("would go" if options["dry_run"] else "dropped") if each in going else "kept"
            table.add_row(f"{each.month:%Y-%m}", f"{each.runs:,}", f"{each.bytes / 1e6:,.1f}", fate)
        with Console(file=StringIO(), width=120) as page, page.capture() as written:
            page.print(table)
        self.stdout.write(written.get())
        if first is not None:
            self.stdout.write(f"{emptied} raw bodies emptied")


def _month(text: str) -> date:
    try:
        return date.fromisoformat(f"{text}-01")
    except ValueError:
        raise ArgumentTypeError("a month is written as 2026-01") from None


def _shown(each: Month) -> dict[str, Any]:
    return {"month": f"{each.month:%Y-%m}", "runs": each.runs, "bytes": each.bytes}
