"""What database drivers report, as our errors.

Their own messages quote rows, parameters and passwords, so nothing of them is kept.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TypeAlias

from sqlalchemy import exc

from consent.connectors import base

_Cause: TypeAlias = tuple[type[base.ConnectorError], str]

_READ_ONLY: _Cause = (
    base.StorageReadOnlyError,
    "Grant the service's account SELECT and DELETE on every row of {where}, then try again.",
)
_FORBIDDEN: _Cause = (
    base.StorageUnreadableError,
    "Grant the service's account SELECT on every row of {where}, then try again.",
)
_MISSING: _Cause = (
    base.StorageMissingError,
    "Restore {where} or unregister it: it does not exist.",
)
_NO_COLUMN: _Cause = (
    base.SubjectColumnMissingError,
    "Register the column of {where} that identifies people: the one named is not there.",
)
_BUSY: _Cause = (
    base.StorageBusyError,
    "Nothing was changed in {where} because others hold it; it is tried again later.",
)
_REFUSED: _Cause = (
    base.StorageRefusedError,
    "Erase what refers to the rows in {where} first, or change the constraint that keeps them.",
)
_UNREACHABLE: _Cause = (
    base.StorageUnreachableError,
    "Check that the database of {where} runs, and the address and credentials registered for it.",
)
_UNREADABLE: _Cause = (
    base.StorageUnreadableError,
    "Check {where}: the database could not carry out a plain SELECT or DELETE on it.",
)

# SQLSTATE, the longest prefix first: https://www.postgresql.org/docs/current/errcodes-appendix.html
_POSTGRESQL: Final = {
    "42501": _READ_ONLY,
    "25006": _READ_ONLY,
    "42809": _READ_ONLY,  # not a table
    "55000": _READ_ONLY,  # a view that cannot be deleted from
    "42P01": _MISSING,
    "3F000": _MISSING,
    "3D000": _MISSING,
    "42703": _NO_COLUMN,
    "55P03": _BUSY,
    "57014": _BUSY,
    "57P": _UNREACHABLE,
    "40": _BUSY,
    "08": _UNREACHABLE,
    "28": _UNREACHABLE,
    "53": _UNREACHABLE,
    "23": _REFUSED,
    "P0001": _REFUSED,
    "": _UNREADABLE,
}
_SQLITE: Final = {
    "SQLITE_READONLY": _READ_ONLY,
    "SQLITE_PERM": _READ_ONLY,
    "SQLITE_BUSY": _BUSY,
    "SQLITE_LOCKED": _BUSY,
    "SQLITE_CONSTRAINT": _REFUSED,
    "SQLITE_IOERR": _UNREACHABLE,
    "SQLITE_FULL": _UNREACHABLE,
    "SQLITE_CANTOPEN": _UNREACHABLE,
    "SQLITE_": _UNREADABLE,
}


@contextmanager
def translated(where: str, *, writing: bool) -> Iterator[None]:
    """Turn what SQLAlchemy and its drivers raise into a ``ConnectorError`` about ``where``."""
    try:
        yield
    except exc.NoSuchTableError:
        kind, text = _MISSING
    except exc.DBAPIError as error:
        kind, text = _cause(error)
    except exc.SQLAlchemyError:
        kind, text = _UNREADABLE
    else:
        return
    if kind is base.StorageReadOnlyError and not writing:
        kind, text = _FORBIDDEN
    raise kind(text.format(where=where)) from None


def _cause(error: exc.DBAPIError) -> _Cause:
    origin = error.orig
    if isinstance(origin, sqlite3.Error):
        name = getattr(origin, "sqlite_errorname", "SQLITE_")
        return next(cause for prefix, cause in _SQLITE.items() if name.startswith(prefix))
    state = getattr(origin, "sqlstate", None)
    if state:
        return next(cause for prefix, cause in _POSTGRESQL.items() if state.startswith(prefix))
    # No state: the connection never came about, or it broke; or a driver we know less well.
    if isinstance(error, exc.IntegrityError):
        return _REFUSED
    return _UNREACHABLE if isinstance(error, exc.OperationalError) else _UNREADABLE
