"""Reading a column of an Arrow stream (its IPC format), in bounded memory.

Pure. Nothing that comes is believed: messages are bounded before they are read, compressed ones are
refused, since their size once inflated is the sender's word, and arrays are checked before they
are looked into. Nothing that was read is ever repeated in an error.
"""

import io
import struct
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from consent.listed import ROWS, Listed
from governance.errors import BodyTooLargeError, ColophonError

MESSAGE_BYTES = 32 << 20
DICTIONARY_BYTES = 128 << 20  # of all dictionaries in a stream, since all may have to be kept

_MARK = b"\xff" * 4  # what every message begins with
_VIEW = np.dtype([("length", "<i4"), ("rest", "V12")])
_MESSAGE_HEADER, _DICTIONARY_DATA, _BATCH_COMPRESSION = 2, 1, 3  # places in Arrow's Message.fbs


class StreamMalformedError(ColophonError):
    """The body is no Arrow stream with such a column; nothing of it was taken."""

    code = "stream_malformed"
    status = 400


def in_arrow(blocks: Iterable[bytes], *, column: str) -> Iterator[Listed]:
    """Yield what the rows of an Arrow stream have in a column: text or whole numbers, or nothing.

    Raises `StreamMalformedError` and `BodyTooLargeError`.
    """
    import pyarrow as pa

    first = 1
    try:
        reader = pa.ipc.open_stream(_File(_checked(_File(blocks))))
        place = _place(reader.schema, column)
        column_reader = _Column()
        for batch in reader:
            for some in column_reader.parts(batch.column(place), first):
                yield some
                first += 0 if some.rows is None else len(some.rows)
    except (pa.ArrowException, ValueError, OSError, EOFError, struct.error):
        raise StreamMalformedError(
            f"the body is not a whole Arrow stream, or not a sound one, from row {first} on",
            line=first,
        ) from None


