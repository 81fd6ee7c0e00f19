"""Keep a lease alive while its work goes on: a thread that ends with the work, or with us."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

from django.conf import settings
from django.db import DatabaseError, connection

logger = logging.getLogger(__name__)

RENEWALS_A_LEASE = 3


@contextmanager
def kept_alive(renew: Callable[[], None]) -> Iterator[None]:
    """Renew a lease, by the function that does so, until the block ends."""
    ended = Event()
    beat = Thread(target=_beat, args=(renew, ended), daemon=True)
    beat.start()
    try:
        yield
    finally:
        ended.set()
        beat.join()


def _beat(renew: Callable[[], None], ended: Event) -> None:
    pause = settings.COLOPHON_LEASE_SECONDS / RENEWALS_A_LEASE
    try:
        while not ended.wait(pause):
            try:
                renew()
            except DatabaseError as error:
                # The next beat tries again; if none gets through, the lease runs out, as it should.
                logger.warning("a lease could not be renewed (%s)", type(error).__name__)
                connection.close()
    finally:
        connection.close()  # the thread's own
