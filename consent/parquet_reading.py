"""Reading one column of a Parquet file that somebody sent, in a process of its own.

``python -m consent.parquet_reading COLUMN < FILE``, the column's name in hexadecimal. The library
that reads Parquet trusts what a file says of itself: damaged ones end the process, and a page may
claim any size. So this process knows no secret, may take so much memory and time, and leaves no
image of itself behind. It answers in lines of JSON: a list of identifiers for each batch of rows,
then the number of rows; or, instead of a list, why it goes no further.
"""

import json
import resource
import struct
import sys
from collections.abc import Iterator
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from consent.connectors import arrow
from consent.connectors.formats import MisfitError, NoSubjectColumnError
from consent.connectors.parquet import path_to

BATCH: Final = 10_000
MEMORY: Final = 3 << 30  # addresses, of which the libraries take a third
SECONDS: Final = 3600  # of one core
FOOTER_BYTES: Final = 16 << 20  # what the file says of itself
CHUNK_BYTES: Final = 256 << 20  # of the identifiers in one row group, once inflated
LONGEST: Final = 320  # characters of an identifier
_LONGEST_BYTES: Final = 4 * LONGEST
_MAGIC: Final = b"PAR1"
_UNREADABLE: Final = "it is not Parquet that can be read"
_LARGE: Final = "a row group is too large: write the file in smaller ones"


class RefusedError(Exception):
    """A row names nobody, or nothing can be read from it on."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line, self.reason = line, reason


class TooLargeError(Exception):
    """What was sent unfolds to more than is looked at."""


def batches(file: IO[bytes], column: str) -> Iterator[list[str]]:
    """Yield the identifiers of some rows at a time; raise `RefusedError` or `TooLargeError`."""
    row = 1
    try:
        for identifiers in _opened(file, column):
            if identifiers.null_count:
                empty = pc.index(identifiers.is_null(), True).as_py()
                raise RefusedError(row + empty, "the identifier is empty")
            _refuse_long(identifiers, row)
            yield arrow.texts(identifiers)
            row += len(identifiers)
    except NoSubjectColumnError:
        raise RefusedError(1, "the file does not have the column once") from None
    except MisfitError as error:
        raise RefusedError(1, str(error)) from None
    except MemoryError:
        raise TooLargeError(_LARGE) from None
    except (pa.ArrowException, OSError, ValueError, OverflowError):
        raise RefusedError(row, _UNREADABLE) from None


def _opened(file: IO[bytes], column: str) -> Iterator[Any]:
    _refuse_long_footer(file)
    metadata = pq.read_metadata(file)
    leaves = [metadata.schema.column(each).path for each in range(metadata.num_columns)]
    if leaves.count(column) != 1:
        raise NoSubjectColumnError
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        if group.column(leaves.index(column)).total_uncompressed_size > CHUNK_BYTES:
            raise TooLargeError(_LARGE)
    # Texts stay folded, each of them once, until they are known to be short.
    parquet = pq.ParquetFile(file, read_dictionary=[column], pre_buffer=False)
    path, kind = path_to(parquet, column)
    arrow.identifier_type(kind)  # raises for what can be no identifier
    for batch in parquet.iter_batches(BATCH, columns=[column], use_threads=False):
        yield arrow.at(batch, path)


def _refuse_long_footer(file: IO[bytes]) -> None:
    size = file.seek(0, 2)
    file.seek(max(0, size - 8))
    told, magic = file.read(4), file.read(4)
    if magic != _MAGIC or struct.unpack("<I", told)[0] > FOOTER_BYTES:
        raise RefusedError(1, _UNREADABLE)
    file.seek(0)


def _refuse_long(identifiers: Any, row: int) -> None:
    """Refuse texts that can identify nobody before they are unfolded."""
    if not pa.types.is_dictionary(identifiers.type) or pa.types.is_integer(
        identifiers.type.value_type
    ):
        return
    lengths = pc.binary_length(identifiers.dictionary)
    if (pc.max(lengths).as_py() or 0) > _LONGEST_BYTES:
        long = pc.greater(lengths, _LONGEST_BYTES).take(identifiers.indices)
        first = max(0, pc.index(long, True).as_py())
        raise RefusedError(row + first, f"the identifier is longer than {LONGEST} characters")


def _confine() -> None:
    """Give up what a file that was made to do harm could use."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))


def main(column: str) -> None:
    """Answer what the file on standard input names in a column."""
    rows = 0
    try:
        for texts in batches(sys.stdin.buffer, column):
            rows += len(texts)
            _say(texts)
    except RefusedError as error:
        _say({"line": error.line, "reason": error.reason})
    except TooLargeError as error:
        _say({"too_large": str(error)})
    else:
        _say(rows)


def _say(what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _confine()
    main(bytes.fromhex(sys.argv[1]).decode(errors="surrogatepass"))
