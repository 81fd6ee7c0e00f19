"""``manage.py replay``: accept events from a file, such as OpenLineage's file transport writes."""

import gzip
import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import Progress

from governance.models import ApiClient
from governance.strictjson import MalformedJSONError, loads
from lineage.services.inbox import accept

BATCH = 500


@dataclass(slots=True)
class Counts:
    """What became of the lines; ``refused`` are line numbers with reasons."""

    new: int = 0
    repeated: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Operator:
    """Whose events they are; an operator at the console is not bound to namespaces."""

    client_id: int
    namespaces: list[str] = field(default_factory=list)


class Command(BaseCommand):
    """Accept the events of a file, one JSON object a line."""

    help = (
        "Accept events from a file of one JSON object a line, plain or .gz, or - for standard "
        "input. An event that was accepted before is a repeat and changes nothing. Ends with "
        "status 1 if a line was refused."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", help="the file, or - for standard input")
        parser.add_argument("--client", required=True, metavar="NAME", help="whose events they are")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, **options: Any) -> None:
        client, _ = ApiClient.objects.get_or_create(name=options["client"])
        counts, console = Counts(), Console(stderr=True)
        with _opened(options["path"]) as (lines, size), Progress(console=console) as progress:
            bar = progress.add_task("accepting", total=size)
            for batch in _batches(lines, counts):
                _accept(_Operator(client.pk), batch, counts)
                progress.advance(bar, sum(length for _, _, length in batch))
        if options["json"]:
            self.stdout.write(json.dumps(asdict(counts)))
        else:
            self.stdout.write(
                f"{counts.new} new, {counts.repeated} repeated, {len(counts.refused)} refused"
            )
            for line, reason in counts.refused[:100]:
                self.stdout.write(f"  line {line}: {reason}")
        if counts.refused:
            sys.exit(1)


@contextmanager
def _opened(path: str) -> Iterator[tuple[BinaryIO, int | None]]:
    if path == "-":
        yield sys.stdin.buffer, None
        return
    place = Path(path)
    try:
        if place.suffix == ".gz":
            with gzip.open(place) as lines:
                yield lines, None  # type: ignore[misc]  # a GzipFile reads like any binary file
        else:
            with place.open("rb") as lines:
                yield lines, place.stat().st_size
    except (OSError, EOFError) as error:
        raise CommandError(f"{path} cannot be read: {error.__class__.__name__}") from None


Line = tuple[int, Any, int]


def _batches(lines: BinaryIO, counts: Counts) -> Iterator[list[Line]]:
    """Yield (line number, event, length) some hundreds at a time; what is not JSON is counted."""
    batch: list[Line] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            batch.append((number, loads(line.strip()), len(line)))
        except MalformedJSONError as error:
            counts.refused.append((number, error.message))
        if len(batch) == BATCH:
            yield batch
            batch = []
    yield batch


def _accept(operator: _Operator, batch: list[Line], counts: Counts) -> None:
    receipts = accept(key=operator, events=[event for _, event, _ in batch])
    for (number, _, _), receipt in zip(batch, receipts, strict=True):
        if receipt.code:
            counts.refused.append((number, receipt.reason))
        elif receipt.created:
            counts.new += 1
        else:
            counts.repeated += 1
