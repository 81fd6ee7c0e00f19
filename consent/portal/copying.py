"""What a copy of one's data holds, and what it still waits for, in words for whose data it is."""

from collections.abc import Sequence

from consent import copies
from consent.models import CopyReading


def progress(readings: Sequence[CopyReading]) -> str:
    """Say how far the reading is; nothing where there is nothing to read."""
    if not readings:
        return ""
    done = sum(each.finished_at is not None for each in readings)
    return f"Your rows are read data set by data set: {done} of {len(readings)} so far."


def waiting(readings: Sequence[CopyReading]) -> list[str]:
    """Say of each data set that could not be read yet why, each in a sentence of its own."""
    return [
        f"{each.dataset.name}: your rows could not be read yet. {copies.why_not(each.code)} "
        "It is tried again; if it goes on like this, the copy is made without them and says so."
        for each in readings
        if each.code and each.finished_at is None
    ]


def held(readings: Sequence[CopyReading]) -> str:
    """Say from how many data sets the rows are in a copy."""
    if not readings:
        return ""
    whole = [each for each in readings if each.rows == each.kept and not each.unread]
    if len(whole) == len(readings):
        return "All your rows are in it, a file for each data set."
    return (
        f"All your rows from {len(whole)} of {len(readings)} data sets are in it, a file for each. "
        "Of the others it says what is missing, why, and whom you may ask for it."
    )
