"""``manage.py rotate_identifier_key``: change the key that identifiers are digested by."""

import json
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from consent.models import IdentifierKey
from consent.selectors import identifier_keys
from consent.services import rotating

PAUSE_SECONDS = 0.2
INTERRUPTED = 130


class Command(BaseCommand):
    """Introduce the next version of the key, and move everybody up to it."""

    help = (
        "Introduce the next version of the key that identifiers are digested by, and move every "
        "identifier and tombstone up to it, while the service goes on. Every process of the "
        "service has to know of key versions first: an older release can write nobody down any "
        "more. The workers move rows too; this may be interrupted (Ctrl-C) at any time, and goes "
        "on with --continue. While one rotation is under way no other begins. Identifiers need "
        "not be known in clear, and none is. The new key comes from the master key: whoever holds "
        "that can make every version."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        how = parser.add_mutually_exclusive_group()
        how.add_argument(
            "--continue", action="store_true", dest="go_on",
            help="introduce nothing: go on with the rotation that is under way",
        )  # fmt: skip
        how.add_argument(
            "--no-wait", action="store_true",
            help="introduce the version, and leave the moving to the workers",
        )  # fmt: skip
        parser.add_argument(
            "--json", action="store_true",
            help="print one JSON object: version, introduced_at, moved_at (null while rows are "
            "left), and how many identifiers and tombstones were moved; unreadable counts sealed "
            "values that could not be opened before either",
        )  # fmt: skip

    def handle(self, **options: Any) -> None:
        key = _under_way() if options["go_on"] else _introduced()
        if not options["no_wait"]:
            key = _moved(key)
        if options["json"]:
            self.stdout.write(json.dumps(_told(key)))
            return
        so_far = "" if key.moved_at else " so far (the workers go on)"
        self.stdout.write(
            f"Version {key.version} is in use. Moved up{so_far}: identifiers "
            f"{key.identifiers:,}, tombstones {key.tombstones:,}."
        )
        if key.unreadable:
            self.stdout.write(f"{key.unreadable:,} sealed values were and are unreadable.")


def _introduced() -> IdentifierKey:
    try:
        return rotating.introduce()
    except rotating.RotationUnderWayError as error:
        raise CommandError(
            f"{error.message}. Let the workers finish it, or go on here with --continue."
        ) from None


def _under_way() -> IdentifierKey:
    key = IdentifierKey.objects.filter(moved_at=None).first()
    if key is None:
        raise CommandError("No rotation is under way. Without --continue the next one begins.")
    return key


def _moved(key: IdentifierKey) -> IdentifierKey:
    """Move rows up until none is left, whoever moves them, and show how far it is."""
    done, after = key.identifiers + key.tombstones, 0
    with _bar() as bar:
        task = bar.add_task(
            f"moving up to version {key.version}",
            total=done + identifier_keys.left(),
            completed=done,
        )
        while key.moved_at is None:
            try:
                batch = rotating.move_up(after=after)
            except KeyboardInterrupt:
                raise CommandError(
                    "Interrupted. The workers go on; so does this with --continue.",
                    returncode=INTERRUPTED,
                ) from None
            if batch is None or not (batch.rows or batch.finished):
                time.sleep(PAUSE_SECONDS)  # a worker is at it
            after = batch.last if batch else 0
            key.refresh_from_db()
            bar.update(task, completed=key.identifiers + key.tombstones)
    return key


def _told(key: IdentifierKey) -> dict[str, Any]:
    return {
        "version": key.version,
        "introduced_at": key.introduced_at.isoformat(),
        "moved_at": key.moved_at.isoformat() if key.moved_at else None,
        "identifiers": key.identifiers,
        "tombstones": key.tombstones,
        "unreadable": key.unreadable,
    }


def _bar() -> Progress:
    shown = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        TimeRemainingColumn(), console=shown, disable=not shown.is_terminal,
    )  # fmt: skip
