"""Many answers of yes or no, written down: as bits, as lines, as JSON, as an Arrow stream.

Pure. Each form says how long it is before it is written, so that one which was cut off is seen.
"""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PART = 1 << 20
ARROW_COLUMN = "permitted"

Answers = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Written:
    """How many bytes there are, and the bytes in blocks."""

    length: int
    blocks: Iterator[bytes]


def as_bits(answers: Answers) -> Written:
    """Write a bit each, the first in the least significant place of the first byte."""
    return _whole(_bits(answers))


def as_lines(answers: Answers) -> Written:
    """Write ``true`` or ``false`` a line."""
    return Written(_length(answers, yes=5, no=6), _words(answers, b"true\n", b"false\n"))


def as_json(answers: Answers) -> Written:
    """Write an object whose ``permitted`` is a list."""

    def blocks() -> Iterator[bytes]:
        yield b'{"permitted":['
        # The last has no comma behind it.
        yield from _words(answers[:-1], b"true,", b"false,")
        yield from _words(answers[-1:], b"true", b"false")
        yield b"]}"

    commas = max(0, len(answers) - 1)
    return Written(16 + _length(answers, yes=4, no=5) + commas, blocks())


def as_arrow(answers: Answers) -> Written:
    """Write an Arrow stream of one batch whose one column, ``permitted``, is boolean."""
    import pyarrow as pa

    bits = pa.py_buffer(_bits(answers))
    column = pa.Array.from_buffers(pa.bool_(), len(answers), [None, bits])
    batch = pa.record_batch([column], names=[ARROW_COLUMN])
    stream = io.BytesIO()
    with pa.ipc.new_stream(stream, batch.schema) as writer:
        writer.write_batch(batch)
    return _whole(stream.getvalue())


Write = Callable[[Answers], Written]


def _bits(answers: Answers) -> bytes:
    return np.packbits(answers, bitorder="little").tobytes()


def _words(answers: Answers, yes: bytes, no: bytes) -> Iterator[bytes]:
    for start in range(0, len(answers), PART):
        part = answers[start : start + PART].view(np.uint8).tobytes()
        yield part.replace(b"\0", no).replace(b"\1", yes)


def _length(answers: Answers, *, yes: int, no: int) -> int:
    permitted = int(np.count_nonzero(answers))
    return permitted * yes + (len(answers) - permitted) * no


def _whole(written: bytes) -> Written:
    return Written(len(written), iter([written]))
