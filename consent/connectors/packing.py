"""Files that are gzipped or not, read and written as plain bytes."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast


@contextmanager
def unpacked(source: BinaryIO, *, gzipped: bool) -> Iterator[BinaryIO]:
    """Read from the start; the source stays open."""
    source.seek(0)
    yield cast("BinaryIO", gzip.GzipFile(fileobj=source)) if gzipped else source


@contextmanager
def packed(draft: BinaryIO, *, gzipped: bool) -> Iterator[BinaryIO]:
    """Write; what is gzipped is complete when the block ends. The draft stays open."""
    if not gzipped:
        yield draft
        return
    with gzip.GzipFile(filename="", mode="wb", fileobj=draft, compresslevel=6) as out:
        yield cast("BinaryIO", out)