class _File(io.RawIOBase):
    """Blocks as a file, of which no more than a message is read at a time."""

    def __init__(self, blocks: Iterable[Any]) -> None:
        self._blocks = iter(blocks)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return as many bytes as were asked for, fewer only at the end."""
        if not 0 <= size <= MESSAGE_BYTES:
            raise BodyTooLargeError(
                f"a batch has more than {MESSAGE_BYTES} bytes: write smaller ones",
                limit=MESSAGE_BYTES,
            )
        found = []
        while size and (self._rest or self._next()):
            part, self._rest = self._rest[:size], self._rest[size:]
            found.append(part)
            size -= len(part)
        return b"".join(found)

    def starts_with(self, mark: bytes) -> bool:
        """Say whether these are the next bytes; they are still to be read."""
        found = self.read(len(mark))
        self._rest = memoryview(found + bytes(self._rest))
        return found == mark

    def _next(self) -> bool:
        """Go on to the next block that is not empty, if there is one."""
        for block in self._blocks:
            if len(block):
                self._rest = memoryview(block)
                return True
        return False


def _checked(source: _File) -> Iterator[Any]:
    """Yield the messages that may be read, as they are sent."""
    import pyarrow as pa

    if not source.starts_with(_MARK):
        raise StreamMalformedError("the body is not an Arrow stream")
    dictionaries = 0
    for message in pa.ipc.MessageReader.open_stream(source):
        if message.type != "schema":
            _refuse_compressed(message.metadata.to_pybytes(), message.type)
        sent = message.serialize()
        dictionaries += sent.size if message.type == "dictionary" else 0
        if dictionaries > DICTIONARY_BYTES:
            raise BodyTooLargeError(
                f"the dictionaries have more than {DICTIONARY_BYTES} bytes: write plain columns",
                limit=DICTIONARY_BYTES,
            )
        yield sent
    if source.read(1):
        raise StreamMalformedError("the body goes on after the end of its Arrow stream")


def _refuse_compressed(metadata: bytes, kind: str) -> None:
    if kind not in {"record batch", "dictionary"}:
        raise StreamMalformedError("the stream holds other things than rows")
    batch = _followed(metadata, _field(metadata, _followed(metadata, 0), _MESSAGE_HEADER))
    if kind == "dictionary":
        batch = _followed(metadata, _field(metadata, batch, _DICTIONARY_DATA))
    if _field(metadata, batch, _BATCH_COMPRESSION):
        raise StreamMalformedError("its batches are compressed: send the whole body as gzip")


def _field(metadata: bytes, table: int, place: int) -> int:
    """Return where a FlatBuffers table has a field; 0 if it has none."""
    (back,) = struct.unpack_from("<i", metadata, table)
    (size,) = struct.unpack_from("<H", metadata, table - back)
    if 4 + 2 * place >= size:
        return 0
    (offset,) = struct.unpack_from("<H", metadata, table - back + 4 + 2 * place)
    return table + int(offset) if offset else 0


def _followed(metadata: bytes, at: int) -> int:
    return at + int(struct.unpack_from("<I", metadata, at)[0])


def _place(schema: Any, column: str) -> int:
    found = schema.get_all_field_indices(column)
    if len(found) != 1:
        raise StreamMalformedError(f"the stream has {len(found)} columns of that name")
    return int(found[0])


class _Column:
    """Reads one column, batch by batch; a dictionary is checked once, however often it is used."""

    def __init__(self) -> None:
        self._dictionary: Any = None
        self._values: Any = None

    def parts(self, column: Any, first: int) -> Iterator[Listed]:
        """Yield the rows of a batch, of which the first has this number in the stream."""
        import pyarrow as pa

        if pa.types.is_dictionary(column.type):
            values, indices = self._known(column.dictionary), column.indices
            indices.validate()
        else:
            values, indices = None, _sound(column)
        for start in range(0, len(column), ROWS):
            some, part = values, indices.slice(start, ROWS)
            if some is None:
                encoded = part.dictionary_encode()
                some, part = encoded.dictionary, encoded.indices
            yield _listed(some, part, first + start)

    def _known(self, dictionary: Any) -> Any:
        if self._dictionary is None or _places(dictionary) != _places(self._dictionary):
            self._dictionary, self._values = dictionary, _sound(dictionary)
        return self._values


def _places(array: Any) -> tuple[Any, ...]:
    """Return what tells one array from another while both are held: where their bytes are."""
    buffers = tuple(each and (each.address, each.size) for each in array.buffers())
    return array.offset, len(array), buffers


def _sound(array: Any) -> Any:
    """Return an array of texts or whole numbers after looking at all of it."""
    import pyarrow as pa

    array.validate(full=True)
    kinds = pa.types
    if kinds.is_string_view(array.type):
        return _without_views(array)
    if kinds.is_string(array.type) or kinds.is_large_string(array.type):
        return array
    if not kinds.is_integer(array.type):
        raise StreamMalformedError("the column holds neither text nor whole numbers")
    return array


def _without_views(array: Any) -> Any:
    """Return the texts that views show; many may show one, and together be larger than was sent."""
    import pyarrow as pa

    end = array.offset + len(array)
    views = np.frombuffer(array.buffers()[1] or b"", dtype=_VIEW, count=end)
    lengths = views["length"][array.offset :].astype(np.int64)
    if int(lengths[array.is_valid().to_numpy(zero_copy_only=False)].sum()) > MESSAGE_BYTES:
        raise BodyTooLargeError(
            f"a batch shows more than {MESSAGE_BYTES} bytes: write smaller ones",
            limit=MESSAGE_BYTES,
        )
    # By way of Python, which leaves alone what lies in the place of a null: nobody checks that.
    return pa.array(array.to_pylist(), pa.large_string())


def _listed(values: Any, indices: Any, first: int) -> Listed:
    import pyarrow as pa

    keys: NDArray[np.int64] = indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
    used, firsts, rows = np.unique(keys, return_index=True, return_inverse=True)
    if len(used) and not -1 <= used[0] <= used[-1] < len(values):
        raise StreamMalformedError("a row points outside of its dictionary", line=first)
    texts = values.take(pa.array(used[used >= 0])).to_pylist()
    # Nobody is in the place of -1, nor where the dictionary itself says nothing.
    known = [n for n, text in enumerate(texts) if text is not None]
    places = np.full(len(used), -1, dtype=np.intp)
    places[np.array(known, dtype=np.intp) + (len(used) - len(texts))] = np.arange(len(known))
    lines = (firsts + first)[places >= 0]
    return Listed([str(texts[n]) for n in known], lines, places[rows])
