"""Whether the service can do its work."""

import time
from dataclasses import dataclass, field
from threading import Lock

from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse

from consent.journal import JournalDamagedError, JournalUnavailableError
from consent.selectors import journal

SECONDS_BETWEEN_LOOKS = 10.0
COMPLETE, BEHIND = "replayed", "not replayed"


def healthz(_request: HttpRequest) -> JsonResponse:
    """Answer 200 when the database answers and has all erasures of the journal, else 503.

    Where the journal cannot be written the answer is 200 and says so: events are still taken in,
    and only forgetting waits.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        told = _journal.state()
    except DatabaseError:
        return JsonResponse({"database": "does not answer"}, status=503)
    bad = told in {BEHIND, JournalDamagedError.code}
    return JsonResponse({"database": "answers", "journal": told}, status=503 if bad else 200)


@dataclass(slots=True)
class _Look:
    """What was last seen of the journal: reading it all is not for every question."""

    told: str = ""
    until: float = 0.0
    looking: Lock = field(default_factory=Lock)

    def state(self) -> str:
        with self.looking:
            if time.monotonic() >= self.until:
                self.told = _compared()
                self.until = time.monotonic() + SECONDS_BETWEEN_LOOKS
            return self.told


def _compared() -> str:
    try:
        return BEHIND if journal.reckoning().missing else COMPLETE
    except (JournalUnavailableError, JournalDamagedError) as error:
        return error.code


_journal = _Look()
