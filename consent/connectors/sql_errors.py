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
# Class names, since the module is optional. It has no code of its own for a file in use.
_DUCKDB: Final = {
    "CatalogException": _MISSING,
    "ConstraintException": _REFUSED,
    "TransactionException": _BUSY,
    "InvalidInputException": _READ_ONLY,
    "PermissionException": _READ_ONLY,
    "InterruptException": _BUSY,
}
# https://mariadb.com/kb/en/mariadb-error-codes/, which MySQL shares
_MARIADB: Final[dict[object, _Cause]] = {
    **dict.fromkeys((1142, 1143, 1290, 1036, 1792, 1044, 1288), _READ_ONLY),
    **dict.fromkeys((1146, 1049), _MISSING),
    1054: _NO_COLUMN,
    **dict.fromkeys((1205, 1213, 3024, 1969, 1020), _BUSY),
    **dict.fromkeys((1451, 1048, 1644, 4025, 3819), _REFUSED),
    **dict.fromkeys((1040, 1045, 2002, 2003, 2006, 2013, 1053), _UNREACHABLE),
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
    module = type(origin).__module__.partition(".")[0]
    if module in {"duckdb", "_duckdb"}:
        return _cause_in_duckdb(origin)
    if module == "pymysql":
        number = origin.args[0] if origin and origin.args else None
        return _MARIADB.get(number, _UNREADABLE)
    state = getattr(origin, "sqlstate", None)
    if state:
        return next(cause for prefix, cause in _POSTGRESQL.items() if state.startswith(prefix))
    # No state: the connection never came about, or it broke; or a driver we know less well.
    if isinstance(error, exc.IntegrityError):
        return _REFUSED
    return _UNREACHABLE if isinstance(error, exc.OperationalError) else _UNREADABLE


def _cause_in_duckdb(origin: BaseException | None) -> _Cause:
    if type(origin).__name__ == "IOException":
        # Only its text tells a file that others have open from one that is damaged.
        return _BUSY if "lock" in str(origin) else _UNREADABLE
    return _DUCKDB.get(type(origin).__name__, _UNREADABLE)
