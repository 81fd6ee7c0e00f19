"""Identifiers arrive as text; columns hold numbers, UUIDs or text.

To compare as text and still use an index, a value becomes the column's own type, but only when
writing it back gives the same text. "007" is no integer here, since 7 is written "7".
"""

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar
from uuid import UUID

T = TypeVar("T")

# At most twenty digits: the widest integer column there is, and never a costly conversion.
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,19}")


def as_text(value: str) -> str | None:
    """Return the value unless no storage can hold it (a lone surrogate is not text)."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return None
    return value


def as_integer(value: str, *, bits: int = 64, signed: bool = True) -> int | None:
    """Return the integer that is written exactly so and fits, else None."""
    if not _INTEGER.fullmatch(value):
        return None
    lowest = -(1 << (bits - 1)) if signed else 0
    number = int(value)
    return number if lowest <= number < lowest + (1 << bits) else None


def as_uuid(value: str) -> UUID | None:
    """Return the UUID that is written exactly so (lower case, with hyphens), else None."""
    try:
        parsed = UUID(value)
    except ValueError:
        return None
    return parsed if str(parsed) == value else None


def in_chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Cut into lists of at most ``size``; none is empty."""
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk
