"""The log of a Delta table: which entries name people, and how they are dropped.

Each commit says of its files their smallest and largest values, and perhaps by which predicate
rows were deleted. A checkpoint repeats what still holds; the entries before it are history only.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from deltalake import DeltaTable

from consent.connectors.store import Store

# 20 digits: a commit, its checksum, a checkpoint up to it, or commits that were put together.
_ENTRY: Final = re.compile(r"/(\d{20})\.(?:\S*\.)?(?:json|crc|parquet)$")


def forget_in_log(store: Store, table: str, delta: DeltaTable, values: frozenset[str]) -> int:
    """Drop the log up to a new checkpoint if any entry of it names these people; count entries."""
    log = f"{table}/_delta_log"
    commits = [name for name in store.names(f"{log}/*") if name.endswith(".json")]
    if not any(_names_them(store, name, values) for name in commits):
        return 0
    delta.update_incremental()
    delta.create_checkpoint()
    dropped = [name for name in store.names(f"{log}/*") if _version(name) < delta.version()]
    for name in dropped:
        store.remove(name)
    return len(dropped)


def _version(name: str) -> int:
    found = _ENTRY.search(name)
    return int(found.group(1)) if found else 1 << 63


def _names_them(store: Store, name: str, values: frozenset[str]) -> bool:
    with store.reading(name) as source:
        actions = [json.loads(line) for line in source if line.strip()]
    return any(text in values or _quotes(text, values) for text in _texts(actions))


def _quotes(text: str, values: frozenset[str]) -> bool:
    return "'" in text and any("'" + each.replace("'", "''") + "'" in text for each in values)


def _texts(told: Any, key: str = "") -> Iterator[str]:
    """Yield what could be an identifier: any text, and numbers among statistics."""
    if isinstance(told, dict):
        for name, each in told.items():
            inner = key if key.endswith("Values") else name
            yield from _texts(json.loads(each) if name == "stats" and each else each, inner)
    elif isinstance(told, list):
        for each in told:
            yield from _texts(each, key)
    elif isinstance(told, str):
        yield told
    elif isinstance(told, int) and key.endswith("Values"):
        yield str(told)
