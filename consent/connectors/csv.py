"""CSV with a header, comma separated, UTF-8, plain or gzipped.

Records are parsed to find people and copied as they stand: quoting, numbers, line endings and
bytes that are not UTF-8 come out as they went in. An empty cell is NULL, so it is nobody.
"""

import csv
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO, TextIOWrapper
from itertools import zip_longest
from typing import Any, BinaryIO, Final

from consent.connectors.formats import Inspection, MisfitError, NoSubjectColumnError
from consent.connectors.identifiers import in_chunks
from consent.connectors.packing import packed, unpacked

BATCH: Final = 10_000
LONGEST: Final = 16 << 20  # characters in one line or cell; more is a lost quote, not a record
_BOM: Final = "\ufeff"

# The module's only limit is process-wide and lower than a long clinical note.
csv.field_size_limit(LONGEST)


@dataclass(frozen=True)
class CsvFormat:
    """See the module; ``gzipped`` is the only thing that two CSV files may differ in."""

    gzipped: bool = False

    def members(self, source: BinaryIO, column: str) -> Iterator[list[str]]:
        """Stream the cells of the column that are not empty."""
        with self._reading(source) as text:
            records = _Records(text, column)
            yield from in_chunks((cell for _, cell in records if cell), BATCH)

    def hits(self, source: BinaryIO, column: str, values: frozenset[str]) -> int:
        """Read it all: a CSV file says nothing about itself."""
        return self.inspect(source, column, values).hits

    def rows(
        self, source: BinaryIO, column: str, values: frozenset[str]
    ) -> Iterator[Iterable[tuple[str, Any]]]:
        """Parse the records of these people whole; an empty cell is NULL, cells too many stay."""
        with self._reading(source) as text:
            records = _Records(text, column)
            for raw, cell in records:
                if cell and cell in values:
                    [cells] = csv.reader(StringIO(raw, newline=""), strict=True)
                    more = (f"column {at + 1}" for at in range(len(records.names), len(cells)))
                    named = zip_longest([*records.names, *more], cells)
                    yield ((name, value or None) for name, value in named)

    def inspect(self, source: BinaryIO, column: str, values: frozenset[str]) -> Inspection:
        """Count records; a blank line is none."""
        rows = hits = 0
        with self._reading(source) as text:
            records = _Records(text, column)
            for _, cell in records:
                rows += cell is not None
                hits += bool(cell) and cell in values
            return Inspection(rows, hits, records.header)

    def rewrite(
        self, source: BinaryIO, draft: BinaryIO, column: str, values: frozenset[str]
    ) -> Inspection:
        """Copy header and records as they stand, without those of these people."""
        rows = hits = 0
        with self._reading(source) as text, self._writing(draft) as out:
            records = _Records(text, column)
            out.write(records.header)
            for raw, cell in records:
                rows += cell is not None
                if cell and cell in values:
                    hits += 1
                else:
                    out.write(raw)
            return Inspection(rows, hits, records.header)

    @contextmanager
    def _reading(self, source: BinaryIO) -> Iterator[TextIOWrapper]:
        with unpacked(source, gzipped=self.gzipped) as plain, _text(plain) as text:
            yield text

    @contextmanager
    def _writing(self, draft: BinaryIO) -> Iterator[TextIOWrapper]:
        with packed(draft, gzipped=self.gzipped) as plain, _text(plain) as text:
            yield text


class _Records:
    """Records one by one: the raw text, and the subject's cell.

    The cell is ``None`` for a blank line and empty where a short record has none.
    """

    def __init__(self, text: TextIOWrapper, column: str) -> None:
        self._text = text
        self._first = ""
        self._raw: list[str] = []
        self._parsed = csv.reader(self._lines(), strict=True)
        header = self._line()
        mark = _BOM if header.startswith(_BOM) else ""
        raw, names = self._record(header.removeprefix(mark))
        self.header, self.names = mark + raw, names
        if not names:
            raise MisfitError("give it a header line with the names of its columns")
        if names.count(column) != 1:
            raise NoSubjectColumnError
        self._at = names.index(column)

    def __iter__(self) -> Iterator[tuple[str, str | None]]:
        at = self._at
        while raw := self._line():
            if '"' in raw:
                raw, cells = self._record(raw)
            else:  # the common case, which takes the parser twice as long
                plain = raw.rstrip("\r\n")
                cells = plain.split(",", at + 1) if plain else []
            if len(cells) <= at:
                yield raw, "" if cells else None
                continue
            cell = cells[at]
            if not cell.isascii():
                _check_decoded(cell)
            yield raw, cell

    def _record(self, first: str) -> tuple[str, list[str]]:
        """Parse the record that begins with this line; return its own text too."""
        self._first = first
        cells = next(self._parsed, [])
        raw = "".join(self._raw)
        self._raw.clear()
        return raw, cells

    def _lines(self) -> Iterator[str]:
        while line := self._first or self._line():
            self._first = ""
            self._raw.append(line)
            yield line

    def _line(self) -> str:
        line = self._text.readline(LONGEST)
        if len(line) == LONGEST and not line.endswith(("\n", "\r")):
            raise MisfitError("look for a missing quote or line end: a line is too long")
        return line


def _check_decoded(cell: str) -> None:
    try:
        cell.encode()
    except UnicodeEncodeError:
        # Nobody could be found by it, and passing over a person must not look like success.
        raise MisfitError("convert it to UTF-8: identifiers in it are not") from None


@contextmanager
def _text(raw: BinaryIO) -> Iterator[TextIOWrapper]:
    text = TextIOWrapper(raw, encoding="utf-8", errors="surrogateescape", newline="")
    try:
        yield text
    finally:
        text.detach()
