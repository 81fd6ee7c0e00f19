"""JSON lines: one JSON object a line, UTF-8, plain or gzipped.

Lines are parsed to find people and copied as they stand, byte for byte. The subject column is a
key, or keys with dots that lead into nested objects (``user.id``). Every line must have it, since
a line that spells it otherwise could be anybody's; ``user.id?`` allows lines without, which are
nobody's, as those with ``null`` are.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import orjson

from consent.connectors.formats import Inspection, MisfitError, NoSubjectColumnError
from consent.connectors.identifiers import in_chunks
from consent.connectors.packing import packed, unpacked
from consent.connectors.plain import named

BATCH: Final = 10_000
LONGEST: Final = 16 << 20  # bytes in one line; more is a lost line end, not a record
_BOM: Final = b"\xef\xbb\xbf"
_ABSENT: Final = object()


@dataclass(frozen=True)
class JsonlFormat:
    """See the module; ``gzipped`` is the only thing that two such files may differ in."""

    gzipped: bool = False

    def members(self, source: BinaryIO, column: str) -> Iterator[list[str]]:
        """Stream the identifiers as text."""
        with unpacked(source, gzipped=self.gzipped) as lines:
            found = (text for _, _, text in _records(lines, column) if text is not None)
            yield from in_chunks(found, BATCH)

    def hits(self, source: BinaryIO, column: str, values: frozenset[str]) -> int:
        """Read it all: such a file says nothing about itself."""
        return self.inspect(source, column, values).hits

    def rows(
        self, source: BinaryIO, column: str, values: frozenset[str]
    ) -> Iterator[Iterable[tuple[str, Any]]]:
        """Parse the lines of these people anew, keeping long integers and keys that come twice."""
        with unpacked(source, gzipped=self.gzipped) as lines:
            for _, raw, text in _records(lines, column):
                if text is not None and text in values:
                    yield _whole(raw).items()

    def inspect(self, source: BinaryIO, column: str, values: frozenset[str]) -> Inspection:
        """Count lines; the schema is the SHA-256 of every byte that is not these people's."""
        with unpacked(source, gzipped=self.gzipped) as lines:
            return _copied(lines, None, column, values)

    def rewrite(
        self, source: BinaryIO, draft: BinaryIO, column: str, values: frozenset[str]
    ) -> Inspection:
        """Copy the lines as they stand, without those of these people."""
        gzipped = self.gzipped
        with unpacked(source, gzipped=gzipped) as lines, packed(draft, gzipped=gzipped) as out:
            return _copied(lines, out, column, values)


def _copied(
    lines: BinaryIO, out: BinaryIO | None, column: str, values: frozenset[str]
) -> Inspection:
    rows = hits = 0
    kept = hashlib.sha256()
    for mark, raw, text in _records(lines, column):
        is_row = bool(raw.strip())
        is_theirs = text is not None and text in values
        rows += is_row
        hits += is_theirs
        left = mark if is_theirs else mark + raw
        kept.update(left)
        if out is not None:
            out.write(left)
    return Inspection(rows, hits, kept.hexdigest())


def _records(lines: BinaryIO, column: str) -> Iterator[tuple[bytes, bytes, str | None]]:
    """Yield per line a byte order mark or nothing, the raw line, and whose it is."""
    subject = _Subject(column)
    number = 0
    while line := lines.readline(LONGEST):
        number += 1
        if len(line) == LONGEST and not line.endswith(b"\n"):
            raise MisfitError(f"look for a missing line end: line {number} is too long")
        mark = _BOM if number == 1 and line.startswith(_BOM) else b""
        raw = line.removeprefix(mark)
        yield mark, raw, subject.of(raw, number) if raw.strip() else None


class _Subject:
    """The key, or the path of keys, that identifies people."""

    def __init__(self, column: str) -> None:
        self._name = column.removesuffix("?")
        self._optional = column != self._name
        self._path = self._name.split(".")
        # Repeated or escaped, a key may stand there twice, and a parser keeps only the last.
        self._quoted = [json.dumps(each).encode() for each in {self._name, *self._path}]

    def of(self, raw: bytes, number: int) -> str | None:
        """Return the identifier in a line, or None where it is nobody's."""
        value = self._value(_parsed(raw, number, plain=self._is_plain(raw)), number)
        if value is _ABSENT:
            if not self._optional:
                raise NoSubjectColumnError(f"line {number}")
            return None
        if isinstance(value, float):  # perhaps an integer too long for the fast parser
            value = self._value(_parsed(raw, number, plain=False), number)
        if value is None or (isinstance(value, str) and value.isascii()):
            return value
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise MisfitError(
                f"write the identifier in line {number} as text or as an integer: it is neither"
            )
        text = str(value)
        if not _encodable(text):
            raise MisfitError(f"correct line {number}: the identifier in it is not Unicode")
        return text

    def _is_plain(self, raw: bytes) -> bool:
        return b"\\u" not in raw and all(raw.count(each) <= 1 for each in self._quoted)

    def _value(self, record: dict[str, Any], number: int) -> Any:
        direct = record.get(self._name, _ABSENT)
        if len(self._path) == 1:
            return direct
        nested: Any = record
        for key in self._path:
            if nested is None:
                break  # {"user": null} is nobody's
            if not isinstance(nested, dict):
                raise MisfitError(f"correct line {number}: the path to the identifier breaks off")
            nested = nested.get(key, _ABSENT)
            if nested is _ABSENT:
                break
        if direct is not _ABSENT and nested is not _ABSENT:
            raise NoSubjectColumnError(f"line {number}")
        return nested if direct is _ABSENT else direct


def _parsed(raw: bytes, number: int, *, plain: bool) -> dict[str, Any]:
    """Parse fast, or strictly where the line is unusual or the fast parser gives up on it."""
    record: Any = None
    if plain:
        try:
            record = orjson.loads(raw)
        except orjson.JSONDecodeError:
            plain = False
    if not plain:
        try:
            record = json.loads(raw.decode(), object_pairs_hook=_unique)
        except (ValueError, RecursionError):
            raise MisfitError(
                f"correct line {number}, which is no JSON object with each key once"
            ) from None
    if not isinstance(record, dict):
        raise MisfitError(f"correct line {number}, which is no JSON object")
    return record


def _whole(raw: bytes) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(raw.decode(), object_pairs_hook=named)
    except RecursionError:
        raise MisfitError("take apart what is nested too deep in a line of a person") from None
    return record


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        raise ValueError
    return record


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
