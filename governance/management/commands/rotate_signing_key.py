"""``manage.py rotate_signing_key``: change the key that signs receipts and tokens."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from governance.errors import ColophonError
from governance.models import SigningKey
from governance.services import signing


class Command(BaseCommand):
    """Make the next key, or withdraw one."""

    help = (
        "Make the next signing key. It is published now and signs from an hour later, when "
        "everybody who keeps our published keys has it. What earlier keys signed stays valid."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--now", action="store_true", help="let the new key sign at once, not in an hour"
        )
        parser.add_argument(
            "--withdraw",
            metavar="KID",
            help="a key that somebody else may hold: nothing that it signed is believed any more, "
            "and if it signs now, a new one takes over at once",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, **options: Any) -> None:
        if options["withdraw"] is not None:
            self._withdraw(options["withdraw"], as_json=options["json"])
            return
        rotation = signing.rotate(at_once=options["now"])
        if options["json"]:
            self.stdout.write(json.dumps({**_told(rotation.key), "created": rotation.created}))
            return
        does = "signs" if rotation.created else "waited already; it signs"
        begins = rotation.key.active_from.isoformat(timespec="seconds")
        self.stdout.write(f"The key {rotation.key.kid} {does} from {begins} on.")

    def _withdraw(self, kid: str, *, as_json: bool) -> None:
        try:
            key = signing.withdraw(kid=kid)
        except ColophonError as error:
            raise CommandError(error.message) from None
        says = f"The key {key.kid} is withdrawn. Issue anew what it had signed."
        self.stdout.write(json.dumps(_told(key)) if as_json else says)


def _told(key: SigningKey) -> dict[str, Any]:
    return {
        "kid": key.kid,
        "active_from": key.active_from.isoformat(),
        "active_until": key.active_until.isoformat() if key.active_until else None,
        "withdrawn_at": key.withdrawn_at.isoformat() if key.withdrawn_at else None,
    }
