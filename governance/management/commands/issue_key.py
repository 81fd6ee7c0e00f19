"""``manage.py issue_key``: give a machine or a team a key to the API."""

import json
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from governance.errors import ColophonError
from governance.models import Scope
from governance.services.clients import issue_key

DESCRIPTION = """\
Issue a key and print it. Only its digest is kept, so this is the one time that it is seen.
Send it as `Authorization: Bearer col_...`.

scopes:
"""


class Command(BaseCommand):
    """Issue a key and print its secret once."""

    help = "Issue an API key to a client and print it once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        scopes = "\n".join(f"  {scope.value:<16} {scope.label}" for scope in Scope)
        parser.formatter_class = RawDescriptionHelpFormatter
        parser.description = DESCRIPTION + scopes
        parser.add_argument("--client", required=True, metavar="NAME", help="who gets the key")
        parser.add_argument(
            "--scope",
            action="append",
            required=True,
            choices=Scope.values,
            metavar="SCOPE",
            help="what the key may do; give it again for more",
        )
        parser.add_argument(
            "--namespace",
            action="append",
            default=[],
            metavar="NAME",
            help="a namespace that it may write to, or a prefix ending in *; "
            "give it again for more, or never for all",
        )
        parser.add_argument(
            "--days", type=int, default=90, help="days until it expires (default: %(default)s)"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, **options: Any) -> None:
        try:
            issued = issue_key(
                client_name=options["client"],
                scopes=options["scope"],
                namespaces=options["namespace"],
                days=options["days"],
            )
        except ColophonError as error:
            raise CommandError(error.message) from None
        if not options["json"]:
            self.stdout.write(issued.bearer)
            return
        shown = {
            "key": issued.bearer,
            "key_id": issued.key.key_id,
            "client": issued.key.client.name,
            "scopes": issued.key.scopes,
            "namespaces": issued.key.namespaces,
            "expires_at": issued.key.expires_at.isoformat(),
        }
        self.stdout.write(json.dumps(shown))
