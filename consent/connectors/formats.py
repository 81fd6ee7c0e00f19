"""What a file format must be able to do, apart from where its files lie."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Protocol


@dataclass(frozen=True)
class Inspection:
    """What a file holds: all rows, those of the people asked for, and how it is built.

    ``schema`` is whatever must be equal before and after a rewrite.
    """

    rows: int
    hits: int
    schema: Any

    def without_hits(self) -> "Inspection":
        """Say what the file must be after these people are erased from it."""
        return Inspection(self.rows - self.hits, 0, self.schema)


class Format(Protocol):
    """Reads from the start of ``source`` however often it is called; closes nothing.

    Raises ``NoSubjectColumnError``, ``MisfitError``, or whatever its library raises.
    """

    def members(self, source: BinaryIO, column: str) -> Iterator[list[str]]:
        """Stream the identifiers, without NULL."""

    def hits(self, source: BinaryIO, column: str, values: frozenset[str]) -> int:
        """Count rows of these people; may believe what the file says about itself."""

    def rows(
        self, source: BinaryIO, column: str, values: frozenset[str]
    ) -> Iterator[Iterable[tuple[str, Any]]]:
        """Stream the rows of these people, each as its cells with their names, in order."""

    def inspect(self, source: BinaryIO, column: str, values: frozenset[str]) -> Inspection:
        """Read every identifier, believing no statistics."""

    def rewrite(
        self, source: BinaryIO, draft: BinaryIO, column: str, values: frozenset[str]
    ) -> Inspection:
        """Write to ``draft`` all rows but theirs, in order; return what ``source`` was."""


class NoSubjectColumnError(Exception):
    """The file does not have exactly one such column; the message may name the line."""


class MisfitError(Exception):
    """The file cannot be handled; the message is what to do, to follow the file's name."""
