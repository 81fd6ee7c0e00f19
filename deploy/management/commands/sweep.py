"""Run the sweeper, one in the whole installation."""

import logging
import signal
import time
from argparse import ArgumentParser
from types import FrameType
from typing import Any

from django.core.management.base import BaseCommand
from django.db import DatabaseError, connection

from deploy.starting import refuse_unless_ready
from deploy.sweeper import Sweeper
from governance.locks import Lock

logger = logging.getLogger(__name__)


class Command(BaseCommand):
    """Find the work that is due in PostgreSQL and tell the workers, until stopped."""

    help = (
        "Finds the work that is due in PostgreSQL and tells the workers, several times a second, "
        "until it is stopped. A second one waits for the first to end. Refuses to start, with "
        "status 78, while the journal holds erasures that the database does not have."
    )
    stopped = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--tick", type=float, default=0.2, help="seconds between two looks (default 0.2)"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        refuse_unless_ready()
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        sweeper = Sweeper()
        while not self.stopped:
            try:
                if self._is_the_one():
                    sweeper.sweep()
            except DatabaseError as error:
                # The address and the statement stay out of the log.
                logger.warning("the database does not answer (%s)", type(error).__name__)
                connection.close()
                time.sleep(1)
            time.sleep(options["tick"])

    def _stop(self, number: int, frame: FrameType | None) -> None:
        self.stopped = True

    def _is_the_one(self) -> bool:
        """Hold a lock for as long as the session lasts; a killed sweeper frees it by dying."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
                " AND objid = %s AND pid = pg_backend_pid()",
                [Lock.SWEEPER],
            )
            if cursor.fetchone()[0]:
                return True
            cursor.execute("SELECT pg_try_advisory_lock(%s)", [Lock.SWEEPER])
            return bool(cursor.fetchone()[0])
