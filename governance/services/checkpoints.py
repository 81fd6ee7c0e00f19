"""Signing the ledger's head, and never two that contradict each other.

What was signed last is remembered in a file outside the database. A database that was restored
from a backup has lost entries that others hold a signed head of; signing on would let the ledger
have two pasts. So nothing is signed until somebody brings the lost entries back, or says for the
record that they are gone. From then on it is another ledger, with another name.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from governance import durable, notes
from governance.errors import ColophonError
from governance.models import LedgerCheckpoint
from governance.notes import Checkpoint
from governance.selectors import checkpoints as known
from governance.selectors import ledger
from governance.selectors.checkpoints import FILE, MemoryUnavailableError
from governance.services import signing
from governance.services.ledger import append

LOCK_FILE = "checkpoint.lock"
ASIDE = "checkpoint.before-{number}"


class NothingToAcceptError(ColophonError):
    """The ledger continues what was signed: there is no gap to name."""

    code = "ledger_agrees"
    status = 409


class ReasonNeededError(ColophonError):
    """A gap is named with its reason, which is kept."""

    code = "reason_missing"
    status = 422


@dataclass(frozen=True, slots=True)
class Accepted:
    """What had been signed, where the memory knew it, and what is signed from now on."""

    signed: Checkpoint | None
    now: Checkpoint


def publish() -> Checkpoint | None:
    """Sign the head if it has grown, and return what is signed; nothing of an empty ledger.

    The head has to be committed. Raises `LedgerForkedError`, `MemoryLostError`,
    `MemoryUnavailableError` and `MalformedNoteError`; nothing is signed then.
    """
    with _alone() as directory:
        before, head = known.remembered(), ledger.head()
        known.require_agreement(before, head)
        told = known.latest()
        if before and before.size == head.size and told and told.size == head.size:
            return before
        if not head.size:
            return None
        origin = before.origin if before else _origin()
        checkpoint = Checkpoint(origin, head.size, head.root)
        secret = signing.secret_at(timezone.now())
        note = notes.sign(checkpoint, secret=secret)
        # The memory first: what it does not know of must never have been given out.
        durable.replace(directory / FILE, note.encode())
        _give_out(checkpoint, note, secret)
        return checkpoint


def accept(*, reason: str) -> Accepted:
    """Name what was lost in the ledger itself, and sign what there is under a new name.

    Raises `NothingToAcceptError`, `ReasonNeededError` and `MemoryUnavailableError`.
    """
    if not reason.strip():
        raise ReasonNeededError("say why what was signed is gone")
    with _alone() as directory:
        before, head, told = _disagreeing(), ledger.head(), known.latest()
        last = before.origin if before else notes.read(told.note).origin if told else _origin()
        now = Checkpoint(_next(last), head.size, head.root)
        with transaction.atomic():
            secret = signing.secret_at(timezone.now())
            note = notes.sign(now, secret=secret)
            agreed = told.size if told and notes.read(told.note).origin == last else 0
            append(
                kind="ledger.gap",
                facts={
                    "reason": reason, "ledger": last, "continued_as": now.origin,
                    "signed_size": before.size if before else None,
                    "signed_root": before.root.hex() if before else None,
                    "size": head.size, "root": head.root.hex(),
                    "agreed_size": min(agreed, head.size),
                },
            )  # fmt: skip
            _give_out(now, note, secret)
        _put_aside(directory, now.origin)
        durable.replace(directory / FILE, note.encode())
        return Accepted(before, now)


def _disagreeing() -> Checkpoint | None:
    """Return what is remembered, if anything is, or raise `NothingToAcceptError`."""
    before = None
    try:
        before = known.remembered()
        known.require_agreement(before, ledger.head())
    except (known.LedgerForkedError, known.MemoryLostError):
        return before
    raise NothingToAcceptError("the ledger continues what was signed")


def _give_out(checkpoint: Checkpoint, note: str, secret: bytes) -> None:
    LedgerCheckpoint.objects.update_or_create(
        defaults={
            "size": checkpoint.size, "root": checkpoint.root, "note": note,
            "verifier": notes.verifier_of(checkpoint.origin, secret=secret),
            "signed_at": timezone.now(),
        }
    )  # fmt: skip


def _origin() -> str:
    """Return the ledger's name; a change of address later does not change it."""
    return f"{urlsplit(settings.PUBLIC_URL).netloc or 'colophon'}/ledger"


def _next(origin: str) -> str:
    """Return the name of the ledger that comes after one with a gap: the same, and a number."""
    found = re.fullmatch(r"(.+/ledger)(?:/(\d+))?", origin)
    base, number = (found[1], int(found[2] or 1)) if found else (origin, 1)
    return f"{base}/{number + 1}"


def _put_aside(directory: Path, following: str) -> None:
    """Keep the last note of the ledger that ended: it is what proves the gap."""
    note, number = directory / FILE, following.rpartition("/")[2]
    if note.exists():
        durable.replace(directory / ASIDE.format(number=number), note.read_bytes())


@contextmanager
def _alone() -> Iterator[Path]:
    """Be the only signer until the block ends."""
    place = known.directory()
    try:
        with durable.locked(place / LOCK_FILE):
            yield place
    except OSError as error:
        raise MemoryUnavailableError(
            f"what was signed cannot be remembered in {place} ({type(error).__name__})"
        ) from None
