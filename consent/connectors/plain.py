"""A row as JSON, whatever storage it comes from, so that nothing of it is lost or guessed.

Dates and times are ISO 8601, decimals are text (no digit is rounded away), bytes are base64, what
JSON has no number for (NaN, infinity) is its name, and anything unknown is its own text.
"""

import base64
import math
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from consent.connectors.base import JSON, StorageUnreadableError


def row(cells: Iterable[tuple[str, Any]]) -> Mapping[str, JSON]:
    """Return a row by the names of its columns, or raise ``StorageUnreadableError``."""
    try:
        return {_text(name): _plain(value) for name, value in named(cells).items()}
    except RecursionError:
        raise StorageUnreadableError(
            "Have the owner hand out the rows: a value in them is nested too deep to be copied."
        ) from None


def named(cells: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Return values by name; a name that comes again is numbered, so that neither is lost."""
    found: dict[str, Any] = {}
    for name, value in cells:
        free, count = name, 1
        while free in found:
            count += 1
            free = f"{name} ({count})"
        found[free] = value
    return found


def _plain(value: Any) -> JSON:  # noqa: PLR0911 one kind of value after the other
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, timedelta):
        return _duration(value)
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode()
    if isinstance(value, Mapping):
        return {_text(str(key)): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each) for each in value]
    return _text(str(value))


def _float(value: float) -> float | str:
    if math.isfinite(value):
        return float(value)
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _duration(value: timedelta) -> str:
    if hasattr(value, "isoformat"):  # pandas', for nanoseconds
        return str(value.isoformat())
    sign, whole = ("-", -value) if value < timedelta(0) else ("", value)
    seconds = f"{whole.seconds}.{whole.microseconds:06}".rstrip("0").rstrip(".")
    return f"{sign}P{whole.days}DT{seconds if whole.microseconds else whole.seconds}S"


def _text(value: str) -> str:
    """Return text that can be written as UTF-8: bytes that are none stand there by their codes."""
    if value.isascii():
        return value
    for errors in ("surrogateescape", "surrogatepass"):
        try:
            return value.encode("utf-8", errors).decode("utf-8", "backslashreplace")
        except UnicodeEncodeError:
            continue
    return value
