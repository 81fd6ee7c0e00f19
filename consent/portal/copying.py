"""What a copy of one's data holds, and what it still waits for, in words for whose data it is."""

from collections.abc import Sequence

from consent import copies
from consent.models import CopyAssembly, CopyReading

Certainty = CopyReading.Certainty

_LATER = {
    Certainty.PROVEN: "your rows could not be read yet.",
    Certainty.INFERRED: "it may hold rows of yours, and could not be read yet.",
}
_DELAYED = "The copy is delayed: our own programs broke off while they put it together."
_CLOCK = "The day by which it is due stays as it is."


def progress(readings: Sequence[CopyReading]) -> str:
    """Say how far the reading is; nothing where there is nothing to read."""
    if not readings:
        return ""
    done = sum(each.finished_at is not None for each in readings)
    return f"Your rows are read data set by data set: {done} of {len(readings)} so far."


def waiting(readings: Sequence[CopyReading], stuck: CopyAssembly | None) -> list[str]:
    """Say of each data set that could not be read yet why, and of the copy if it is delayed."""
    told = [
        f"{each.dataset.name}: {_LATER[Certainty(each.certainty)]} {copies.why_not(each.code)} "
        "It is tried again; if it goes on like this, the copy is made without them and says so."
        for each in readings
        if each.code and each.finished_at is None
    ]
    if stuck is None:
        return told
    then = "It is tried again by itself." if stuck.retry_at else "Somebody here has to look first."
    return [*told, f"{_DELAYED} {then} {_CLOCK}"]


def held(readings: Sequence[CopyReading]) -> str:
    """Say from how many data sets the rows are in a copy, and where else they were looked for."""
    own = [each for each in readings if each.certainty == Certainty.PROVEN]
    derived = [each for each in readings if each.certainty == Certainty.INFERRED]
    return f"{_own(own)} {_derived(derived)}".strip()


def _own(readings: Sequence[CopyReading]) -> str:
    if not readings:
        return ""
    whole = [each for each in readings if each.rows == each.kept and not each.unread]
    if len(whole) == len(readings):
        return "All your rows are in it, a file for each data set."
    return (
        f"All your rows from {len(whole)} of {len(readings)} data sets are in it, a file for each. "
        "Of the others it says what is missing, why, and whom you may ask for it."
    )


def _derived(readings: Sequence[CopyReading]) -> str:
    if not readings:
        return ""
    count, found = len(readings), sum(bool(each.rows) for each in readings)
    return (
        f"We also looked for them in {count} data set{'' if count == 1 else 's'} made from your "
        f"data, and found some in {found}: it says of each what came of it."
    )
