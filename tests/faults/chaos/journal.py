"""What the clients know: each thing that they asked for, and what they were told.

It is written, and on disk, before a request is sent and after it is answered. A time-out is
"unknown", never "no". It alone decides what must be there afterwards.
"""

import json
import os
from collections import Counter
from pathlib import Path
from threading import Lock
from typing import Any


class Journal:
    """An append-only file, and the same in memory."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab")
        self._lock = Lock()
        self.invoked: dict[str, dict[str, Any]] = {}
        self.answered: dict[str, dict[str, Any]] = {}
        self.statuses: Counter[str] = Counter()
        self.wrong: list[str] = []

    def invoke(self, key: str, **facts: Any) -> None:
        """Write down that something is about to be asked for."""
        with self._lock:
            self.invoked.setdefault(key, facts)
        self._write({"invoke": key, **facts})

    def ok(self, key: str, **facts: Any) -> None:
        """Write down that it was acknowledged."""
        with self._lock:
            self.answered[key] = facts
        self._write({"ok": key, **facts})

    def unknown(self, key: str, why: str) -> None:
        """Write down that nobody knows whether it was done."""
        self._write({"unknown": key, "why": why})

    def saw(self, status: str, *, fault: str = "") -> None:
        """Count an answer; ``fault`` says what is wrong with it."""
        with self._lock:
            self.statuses[status] += 1
            if fault:
                self.wrong.append(fault)

    def of(self, what: str) -> dict[str, dict[str, Any]]:
        """Return what was acknowledged of one kind, by key."""
        return {
            key: {**self.invoked[key], **facts}
            for key, facts in self.answered.items()
            if self.invoked[key]["what"] == what
        }

    def _write(self, line: dict[str, Any]) -> None:
        with self._lock:
            self._file.write(json.dumps(line).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())
