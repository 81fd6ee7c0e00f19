"""``manage.py revoke_key``: end a key at once."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from governance.errors import NotFoundError
from governance.services.clients import revoke_key


class Command(BaseCommand):
    """End a key; what it did stays done."""

    help = "Revoke an API key: from now on it opens nothing. Revoking it again changes nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "key_id", metavar="KEY_ID", help="the 12 characters between `col_` and the next `_`"
        )

    def handle(self, **options: Any) -> None:
        try:
            key = revoke_key(key_id=options["key_id"])
        except NotFoundError as error:
            raise CommandError(error.message) from None
        self.stdout.write(f"{key.key_id} of {key.client} is revoked since {key.revoked_at}")
