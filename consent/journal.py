"""The journal of erasures: a file beside the database, because a restored backup knows no better.

Pure: directory and key come in as arguments. A line is canonical JSON: who was forgotten, as keyed
digests, for which request, and when. It ends with a checksum over itself and the line before,
keyed, so that whoever can write the file cannot change what it says. Lines are added under a lock
and brought to the disk before anybody relies on them; none is ever changed.

What follows the last line break is nothing: its writer died, and had told nobody yet. A line too
many does no harm, because whoever it names asked to be erased. That lines are missing from the end
no file can say of itself; a database that has seen them does (`seen`).
"""

import hashlib
import hmac
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import rfc8785

from governance import durable, strictjson
from governance.errors import ColophonError

FILE, LOCK_FILE = "erasures.journal", "erasures.lock"
START = bytes(32)  # what the first line follows
FIRST_KEY = 1
_TAIL_BYTES = 1 << 16


class JournalUnavailableError(ColophonError):
    """The journal cannot be read or written now, so nobody is forgotten now; try again."""

    code = "erasure_journal_unavailable"
    status = 503


class JournalDamagedError(ColophonError):
    """Lines of the journal were changed or removed; ``after`` is the last that can be relied on."""

    code = "erasure_journal_damaged"
    status = 503


@dataclass(frozen=True, slots=True)
class Identifier:
    """By what a person was known. ``key_version`` names the key of the digest."""

    scheme: str
    digest: bytes
    key_version: int = FIRST_KEY


