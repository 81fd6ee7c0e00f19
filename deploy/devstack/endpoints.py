"""Where the servers of a state directory are, written down for those who join them.

Fault tests read the process ids here. Addresses of servers that are not ours are never written:
they may hold a password.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

FILE_NAME = "endpoints.json"


@dataclass(frozen=True)
class Endpoint:
    """One embedded server."""

    url: str
    pid: int | None


@dataclass(frozen=True)
class Endpoints:
    """The embedded servers of one supervisor; one that is not embedded is absent."""

    supervisor: int
    postgres: Endpoint | None
    valkey: Endpoint | None

    @classmethod
    def read(cls, state: Path) -> Self | None:
        """Return what is written down, or nothing where that is absent or not to be understood."""
        try:
            written: dict[str, Any] = json.loads((state / FILE_NAME).read_text())
            return cls(
                supervisor=int(written["supervisor"]),
                postgres=_endpoint(written["postgres"]),
                valkey=_endpoint(written["valkey"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, state: Path) -> None:
        """Replace the file in one step, readable by the owner alone."""
        draft = state / f"{FILE_NAME}.new"
        draft.unlink(missing_ok=True)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            json.dump(asdict(self), file)
        draft.replace(state / FILE_NAME)


def forget(state: Path) -> None:
    """Remove what an earlier supervisor wrote."""
    (state / FILE_NAME).unlink(missing_ok=True)


def _endpoint(written: dict[str, Any] | None) -> Endpoint | None:
    return Endpoint(url=written["url"], pid=written["pid"]) if written else None
