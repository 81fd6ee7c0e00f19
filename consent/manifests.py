"""Reading a manifest: a stream of bytes becomes the identifiers it names, in bounded memory.

Pure. Nothing that was read is ever repeated in an error: a line number has to do.
"""

import csv
import hmac
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import Any

from consent.manifest_errors import BODY_BYTES, malformed
from governance.errors import BodyTooLargeError, ColophonError
from governance.gzipped import GZIP_ONLY, MalformedGzipError

BLOCK_BYTES = 1 << 16
LINE_BYTES = 1 << 16
NDJSON_KEY = "id"


_ESCAPES = re.compile(r'["\\]')


class ManifestTruncatedError(ColophonError):
    """Fewer bytes came than were announced; half a list is worse than none."""

    code = "manifest_truncated"
    status = 400


class Form(StrEnum):
    """How a manifest is written."""

    NDJSON = "ndjson"
    CSV = "csv"
    PARQUET = "parquet"


class Body:
    """The bytes of a manifest: counted against ``length``, inflated within a bound, digested.

    Iterate it once, to its end; then `digest` names the content however it was compressed.
    """

    def __init__(
        self,
        read: Callable[[int], bytes],
        *,
        key: bytes,
        length: int | None = None,
        gzipped: bool = False,
        limit: int = BODY_BYTES,
    ) -> None:
        self._read, self._length, self._limit = read, length, limit
        self._gzip = zlib.decompressobj(GZIP_ONLY) if gzipped else None
        self._mac = hmac.new(key, digestmod="sha256")
        self._size = 0

    def __iter__(self) -> Iterator[bytes]:
        """Yield the content in blocks."""
        for block in self._inflated():
            self._size += len(block)
            if self._size > self._limit:
                raise BodyTooLargeError(f"the manifest holds more than {self._limit} bytes")
            self._mac.update(block)
            yield block

    @property
    def digest(self) -> bytes:
        """Return the keyed digest of the content read so far."""
        return self._mac.digest()

    def _sent(self) -> Iterator[bytes]:
        received = 0
        while block := self._read(BLOCK_BYTES):
            received += len(block)
            yield block
        if self._length is not None and received != self._length:
            raise ManifestTruncatedError(f"{received} bytes came of {self._length}")

    def _inflated(self) -> Iterator[bytes]:
        if self._gzip is None:
            yield from self._sent()
            return
        for block in self._sent():
            if self._gzip.eof:
                raise MalformedGzipError("the gzip body goes on after its end")
            yield from self._blocks(block)
        if not self._gzip.eof:
            raise MalformedGzipError("the gzip body ends too early")

    def _blocks(self, block: bytes) -> Iterator[bytes]:
        assert self._gzip is not None
        while block:
            try:
                yield self._gzip.decompress(block, BLOCK_BYTES)
            except zlib.error:
                raise MalformedGzipError("the body is not valid gzip") from None
            if self._gzip.unused_data:
                raise MalformedGzipError("the gzip body goes on after its end")
            block = self._gzip.unconsumed_tail


def named(form: Form, blocks: Iterable[bytes], *, column: str) -> Iterator[tuple[int, str]]:
    """Yield each identifier with its line number, or raise `ManifestMalformedError`.

    NDJSON: a string or a whole number a line, or an object that has one under ``column``. CSV: a
    header, then rows of as many fields. Empty lines name nobody. Parquet: a column, in which
    no row is empty; a row's number stands for the line's.
    """
    if form is Form.PARQUET:
        from consent import parquet_lists

        return parquet_lists.named(blocks, column=column)
    lines = _lines(blocks)
    return _csv(lines, column) if form is Form.CSV else _ndjson(lines, column)


def _lines(blocks: Iterable[bytes]) -> Iterator[str]:
    number, rest = 0, b""
    for block in blocks:
        *whole, rest = (rest + block).split(b"\n")
        for raw in whole:
            number += 1
            yield _text(raw, number)
        if len(rest) > LINE_BYTES:
            raise malformed(number + 1, "it is too long")
    if rest:
        yield _text(rest, number + 1)


def _text(raw: bytes, number: int) -> str:
    if len(raw) > LINE_BYTES:
        raise malformed(number, "it is too long")
    try:
        return raw.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError:
        raise malformed(number, "it is not UTF-8") from None


class _Object:
    """A JSON object, of which only the values under one key are kept."""

    __slots__ = ("values",)

    def __init__(self, values: list[Any]) -> None:
        self.values = values


def _ndjson(lines: Iterable[str], key: str) -> Iterator[tuple[int, str]]:
    def kept(pairs: list[tuple[str, Any]]) -> _Object:
        return _Object([value for name, value in pairs if name == key])

    decode = json.JSONDecoder(object_pairs_hook=kept).decode
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        inner = line[1:-1]
        if line[0] == line[-1] == '"' and inner.isprintable() and not _ESCAPES.search(inner):
            yield number, inner  # a text without escapes, as most lines are
            continue
        try:
            value = decode(line)
        except (ValueError, RecursionError):
            raise malformed(number, "it is not JSON") from None
        if type(value) is _Object:
            if len(value.values) != 1:
                raise malformed(number, "it does not name the identifier once")
            value = value.values[0]
        if type(value) is int:
            value = str(value)
        if type(value) is not str:
            raise malformed(number, "the identifier is neither text nor a whole number")
        yield number, value


def _csv(lines: Iterable[str], column: str) -> Iterator[tuple[int, str]]:
    reader = csv.reader((line + "\n" for line in lines), strict=True)
    header: list[str] | None = None
    try:
        for row in reader:
            if not row:
                continue
            if header is None:
                header = row
                if row.count(column) != 1:
                    raise malformed(reader.line_num, "the header does not have the column once")
                place = row.index(column)
            elif len(row) != len(header):
                raise malformed(reader.line_num, "it has not as many fields as the header")
            elif row[place]:
                yield reader.line_num, row[place]
            else:
                raise malformed(reader.line_num, "the identifier is empty")
    except csv.Error:
        raise malformed(reader.line_num, "it is not CSV") from None
    if header is None:
        raise malformed(1, "there is no header")
