"""A list of identifiers as it comes: some rows at a time, however it is written.

Pure. Nothing that was read is ever repeated in an error.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from consent import manifests
from consent.identifiers import IdentifierMalformedError, first_malformed
from consent.manifests import Form

ROWS = 200_000


@dataclass(frozen=True, slots=True)
class Listed:
    """Some rows: the identifiers that they have, and in which line each of these is seen first.

    ``rows`` says which identifier each row has, and -1 for none; without it, each has its own.
    Where there are no lines, none is named.
    """

    values: Sequence[str]
    lines: "Sequence[int] | NDArray[np.intp]" = ()
    rows: "NDArray[np.intp] | None" = None

    def refusal(self, scheme: str) -> IdentifierMalformedError:
        """Return why the first identifier that cannot be one is refused, and in which line."""
        place, error = first_malformed(scheme, self.values)
        if not len(self.lines):
            return error
        line = int(self.lines[place])
        return IdentifierMalformedError(f"line {line}: {error.message}", line=line)


def in_ndjson(blocks: Iterable[bytes], *, column: str) -> Iterator[Listed]:
    """Yield what a list holds of which each line is an identifier, or has one under ``column``.

    Empty lines are no rows. Raises `consent.manifest_errors.ManifestMalformedError`.
    """
    lines: list[int] = []
    values: list[str] = []
    for line, value in manifests.named(Form.NDJSON, blocks, column=column):
        lines.append(line)
        values.append(value)
        if len(values) == ROWS:
            yield Listed(values, lines)
            lines, values = [], []
    yield Listed(values, lines)