@dataclass(frozen=True, slots=True)
class Entry:
    """A person who was forgotten, by every identifier; no request where none is known."""

    at: datetime
    request: UUID | None
    identifiers: tuple[Identifier, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """An entry in its place, counted from one."""

    number: int
    checksum: bytes
    entry: Entry


@dataclass(frozen=True, slots=True)
class Seen:
    """The last line that a database knows of; number 0 if it knows of none."""

    number: int = 0
    checksum: bytes = START


def lines(directory: Path, key: bytes, *, seen: Seen | None = None) -> Iterator[Line]:
    """Give every line, checked; nothing where there is no journal and none was ``seen``.

    Raises `JournalUnavailableError`, and `JournalDamagedError` at the line that is wrong.
    """
    seen = seen or Seen()
    found = Seen()
    for raw in _whole_lines(directory):
        line = _read(raw, found, key)
        found = Seen(line.number, line.checksum)
        if found.number == seen.number and found.checksum != seen.checksum:
            raise _damaged(found.number - 1, "it is not the line that the database has seen")
        yield line
    if found.number < seen.number:
        raise _damaged(found.number, f"the database has seen {seen.number} lines")


def sound(directory: Path, key: bytes) -> Iterator[Line]:
    """Give the lines before the first that is wrong; raises `JournalUnavailableError` alone."""
    with suppress(JournalDamagedError):
        yield from lines(directory, key)


def require(directory: Path) -> None:
    """Raise `JournalUnavailableError` where no line can be written, as far as a look can tell."""
    if not directory.is_dir():
        raise _unavailable(directory, NotADirectoryError())
    if not os.access(directory, os.W_OK | os.X_OK):
        raise _unavailable(directory, PermissionError())


def add(directory: Path, key: bytes, entries: Iterable[Entry], *, seen: Seen) -> list[Line]:
    """Add lines and bring them to the disk; only then may anybody be forgotten by them.

    ``seen`` is the least that must be there. Raises `JournalUnavailableError` and
    `JournalDamagedError`; nothing is added then.
    """
    with _held(directory):
        last = _last(directory / FILE)
        if last.number < seen.number:
            raise _damaged(last.number, f"the database has seen {seen.number} lines")
        added = _following(last, entries, key)
        _append(directory / FILE, b"".join(_written(line) for line in added))
        return added


def renew(directory: Path, key: bytes, entries: Iterable[Entry], *, aside: str) -> list[Line]:
    """Put a new journal in the place of a damaged one, which is kept under the name ``aside``.

    Every line before the damage is taken over as it is; ``entries`` follow. Returns all lines.
    """
    with _held(directory):
        kept = list(sound(directory, key))
        last = Seen(kept[-1].number, kept[-1].checksum) if kept else Seen()
        kept += _following(last, entries, key)
        path = directory / FILE
        if path.exists():
            durable.replace(directory / aside, path.read_bytes())
        durable.replace(path, b"".join(_written(line) for line in kept))
        return kept


@contextmanager
def _held(directory: Path) -> Iterator[None]:
    try:
        with durable.locked(directory / LOCK_FILE):
            yield
    except OSError as error:
        raise _unavailable(directory, error) from None


def _whole_lines(directory: Path) -> Iterator[bytes]:
    try:
        if not directory.is_dir():
            raise NotADirectoryError
        with (directory / FILE).open("rb") as file:
            for raw in file:
                if raw.endswith(b"\n"):
                    yield raw
    except FileNotFoundError:
        return
    except OSError as error:
        raise _unavailable(directory, error) from None


def _last(path: Path) -> Seen:
    """Return the last whole line's place, as it says itself, from the end of the file alone."""
    try:
        with path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            size, whole = 0, b""
            while b"\n" not in whole[:-1] and size < end:
                size = min(end, size * 2 or _TAIL_BYTES)
                file.seek(end - size)
                tail = file.read()
                whole = tail[: tail.rfind(b"\n") + 1]
    except FileNotFoundError:
        return Seen()
    if not whole:
        return Seen()
    try:
        said = _object(whole[:-1].rpartition(b"\n")[2])
        return Seen(int(said["n"]), bytes.fromhex(said["sum"]))
    except (KeyError, TypeError, ValueError, strictjson.MalformedJSONError):
        raise _damaged(0, "its last line cannot be read") from None


def _append(path: Path, raw: bytes) -> None:
    fresh = not path.exists()
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
    handle = os.open(path, flags, durable.OWNER_ONLY)
    try:
        end = _end_of_whole_lines(handle)
        os.ftruncate(handle, end)  # what a dead writer left of a line
        try:
            written = 0
            while written < len(raw):
                written += os.write(handle, raw[written:])
            os.fsync(handle)
        except OSError:
            os.ftruncate(handle, end)
            raise
    finally:
        os.close(handle)
    if fresh:
        durable.sync_directory(path.parent)


def _end_of_whole_lines(handle: int) -> int:
    end = os.fstat(handle).st_size
    while end:
        start = max(0, end - _TAIL_BYTES)
        at = os.pread(handle, end - start, start).rfind(b"\n")
        if at >= 0:
            return start + at + 1
        end = start
    return 0


def _following(last: Seen, entries: Iterable[Entry], key: bytes) -> list[Line]:
    found = []
    for entry in entries:
        found.append(_next(last, entry, key))
        last = Seen(found[-1].number, found[-1].checksum)
    return found


def _next(last: Seen, entry: Entry, key: bytes) -> Line:
    number = last.number + 1
    return Line(number, _checksum(key, last.checksum, _body(number, entry)), entry)


def _body(number: int, entry: Entry) -> dict[str, Any]:
    return {
        "v": 1,
        "n": number,
        "at": entry.at.isoformat(),
        "request": str(entry.request) if entry.request else None,
        "known_by": [
            {"scheme": each.scheme, "digest": each.digest.hex(), "key": each.key_version}
            for each in entry.identifiers
        ],
    }


def _written(line: Line) -> bytes:
    body = _body(line.number, line.entry)
    return rfc8785.dumps({**body, "sum": line.checksum.hex()}) + b"\n"


def _checksum(key: bytes, before: bytes, body: Mapping[str, Any]) -> bytes:
    return hmac.digest(key, before + rfc8785.dumps(dict(body)), hashlib.sha256)


def _read(raw: bytes, before: Seen, key: bytes) -> Line:
    """Return a line that follows another, or raise `JournalDamagedError`."""
    try:
        said = _object(raw.removesuffix(b"\n"))
        entry = Entry(
            datetime.fromisoformat(said["at"]),
            UUID(said["request"]) if said["request"] else None,
            tuple(
                Identifier(str(each["scheme"]), bytes.fromhex(each["digest"]), int(each["key"]))
                for each in said["known_by"]
            ),
        )
        line = _next(before, entry, key)
        fits = hmac.compare_digest(bytes.fromhex(said["sum"]), line.checksum)
    except (KeyError, TypeError, ValueError, AttributeError, strictjson.MalformedJSONError):
        raise _damaged(before.number, "the next line cannot be read") from None
    if not fits or _written(line) != raw:
        raise _damaged(before.number, "the next line is not what was written")
    return line


def _object(raw: bytes) -> dict[str, Any]:
    said = strictjson.loads(raw)
    if not isinstance(said, dict):
        raise TypeError
    return said


def _damaged(after: int, what: str) -> JournalDamagedError:
    return JournalDamagedError(
        f"the journal of erasures was changed or cut off after line {after}: {what}", after=after
    )


def _unavailable(directory: Path, error: OSError) -> JournalUnavailableError:
    return JournalUnavailableError(
        f"the journal of erasures in {directory} cannot be used ({type(error).__name__}): mount "
        "the directory, make it writable, or set COLOPHON_JOURNAL_DIR"
    )
