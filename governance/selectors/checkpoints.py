"""What the signer remembers outside the database, and whether the ledger still agrees with it."""

from pathlib import Path

from django.conf import settings

from governance import merkle, notes
from governance.errors import ColophonError
from governance.models import LedgerCheckpoint
from governance.notes import Checkpoint
from governance.selectors import ledger
from governance.selectors.ledger import Head

FILE = "checkpoint"
_BRING_BACK = "bring it back, or accept that it is lost with `manage accept_ledger --reason …`"


class LedgerForkedError(ColophonError):
    """The ledger is not a continuation of what was signed: a backup, or somebody rewrote it."""

    code = "ledger_forked"
    status = 503


class MemoryLostError(ColophonError):
    """Heads were signed, and nobody remembers which: nothing more can be vouched for."""

    code = "checkpoint_memory_lost"
    status = 503


class MemoryUnavailableError(ColophonError):
    """The place where the last signed head is remembered cannot be read or written; try again."""

    code = "checkpoint_memory_unavailable"
    status = 503


def directory() -> Path:
    """Return the directory of what must not come back with a backup, or `MemoryUnavailableError`.

    It is not made here: one that is missing may be a volume that was not mounted.
    """
    place = Path(settings.COLOPHON_JOURNAL_DIR)
    if not place.is_dir():
        raise MemoryUnavailableError(
            f"the directory {place} is not there: mount it, or set COLOPHON_JOURNAL_DIR"
        )
    return place


def latest() -> LedgerCheckpoint | None:
    """Return the last signed head that is given out, if there is one."""
    return LedgerCheckpoint.objects.first()


def remembered() -> Checkpoint | None:
    """Return the last head that was ever signed, if any was.

    Raises `MemoryUnavailableError`, and `MemoryLostError` where what is there is no head.
    """
    path = directory() / FILE
    try:
        return notes.read(path.read_bytes().decode())
    except FileNotFoundError:
        return None
    except (UnicodeDecodeError, notes.MalformedNoteError):
        raise MemoryLostError(f"{path} is not a signed head any more: {_BRING_BACK}") from None
    except OSError as error:
        raise MemoryUnavailableError(f"{path} cannot be read ({type(error).__name__})") from None


def require_agreement(before: Checkpoint | None, head: Head) -> None:
    """Check that a head continues what was signed (RFC 6962 consistency), or raise what is wrong.

    Raises `LedgerForkedError` and `MemoryLostError`; both say what to do.
    """
    if before is None:
        if latest() is not None:
            raise MemoryLostError(
                f"heads were signed, but {directory() / FILE} is gone: {_BRING_BACK}"
            )
        return
    if not _continues(before, head):
        raise LedgerForkedError(
            f"a head of {before.size} entries was signed, and the ledger of {head.size} entries "
            "does not continue it: bring back the newer database, or accept the loss with "
            "`manage accept_ledger --reason …`",
            signed=before.size,
            size=head.size,
        )


def _continues(before: Checkpoint, head: Head) -> bool:
    if before.size > head.size:
        return False
    proof = ledger.consistency(before.size, head.size)
    return merkle.proves_consistency(
        old=before.size, new=head.size, hashes=proof.hashes,
        old_root=before.root, new_root=head.root,
    )  # fmt: skip
