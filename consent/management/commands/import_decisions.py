"""``manage.py import_decisions``: take decisions over from another system."""

import hashlib
import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from consent.decision_rows import Form, lines
from consent.models import DecisionImport
from consent.services.importing import Refused, take_over
from governance.crypto import keyed_digest
from governance.errors import ColophonError
from governance.keys import secret_for


class Command(BaseCommand):
    """Record the decisions of a file; tell every row that is refused, by line and code."""

    help = (
        "Record decisions from a file, one a line: NDJSON objects or CSV with a header, with the "
        "fields scheme, identifier, purpose, kind (given, renewed, refused, withdrawn, objected), "
        "decided_at (with its offset), and, where known, valid_until, notice_version and key. "
        "Taking the same file over again changes nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="the file; it is read, and not kept")
        parser.add_argument(
            "--evidence", required=True, metavar="TEXT",
            help="where the decisions come from, such as a contract or an export's address",
        )  # fmt: skip
        parser.add_argument(
            "--format", choices=list(Form), help="how it is written (default: by the file's ending)"
        )
        parser.add_argument(
            "--report", type=Path, metavar="FILE",
            help="write refused rows there, one JSON object a line: line, code, message",
        )  # fmt: skip
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, **options: Any) -> None:
        file: Path = options["file"]
        form = Form(options["format"] or ("csv" if file.suffix.lower() == ".csv" else "ndjson"))
        try:
            made = self._taken(file, form, options["evidence"], options["report"])
        except ColophonError as error:
            raise CommandError(f"{error.code}: {error.message}") from None
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}") from None
        counts = {"recorded": made.recorded, "repeated": made.repeated, "refused": made.refused}
        if options["json"]:
            self.stdout.write(json.dumps({"import": str(made.uuid), **counts}))
        else:
            told = ", ".join(f"{count:,} {name}" for name, count in counts.items())
            self.stdout.write(f"{told}  (import {made.uuid})")
        if made.refused and not options["report"]:
            self.stderr.write("See why with --report FILE; taken rows are recognised next time.")

    def _taken(self, file: Path, form: Form, evidence: str, report: Path | None) -> DecisionImport:
        size = file.stat().st_size
        with ExitStack() as stack:
            source = stack.enter_context(file.open("rb"))
            digest = keyed_digest(secret_for("import-file-v1"), _sha256(source))
            told = stack.enter_context(report.open("w")) if report else None
            bar = stack.enter_context(_bar())
            task = bar.add_task("decisions", total=size)

            def refuse(row: Refused) -> None:
                if told:
                    said = {"line": row.line, "code": row.code, "message": row.message}
                    told.write(json.dumps(said) + "\n")

            return take_over(
                lines(form, _read(source)), digest=digest, evidence=evidence, refuse=refuse,
                progress=lambda _: bar.update(task, completed=source.tell()),
            )  # fmt: skip


def _read(source: IO[bytes]) -> Iterator[bytes]:
    """Yield lines so that the place in the file can be asked for meanwhile."""
    while line := source.readline():
        yield line


def _sha256(source: IO[bytes]) -> bytes:
    digest = hashlib.file_digest(source, "sha256")  # type: ignore[arg-type]  # a file of bytes
    source.seek(0)
    return digest.digest()


def _bar() -> Progress:
    shown = Console(file=sys.stderr)
    return Progress(
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(),
        console=shown, disable=not shown.is_terminal,
    )  # fmt: skip
