"""``manage.py replay_erasures``: forget again whom a restored backup has brought back."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone
from rich.console import Console
from rich.progress import Progress

from consent.journal import Line
from consent.selectors.journal import newest_key, reckoning
from consent.services import journal
from consent.services.journal import Replayed
from governance.errors import ColophonError


class Command(BaseCommand):
    """Re-apply every erasure that the journal has and the database has not."""

    help = (
        "After a backup was restored: forget again everybody whom the journal of erasures in "
        "COLOPHON_JOURNAL_DIR names and this database does not know to be forgotten. Permissions "
        "are taken back and keys destroyed at once; what lies in data sets is erased as soon as "
        "the service runs. A database from before a rotation of the identifier key is brought up "
        "to that key first. It can be interrupted and run again. Web, worker and sweeper refuse to "
        "start until it has been run. A journal that was changed or cut off is refused: bring it "
        "back from where it is kept safe, or begin it anew with --renew and a reason."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="say how many would be forgotten; change nothing. Who is named by a newer "
            "identifier key than this database has is not found then",
        )
        parser.add_argument(
            "--renew",
            metavar="REASON",
            help="first begin the journal anew, because it is lost or damaged: the lines before "
            "the damage are taken over, every other erasure that this database knows of is added, "
            "and the old file is put aside. Erasures that only the lost lines knew of are lost. "
            "The reason is kept in the ledger. Also for a database that is older than its journal",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, **options: Any) -> None:
        told: dict[str, Any] = {"dry_run": options["dry_run"], "renewed": None}
        try:
            if options["renew"] is not None:
                told["renewed"] = self._renew(options)
            found = reckoning()
            if found.missing and not options["dry_run"]:
                journal.bring_up(to=newest_key(found.missing))
            replayed = _replay(found.missing, options)
        except ColophonError as error:
            if not options["json"]:
                raise CommandError(error.message) from None
            self.stdout.write(json.dumps({"ok": False, "code": error.code, "says": error.message}))
            raise SystemExit(1) from None
        told |= {
            "ok": True, "lines": found.lines, "replayed": len(replayed),
            "people": sum(each.people for each in replayed),
            "requests": [str(uuid) for each in replayed for uuid in each.requests],
        }  # fmt: skip
        self.stdout.write(json.dumps(told) if options["json"] else _sentences(told))

    def _renew(self, options: dict[str, Any]) -> dict[str, int]:
        if options["dry_run"]:
            raise CommandError("--renew writes a new journal, which --dry-run cannot try out")
        return asdict(journal.renew(reason=options["renew"], at=timezone.now()))


def _replay(missing: list[Line], options: dict[str, Any]) -> list[Replayed]:
    done = []
    with Progress(console=Console(stderr=True), transient=True, disable=options["json"]) as bar:
        task = bar.add_task("erasures", total=len(missing))
        for line in missing:
            with transaction.atomic():
                done.append(journal.replay(line))
                transaction.set_rollback(options["dry_run"])
            bar.advance(task)
    return done


def _sentences(told: dict[str, Any]) -> str:
    if told["dry_run"]:
        said = f"{told['replayed']} erasures would be replayed; {told['people']} people forgotten."
    elif told["replayed"]:
        said = (
            f"{told['replayed']} erasures replayed: {told['people']} people forgotten again, "
            f"{len(told['requests'])} erasures go on. The service can start."
        )
    else:
        said = f"Nothing to replay: the database has all {told['lines']} lines of the journal."
    renewed = told["renewed"]
    if renewed:
        said = (
            f"The journal begins anew: {renewed['kept']} lines kept, {renewed['added']} added. "
            + said
        )
    return said
