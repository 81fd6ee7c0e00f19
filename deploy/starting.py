"""What must hold before web, worker and sweeper may start.

A restored backup knows people again who were erased after it was taken. Until the journal of
erasures has been replayed nobody is served, and nothing is done with anybody's data.
"""

import sys
import time

from django.db import DatabaseError, OperationalError, connection

from consent.journal import JournalDamagedError, JournalUnavailableError
from consent.selectors import journal

REFUSED = 78  # EX_CONFIG: something has to be put right first; starting again does not help
PATIENCE_SECONDS = 30.0


class NotReadyError(Exception):
    """The service must not start; the message says what to do."""


def refuse_unless_ready() -> None:
    """End the process with status 78 and a sentence if the service must not start."""
    try:
        require_ready()
    except NotReadyError as error:
        sys.stderr.write(f"Colophon does not start: {error}\n")
        sys.stderr.flush()
        raise SystemExit(REFUSED) from None
    finally:
        connection.close()  # whoever forks next must not share it


def require_ready() -> None:
    """Raise `NotReadyError` while the journal and the database disagree, or cannot be compared."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return _compare()
        except OperationalError:
            connection.close()
            if time.monotonic() >= ends:
                raise NotReadyError("the database does not answer.") from None
            time.sleep(0.5)
        except DatabaseError:
            raise NotReadyError("the database is not migrated: run `manage migrate`.") from None


def _compare() -> None:
    try:
        _make_journal_directory()
        found = journal.reckoning()
    except (JournalUnavailableError, JournalDamagedError) as error:
        raise NotReadyError(f"{error.message}. See `manage replay_erasures --help`.") from None
    if found.missing:
        raise NotReadyError(
            f"the journal holds {len(found.missing)} erasures that this database does not have, "
            "as after a restored backup. Run `manage replay_erasures`, then start again."
        )


def _make_journal_directory() -> None:
    """Make the directory for a database that has never used one; later it must be there."""
    if journal.last_seen().number:
        return
    try:
        journal.directory().mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise JournalUnavailableError(
            f"the directory {journal.directory()} cannot be made ({type(error).__name__}): set "
            "COLOPHON_JOURNAL_DIR to one that can be written and outlives the database"
        ) from None
