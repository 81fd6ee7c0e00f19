"""``manage.py accept_ledger``: whether the ledger continues what was signed, and what if not."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from governance.errors import ColophonError
from governance.notes import Checkpoint
from governance.selectors import checkpoints as known
from governance.selectors import ledger
from governance.services import checkpoints


class Command(BaseCommand):
    """Compare, or with a reason name the gap; end with exit code 1 while they disagree."""

    help = (
        "Compare the ledger with the last head that was signed, which is remembered outside the "
        "database, in COLOPHON_JOURNAL_DIR. After a restored backup they disagree, and nothing is "
        "signed. Bring back the newer database if there is one. Otherwise --reason names the lost "
        "entries in the ledger as a gap, puts the last signed head aside as proof of it, and "
        "signs what there is as another ledger, with another name. The exit code is 1 while they "
        "disagree."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--reason", help="why the entries are gone; it is kept in the ledger, sealed"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, **options: Any) -> None:
        try:
            told = self._compare() if options["reason"] is None else _accept(options["reason"])
        except ColophonError as error:
            if not options["json"]:
                raise CommandError(error.message) from None
            self.stdout.write(json.dumps({"ok": False, "code": error.code, "says": error.message}))
            raise SystemExit(1) from None
        self.stdout.write(json.dumps(told) if options["json"] else str(told["says"]))

    def _compare(self) -> dict[str, Any]:
        before, head = known.remembered(), ledger.head()
        known.require_agreement(before, head)
        signed = f"the signed head of {before.size}" if before else "no signed head yet"
        return {
            "ok": True,
            "says": f"The ledger of {head.size} entries agrees with {signed}.",
            "signed": _shown(before),
            "size": head.size,
        }


def _accept(reason: str) -> dict[str, Any]:
    accepted = checkpoints.accept(reason=reason)
    return {
        "ok": True,
        "says": f"The gap is named in the ledger, which goes on as {accepted.now.origin}.",
        "signed": _shown(accepted.signed),
        "now": _shown(accepted.now),
    }


def _shown(checkpoint: Checkpoint | None) -> dict[str, Any] | None:
    if checkpoint is None:
        return None
    return {
        "origin": checkpoint.origin, "size": checkpoint.size, "root": checkpoint.root.hex(),
    }  # fmt: skip
