"""Files that outlive a restored database: written whole or not at all, by one process at a time.

Pure: directories come in as arguments, and none is made here. One that is missing may be a volume
that was not mounted, and what is written beside it would be lost with the next start.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

OWNER_ONLY = 0o600
LOCK_SECONDS = 10.0
_PAUSE = 0.02


@contextmanager
def locked(path: Path, *, seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Be the only process inside until the block ends; the lock goes with a process that dies.

    Raises OSError where the file cannot be made, and TimeoutError, which is one, after a while.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, OWNER_ONLY)
    try:
        ends = time.monotonic() + seconds
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            if time.monotonic() >= ends:
                raise TimeoutError(f"{path.name} is held by another process")
            time.sleep(_PAUSE)
        yield
    finally:
        os.close(handle)


def replace(path: Path, content: bytes) -> None:
    """Put a new content in the place of an old one; whoever reads, or a crash, sees either."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, OWNER_ONLY)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Bring to the disk which files a directory has."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
