"""``manage.py dead_letters``: list events that could not be understood, and try them again."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from io import StringIO
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import track
from rich.table import Table

from governance.models import ApiClient
from lineage.selectors.dead_letters import dead_letters
from lineage.services.dead_letters import Replayed, replay

BATCH = 500


class Command(BaseCommand):
    """List dead letters, or replay them."""

    help = (
        "List events that could not be understood, or with --replay read them again: those that "
        "are understood now are applied."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--client", metavar="NAME", help="only those of this sender")
        parser.add_argument("--code", default="", help="only those with this reason's code")
        parser.add_argument(
            "--id", action="append", default=[], type=UUID, help="only this one; may be repeated"
        )
        parser.add_argument("--limit", type=int, default=50, help="list so many (%(default)s)")
        parser.add_argument("--replay", action="store_true", help="read them again")
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, **options: Any) -> None:
        client = None
        if options["client"]:
            client = ApiClient.objects.filter(name=options["client"]).first()
            if client is None:
                raise CommandError("there is no client of that name")
        found = dead_letters(client=client, code=options["code"], ids=options["id"]).order_by("pk")
        if options["replay"]:
            self._replay(list(found.values_list("uuid", flat=True)), options["json"])
            return
        rows = [
            {"id": str(each.uuid), "client": each.client.name, "code": each.reason_code,
             "reason": each.reason, "received_at": each.received_at.isoformat()}
            for each in found[: options["limit"]]
        ]  # fmt: skip
        if options["json"]:
            self.stdout.write(json.dumps({"total": found.count(), "results": rows}))
            return
        table = Table("id", "client", "reason", "received", title=f"{found.count()} dead letters")
        for row in rows:
            table.add_row(row["id"], row["client"], row["reason"], row["received_at"])
        with Console(file=StringIO(), width=120) as page, page.capture() as written:
            page.print(table)
        self.stdout.write(written.get())

    def _replay(self, ids: list[UUID], as_json: bool) -> None:
        parts = [ids[at : at + BATCH] for at in range(0, len(ids), BATCH)]
        done = [
            replay(dead_letters(ids=part))
            for part in track(parts, "replaying", console=Console(stderr=True))
        ]
        total = Replayed(sum(d.ready for d in done), sum(d.still_dead for d in done))
        said = f"{total.ready} are understood now, {total.still_dead} are not"
        self.stdout.write(json.dumps(asdict(total)) if as_json else said)
