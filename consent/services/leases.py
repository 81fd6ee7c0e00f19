"""Keep a step's lease alive while its worker is.

A large storage takes longer than a lease. So a thread renews it, by the database's clock, until
the work ends; when the process dies or is stopped the renewal stops with it, and another worker
takes over one lease later.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from django.conf import settings
from django.db import DatabaseError, connection

logger = logging.getLogger(__name__)

RENEWALS_A_LEASE = 3


@contextmanager
def kept_alive(*, step_id: int, token: int) -> Iterator[None]:
    """Renew the lease of a claimed step until the block ends."""
    ended = Event()
    beat = Thread(target=_beat, args=(step_id, token, ended), daemon=True)
    beat.start()
    try:
        yield
    finally:
        ended.set()
        beat.join()


def _beat(step_id: int, token: int, ended: Event) -> None:
    pause = settings.COLOPHON_LEASE_SECONDS / RENEWALS_A_LEASE
    try:
        while not ended.wait(pause):
            _renew(step_id, token)
    finally:
        connection.close()  # the thread's own


def _renew(step_id: int, token: int) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE consent_erasurestep"
                " SET lease_until = clock_timestamp() + make_interval(secs => %s)"
                " WHERE id = %s AND token = %s AND state = 'running'",
                [settings.COLOPHON_LEASE_SECONDS, step_id, token],
            )
    except DatabaseError as error:
        # The next beat tries again; if none gets through, the lease runs out, as it should.
        logger.warning("a lease could not be renewed (%s)", type(error).__name__)
        connection.close()
