"""Doing the same for many in one transaction: as many as a short while allows, one at least."""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

SECONDS = 5.0


def in_time(each: Iterable[T]) -> Iterator[T]:
    """Yield one after the other until the time is up; what is left is left to the next call."""
    ends = time.monotonic() + SECONDS
    for one in each:
        yield one
        if time.monotonic() > ends:
            return
