"""What a copy of somebody's rows is called, how much it holds, and why something is not in it.

Pure. The sentences are for the person whose copy it is, and say whom to ask.
"""

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

MOST_BYTES: Final = 50_000_000  # of rows in all, uncompressed
MOST_DERIVED: Final = 200  # data sets that are read though no list says who is in them
MOST_SOURCES: Final = 20
FIRST_ROWS: Final = 3
MOST_SHOWN: Final = 1_000_000  # bytes that are looked at for the first rows
FIRST_COLUMNS: Final = 30
LONGEST_SHOWN: Final = 200
KEPT_OUT: Final = "kept_out"
NOT_ALL: Final = "not_all_rows"
WORKERS_LOST: Final = "workers_lost"
UNREADABLE: Final = "storage_unreadable"
NOT_MADE: Final = "copy_not_made"
CUT: Final = "too_many_data_sets"

_WHY: Final[Mapping[str, str]] = {
    "rows_not_read": "They are kept where this service cannot copy from.",
    "person_needed": "No program reaches the place where they lie; a person has to look there.",
    "no_storage": "Nobody has told us where this data set lies.",
    "storage_disabled": "The place where they lie is switched off.",
    "storage_unreachable": "The place where they lie does not answer.",
    "storage_busy": "The place where they lie is busy.",
    "storage_missing": "They are not where they should lie.",
    "identifier_missing": "People are told apart there by something that we do not know of you.",
    KEPT_OUT: "Whoever keeps them looks at each request before handing any out.",
    WORKERS_LOST: "Reading them broke off each time.",
}
_OTHERWISE: Final = "What lies there is not as it was registered, so it could not be read."


@dataclass(frozen=True, slots=True)
class Shown:
    """One row as people read it: its first columns, and how many more the file has."""

    cells: Sequence[tuple[str, str]]
    more: int


def why_not(code: str) -> str:
    """Say why the rows of a data set are not in a copy."""
    return _WHY.get(code, _OTHERWISE)


def why_less(*, cut: int, unread: int) -> str:
    """Say which rows are not in a copy though others are; nothing if all are."""
    told = []
    if cut:
        told.append(f"A copy has room for {MOST_BYTES // 1_000_000} MB; {_rows(cut)} did not fit.")
    if unread:
        told.append(
            f"{_rows(unread)} more {'was' if unread == 1 else 'were'} seen there and not read: "
            "they are in older versions of the data set, or it was being written."
        )
    return " ".join(told)


def why_fewer(*, more: int, truncated: bool) -> str:
    """Say which data sets that may hold somebody a copy does not name; nothing if it names all."""
    told = []
    if more:
        told.append(
            f"{more:,} more {'was' if more == 1 else 'were'} made from data that names me, and "
            f"{'is' if more == 1 else 'are'} further on: a copy looks into {MOST_DERIVED} and "
            "names as many others."
        )
    if truncated:
        told.append("There were too many ways to follow, so some data sets may be missing here.")
    return " ".join(told)


def is_kept_out(options: Mapping[str, Any]) -> bool:
    """Say whether whoever registered a data set keeps its rows out of copies."""
    return options.get("copy") is False


def whom_to_ask(controller: Mapping[str, Any]) -> str:
    """Say who has to hand out what a copy lacks."""
    by = ", ".join(str(controller[each]) for each in ("email", "address") if controller.get(each))
    return f"You may ask {controller['name']}{f' ({by})' if by else ''} for them."


def file_name(number: int, namespace: str, name: str) -> str:
    """Return a name that every file system takes, and that no other data set has in a copy.

    Whoever names a data set has no say in where its file is unpacked: nothing but letters, digits,
    dots and hyphens is left of the name, behind a number that is ours.
    """
    plain = unicodedata.normalize("NFKD", f"{namespace}.{name}").encode("ascii", "ignore").decode()
    slug = re.sub(r"\.{2,}", ".", re.sub(r"[^A-Za-z0-9.]+", "-", plain)).strip("-.")
    return f"rows/{number:02}-{slug[:80].rstrip('-.') or 'rows'}.jsonl"


def shown(line: bytes) -> Shown:
    """Return a row of the file for a page, long values cut."""
    cells = list(json.loads(line).items())
    first = [(name, _value(value)) for name, value in cells[:FIRST_COLUMNS]]
    return Shown(first, max(0, len(cells) - FIRST_COLUMNS))


def _value(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def _rows(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"
