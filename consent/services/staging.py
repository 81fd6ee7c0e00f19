"""Who a manifest names, as digests in a temporary table.

They are staged while the sender may be slow and no lock is held, by the oldest version of the key
of which there may be rows. Under the lock they are named: by the newest version, and while rows
are being moved up, by the one before too.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from django.db import connection

from consent import identifiers
from consent.identifiers import IdentifierMalformedError
from consent.manifest_errors import malformed
from consent.selectors.identifier_keys import Keys, digests_at, moved_up

CHUNK = 10_000
_BINARY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_DIGEST = b"\x00\x00\x00\x20"  # 32 bytes follow
_ONE_DIGEST, _THREE_FIELDS = b"\x00\x01" + _DIGEST, b"\x00\x03"
_TRUE, _FALSE = b"\x00\x00\x00\x01\x01", b"\x00\x00\x00\x01\x00"
_BINARY_END = b"\xff\xff"
_OF_SCHEME = " AND k.scheme = %(scheme)s"


@dataclass(frozen=True, slots=True)
class Staged:
    """How many rows were staged, and by which version of the key."""

    rows: int
    version: int


def digested(
    named: Iterator[tuple[int, str]], scheme: str, version: int
) -> Iterator[Sequence[bytes]]:
    """Digest those who are named, each with its line, some at a time."""
    while chunk := list(islice(named, CHUNK)):
        yield _digests(chunk, scheme, version)


def stage(digests: Iterable[Sequence[bytes]], version: int) -> Staged:
    """Copy digests, made by one version of the key, into the temporary table."""
    rows = 0
    with connection.cursor() as cursor:
        cursor.execute(
            "DROP TABLE IF EXISTS pg_temp.consent_staged, pg_temp.consent_named,"
            " pg_temp.consent_known, pg_temp.consent_fresh"
        )
        cursor.execute("CREATE TEMP TABLE consent_staged (digest bytea) ON COMMIT DROP")
        with cursor.copy("COPY consent_staged FROM STDIN (FORMAT BINARY)") as copy:
            copy.write(_BINARY_HEADER)
            for some in digests:
                rows += len(some)
                copy.write(b"".join(_ONE_DIGEST + digest for digest in some))
            copy.write(_BINARY_END)
    return Staged(rows, version)


def name(staged: Staged, keys: Keys, scheme: str) -> int:
    """Name each of those who were staged once, by the versions in use; return how many they are.

    With one version that is a table ``consent_named`` of their digests. While two are in use it
    has two rows for each, each with the other as its ``twin``, and says which is the ``newest``.
    ``consent_known`` says who is somebody, so that the many identifiers are looked at once.
    """
    with connection.cursor() as cursor:
        if staged.version == keys.newest:
            cursor.execute(
                "CREATE TEMP TABLE consent_named ON COMMIT DROP AS"
                " SELECT DISTINCT digest FROM consent_staged"
            )
            named: int = cursor.rowcount
        else:
            cursor.execute(
                "CREATE TEMP TABLE consent_named (digest bytea, twin bytea, newest boolean)"
                " ON COMMIT DROP"
            )
            named = _name_anew(staged.version, keys)
        cursor.execute("ANALYZE consent_named")
        cursor.execute(
            "CREATE TEMP TABLE consent_known ON COMMIT DROP AS"
            " SELECT n.digest, i.subject_id FROM consent_named n"
            "   JOIN consent_subjectidentifier i ON i.digest = n.digest AND i.scheme = %s",
            [scheme],
        )
    return named


def unknown(keys: Keys) -> str:
    """Return the SQL condition that a named ``n`` is nobody's identifier."""
    return _in_none_of("consent_known", "", keys)


def fresh(keys: Keys) -> str:
    """Return the SQL condition that a named ``n`` is to be written down: unknown, not erased."""
    met = f"{unknown(keys)} AND {_in_none_of('consent_tombstone', _OF_SCHEME, keys)}"
    return f"n.newest AND {met}" if keys.under_way else met


def _in_none_of(table: str, only: str, keys: Keys) -> str:
    """Each version by itself, since a look for either of two cannot be a join."""
    names = ("digest", "twin") if keys.under_way else ("digest",)
    return " AND ".join(
        f"NOT EXISTS (SELECT 1 FROM {table} k WHERE k.digest = n.{each}{only})"  # noqa: S608 ours
        for each in names
    )


def _name_anew(version: int, keys: Keys) -> int:
    """Digest by newer versions what was staged by an older one."""
    named = 0
    with connection.chunked_cursor() as staged, connection.cursor() as cursor:
        staged.execute("SELECT DISTINCT digest FROM consent_staged")
        while rows := staged.fetchmany(CHUNK):
            named += len(rows)
            oldest = moved_up([bytes(digest) for (digest,) in rows], version, keys.oldest)
            digests = keys.known_by(oldest)
            with cursor.copy("COPY consent_named FROM STDIN (FORMAT BINARY)") as copy:
                copy.write(_BINARY_HEADER)
                copy.write(_named(digests.newest, digests.before or digests.newest, _TRUE))
                copy.write(_named(digests.before, digests.newest, _FALSE))
                copy.write(_BINARY_END)
    return named


def _named(digests: Sequence[bytes], twins: Sequence[bytes], newest: bytes) -> bytes:
    return b"".join(
        _THREE_FIELDS + _DIGEST + digest + _DIGEST + twin + newest
        for digest, twin in zip(digests, twins, strict=False)
    )


def _digests(chunk: list[tuple[int, str]], scheme: str, version: int) -> Sequence[bytes]:
    try:
        return digests_at(version, scheme, (value for _, value in chunk))
    except IdentifierMalformedError:
        place, error = identifiers.first_malformed(scheme, (value for _, value in chunk))
        raise malformed(chunk[place][0], error.message) from None
