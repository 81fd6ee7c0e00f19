"""Taking a manifest that is a Parquet file: one column, batch by batch.

Parquet is read from its end, so the body is written to a file first: one without a name, on this
machine's disk, where it lies in clear as it was sent. The file is gone when it was read, and when
the process dies in whatever way; what the disk keeps of erased blocks is beyond this. It is read
by a process of its own (`consent.parquet_reading`), because a damaged file can end the reader.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from consent.manifest_errors import BODY_BYTES, malformed
from governance.errors import BodyTooLargeError, ColophonError

_ROOT = Path(__file__).resolve().parents[1]
# Nothing of ours, and allocators that take addresses only when they use them.
_ENVIRONMENT = {
    "LANG": "C.UTF-8", "ARROW_DEFAULT_MEMORY_POOL": "system", "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2",
}  # fmt: skip


class ManifestRoomError(ColophonError):
    """There is no room on this machine to look at a manifest; nothing of it was taken."""

    code = "manifest_no_room"
    status = 503


def named(
    blocks: Iterable[bytes], *, column: str, limit: int = BODY_BYTES
) -> Iterator[tuple[int, str]]:
    """Yield each identifier with its row, or raise `ManifestMalformedError`.

    The column holds text, whole numbers or UUIDs; dots lead into structs. ``limit`` bounds the
    identifiers as lines of text: a small file may hold one text for a billion rows.
    """
    rows = 0
    with TemporaryFile(buffering=0) as file:
        _keep(blocks, file)
        with _reader(file, column) as answers:
            for answer in answers:
                if isinstance(answer, int) and answer == rows:
                    return
                texts = _texts(answer, rows)
                limit -= sum(len(each) + 1 for each in texts)
                if limit < 0:
                    raise BodyTooLargeError("the manifest names more than a body may hold")
                yield from enumerate(texts, start=rows + 1)
                rows += len(texts)
    # It was ended, by the file's own doing: nobody else ends it without ending us.
    raise malformed(rows + 1, "it is not Parquet that can be read")


def _keep(blocks: Iterable[bytes], file: IO[bytes]) -> None:
    for block in blocks:
        rest = memoryview(block)
        try:
            while rest:
                rest = rest[file.write(rest) :]
        except OSError:
            raise ManifestRoomError("there is no room to look at the manifest") from None
    file.seek(0)


@contextmanager
def _reader(file: IO[bytes], column: str) -> Iterator[Iterator[Any]]:
    """Start the process that reads, and yield what it says; it does not outlive the block."""
    name = column.encode(errors="surrogatepass").hex()
    command = [sys.executable, "-m", "consent.parquet_reading", name]
    try:
        process = subprocess.Popen(
            command, cwd=_ROOT, env=_ENVIRONMENT, stdin=file, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, encoding="ascii",
        )  # fmt: skip
    except OSError:
        raise ManifestRoomError("there is no room to look at the manifest") from None
    with process:
        try:
            assert process.stdout is not None
            yield (json.loads(line) for line in process.stdout if line.endswith("\n"))
        finally:
            process.kill()


def _texts(answer: Any, rows: int) -> list[str]:
    if isinstance(answer, list):
        return answer
    if isinstance(answer, dict) and "line" in answer:
        raise malformed(answer["line"], answer["reason"])
    if isinstance(answer, dict) and "too_large" in answer:
        raise BodyTooLargeError(answer["too_large"])
    raise malformed(rows + 1, "it is not Parquet that can be read")
