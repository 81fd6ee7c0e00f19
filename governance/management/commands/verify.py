"""``manage.py verify``: check the ledger, or a proof that somebody was given."""

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import Progress

from governance import proofs, strictjson
from governance.errors import ColophonError
from governance.selectors import ledger
from governance.selectors.ledger_check import VerificationReport, verify


class Command(BaseCommand):
    """Check everything, and end with exit code 1 where something is wrong."""

    help = (
        "Check the whole ledger: every entry, every tile, the root. With --proof, check one "
        "downloaded proof instead, without the database. The exit code is 1 if the check fails."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--proof",
            type=Path,
            metavar="FILE",
            help="a proof as JSON, from /api/v1/ledger/proofs/<uuid>; an opening in it (salt and "
            "body) is checked too",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, **options: Any) -> None:
        found = _check_proof(options["proof"]) if options["proof"] else self._check_ledger(options)
        if options["json"]:
            self.stdout.write(json.dumps(found))
        else:
            self.stdout.write(str(found["says"]))
        if not found["ok"]:
            sys.exit(1)

    def _check_ledger(self, options: dict[str, Any]) -> dict[str, Any]:
        bar = Progress(console=Console(stderr=True), transient=True, disable=options["json"])
        with bar:
            task = bar.add_task("entries", total=ledger.head().size)
            report = verify(lambda done: bar.update(task, completed=done))
        return {
            "ok": report.ok,
            "says": _sentence(report),
            "size": report.size,
            "root": report.root.hex(),
            "first_bad_index": report.first_bad_index,
        }


def _sentence(report: VerificationReport) -> str:
    if report.ok:
        return f"All {report.size} entries agree with the root {report.root.hex()}."
    return f"Entry {report.first_bad_index}: {report.problem}."


def _check_proof(path: Path) -> dict[str, Any]:
    """Check a proof document: inclusion, and the commitment if it carries an opening."""
    try:
        document = strictjson.loads(path.read_bytes())
        if not isinstance(document, dict):
            raise proofs.MalformedProofError("the proof is not a JSON object")
        proof = proofs.InclusionProof.from_json(document)
        opening = proofs.opening_in(document)
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror}") from None
    except ColophonError as error:
        raise CommandError(error.message) from None
    included = proof.holds()
    matches = proofs.opens(proof.leaf, opening) if opening else None
    says = "The leaf is in the tree." if included else "The proof does not lead to the root."
    if matches is not None:
        says += " The body is what it commits to." if matches else " The body is another one."
    ok = included and matches is not False
    return {"ok": ok, "says": says, "index": proof.index, "root": proof.root.hex()}
