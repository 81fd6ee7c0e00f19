"""``manage.py scan_members``: read from its storage who is in a data set."""

import json
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from consent.models import MembershipScan
from consent.selectors import scans
from consent.services import scanning
from governance.errors import ColophonError, NotFoundError
from governance.models import Dataset
from governance.selectors import registry

LOOK_AGAIN_SECONDS = 0.5


class Command(BaseCommand):
    """Scan a data set here and now, or wait for the worker that is at it."""

    help = (
        "Read the subject column of a registered data set's storage and take what was read as "
        "the people in its current version. What stands in the way for now is told, and the "
        "worker tries again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("namespace")
        parser.add_argument("name")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, **options: Any) -> None:
        try:
            dataset = _dataset(options["namespace"], options["name"])
            scan = scanning.ask(dataset=dataset).scan
        except ColophonError as error:
            raise CommandError(f"{error.code}: {error.message}") from None
        with _shown(f"{dataset.name}") as progress:
            scan = _done(dataset, scan, progress)
        if options["json"]:
            self.stdout.write(json.dumps(_facts(scan)))
        elif scan.manifest is not None:
            self.stdout.write(_told(scan))
        if scan.manifest is None:
            again = "" if scan.state == scan.State.DONE else " (the worker tries again)"
            raise CommandError(f"{scan.code}: {scan.reason}{again}")


def _dataset(namespace: str, name: str) -> Dataset:
    found = registry.datasets(namespace=namespace, name=name).first()
    if found is None:
        raise NotFoundError("there is no such data set")
    return found


def _done(
    dataset: Dataset, scan: MembershipScan, progress: Callable[[int], None]
) -> MembershipScan:
    """Carry a scan out, or wait for whoever does, until it is done or put off."""
    while True:
        if not scanning.carry_out(scan_id=scan.pk, progress=progress):
            time.sleep(LOOK_AGAIN_SECONDS)
        scan = scans.scan(dataset, scan.uuid)
        if scan.state in {scan.State.DONE, scan.State.BLOCKED}:
            return scan


@contextmanager
def _shown(name: str) -> Iterator[Callable[[int], None]]:
    screen = Console(file=sys.stderr)
    columns = (
        SpinnerColumn(), TextColumn("{task.description}"),
        TextColumn("{task.completed:,.0f} values read"), TimeElapsedColumn(),
    )  # fmt: skip
    with Progress(*columns, console=screen, disable=not screen.is_terminal) as bar:
        task = bar.add_task(name, total=None)
        yield lambda rows: bar.update(task, completed=rows)


def _told(scan: MembershipScan) -> str:
    assert scan.manifest is not None
    told = f"{scan.outcome}: {scan.manifest.people:,} people in {scan.rows:,} values"
    lacks = f"\n{scan.code}: {scan.reason}" if scan.code else ""
    return f"{told}  (manifest {scan.manifest.uuid}){lacks}"


def _facts(scan: MembershipScan) -> dict[str, Any]:
    manifest = scan.manifest
    return {
        "scan": str(scan.uuid), "dataset": str(scan.dataset.uuid), "state": scan.state,
        "outcome": scan.outcome, "code": scan.code, "reason": scan.reason, "rows": scan.rows,
        "unusable": scan.unusable, "people": manifest.people if manifest else None,
        "manifest": str(manifest.uuid) if manifest else None,
    }  # fmt: skip
