"""What a place for files must be able to do. Names are relative to its root, with "/"."""

import posixpath
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from consent.connectors.base import JSON, LocationEscapesStorageError


@dataclass(frozen=True)
class Rewrite:
    """A file that is written anew; the draft vanishes unless it is published.

    Publishing returns what else must be told in the evidence.
    """

    source: BinaryIO
    draft: BinaryIO
    publish: Callable[[], Mapping[str, JSON]]


class Store(Protocol):
    """A root with files in it. Raises ``OSError`` as it comes, or a ``ConnectorError``."""

    def names(self, location: str) -> list[str]:
        """List what is there by this name, or else by this pattern; folders end in "/"."""

    def reading(self, name: str) -> AbstractContextManager[BinaryIO]:
        """Open a file anew."""

    def rewriting(self, name: str) -> AbstractContextManager[Rewrite]:
        """Open a file to replace it as a whole; who else wants to meanwhile must wait."""

    def url(self, name: str) -> tuple[str, dict[str, str]]:
        """Return where others find it: the path or URL, and object_store's options for it."""

    def remove(self, name: str) -> None:
        """Delete a file."""

    def sweep(self, names: Iterable[str]) -> None:
        """Remove drafts that a killed process left beside these files."""


def relative(location: str) -> str:
    """Return the location without detours; raise ``LocationEscapesStorageError`` if it leaves."""
    parts = location.split("/")
    if not parts[0] or ".." in parts or "\0" in location:
        raise LocationEscapesStorageError(
            "Register the location as a path or pattern below its storage, without '..'."
        )
    return posixpath.normpath(location)
