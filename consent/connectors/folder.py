"""A folder on this machine or mounted on it, where a file is replaced in one step.

A draft lies beside the file, since a rename is atomic only within one file system. It is locked
while its writer lives, so a draft that can be locked was left by a process that was killed.
A writer that keeps the file open goes on writing to the old one; nobody can prevent that.
"""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

from consent.connectors.base import (
    JSON,
    LocationEscapesStorageError,
    StorageBusyError,
    StorageUnreachableError,
)
from consent.connectors.store import Rewrite, relative

PREFIX: Final = ".colophon-"
PATIENCE: Final = 5.0  # seconds to wait for another erasure of the same file


class Folder:
    """Files below one folder; a link may lead elsewhere inside, but not out."""

    def __init__(self, root: str) -> None:
        self._root = Path(root).resolve()
        if not self._root.is_dir():
            raise StorageUnreachableError(
                "Mount the folder that the storage's address names: it is not there."
            )

    def names(self, location: str) -> list[str]:
        """List each file once, however many links lead to it; a folder we may not read raises."""
        path = self._root / relative(location)
        matches = [path] if path.exists() else _matching(self._root, relative(location).split("/"))
        found: dict[Path, str] = {}
        for each in sorted(matches):
            name = each.relative_to(self._root).as_posix()
            real = self._inside(name)
            found.setdefault(real, f"{name}/" if real.is_dir() else name)
        return sorted(found.values())

    @contextmanager
    def reading(self, name: str) -> Iterator[BinaryIO]:
        """Open it; see ``Store``."""
        with self._inside(name).open("rb") as source:
            yield source

    @contextmanager
    def rewriting(self, name: str) -> Iterator[Rewrite]:
        """Lock the file and open a draft; a file that was changed meanwhile stays as it is."""
        target = self._inside(name)
        with _held(target, name) as source, _draft(target.parent) as (path, draft):
            seen = os.fstat(source.fileno())
            yield Rewrite(source, draft, partial(_publish, path, draft, target, seen, name))

    def url(self, name: str) -> tuple[str, dict[str, str]]:
        """Return the real path; it needs no options."""
        return str(self._inside(name)), {}

    def remove(self, name: str) -> None:
        """Delete it."""
        self._inside(name).unlink()

    def sweep(self, names: Iterable[str]) -> None:
        """Remove the drafts of the dead; those of the living are locked."""
        for folder in {self._inside(name).parent for name in names}:
            for left in folder.glob(f"{PREFIX}*"):
                with suppress(FileNotFoundError), left.open("r+b") as draft:
                    if _locked(draft, 0):
                        left.unlink()

    def _inside(self, name: str) -> Path:
        real = Path(os.path.realpath(self._root / name))  # a loop of links fails when opened
        if not real.is_relative_to(self._root):
            raise LocationEscapesStorageError(
                f"Replace the link {name} by what it stands for: it leads out of the storage."
            )
        return real


def _matching(
    folder: Path, parts: list[str], above: frozenset[Path] = frozenset()
) -> Iterator[Path]:
    """Expand a pattern; unlike ``glob``, fail at a folder that we may not read."""
    head, rest = parts[0], parts[1:]
    if head == "**":
        above |= {folder.resolve()}
        yield from _matching(folder, rest or ["*"])
        for each in folder.iterdir():
            if each.is_dir() and each.resolve() not in above:  # a link may lead back up
                yield from _matching(each, parts, above)
        return
    for each in folder.iterdir():
        if each.name == head or fnmatchcase(each.name, head):
            if not rest:
                yield each
            elif each.is_dir():
                yield from _matching(each, rest)


@contextmanager
def _held(target: Path, name: str) -> Iterator[BinaryIO]:
    """Open and lock the file that has this name once we have the lock."""
    until = time.monotonic() + PATIENCE
    while True:
        # Opened for writing though only read: a file that is protected must not be replaced.
        with target.open("r+b") as source:
            if not _locked(source, until - time.monotonic()):
                raise _busy(name)
            if os.path.samestat(os.fstat(source.fileno()), target.stat()):
                yield source
                return


@contextmanager
def _draft(folder: Path) -> Iterator[tuple[Path, BinaryIO]]:
    while True:
        handle, name = tempfile.mkstemp(prefix=PREFIX, dir=folder)
        path = Path(name)
        try:
            with os.fdopen(handle, "r+b") as file:
                # Between its making and its locking, another erasure may have swept it.
                if _locked(file, 0) and os.fstat(handle).st_nlink:
                    yield path, file
                    return
        finally:
            path.unlink(missing_ok=True)


def _publish(
    path: Path, draft: BinaryIO, target: Path, seen: os.stat_result, name: str
) -> Mapping[str, JSON]:
    """Put the draft in the file's place, surviving a power cut as either one or the other."""
    draft.flush()
    made = os.fstat(draft.fileno())
    if (made.st_uid, made.st_gid) != (seen.st_uid, seen.st_gid):
        os.chown(path, seen.st_uid, seen.st_gid)
    shutil.copystat(target, path)
    os.utime(path)  # tools that copy by date must see that it changed
    os.fsync(draft.fileno())
    if not _unchanged(target, seen):
        raise _busy(name)
    path.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return {}


def _locked(file: BinaryIO, patience: float) -> bool:
    """Take the lock, which ends with the handle; say whether we got it in time."""
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.05)
        else:
            return True


def _unchanged(target: Path, seen: os.stat_result) -> bool:
    now = target.stat()
    return os.path.samestat(now, seen) and (now.st_size, now.st_mtime_ns) == (
        seen.st_size,
        seen.st_mtime_ns,
    )


def _busy(name: str) -> StorageBusyError:
    return StorageBusyError(f"Others are writing {name}; nothing was changed, it is tried again.")
