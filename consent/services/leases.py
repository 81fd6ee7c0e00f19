"""Keeping a lease alive while the work lasts.

A large storage takes longer than a lease, so a thread renews it, by the database's clock, until
the work ends; when the process dies the renewal stops with it, and another worker takes over one
lease later.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

from django.conf import settings
from django.db import DatabaseError, connection

logger = logging.getLogger(__name__)

RENEWALS_A_LEASE = 3


class LostClaimError(Exception):
    """Another worker has taken the work over: what we did must not be written down as ours."""


@contextmanager
def kept_alive(renew: Callable[[], None]) -> Iterator[None]:
    """Call ``renew`` a few times a lease, on a connection of its own, until the block ends."""
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
