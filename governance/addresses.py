"""Whether a storage address can be used. No message ever quotes the address: it holds secrets."""

from pathlib import PurePosixPath

from governance.errors import ColophonError

SQL, FILES = "sql", "files"
CATALOGUED = {SQL, "iceberg"}


class StorageAddressUnusableError(ColophonError):
    """Nothing here can open the address, whatever lies behind it."""

    code = "storage_address_unusable"
    status = 400


def check_address(*, kind: str, address: str) -> None:
    """Raise `StorageAddressUnusableError` unless a connector of ``kind`` could open the address.

    Nothing is connected to: a storage may be down at the moment when it is registered.
    """
    if "\x00" in address:
        raise StorageAddressUnusableError("the address holds the character U+0000")
    if kind in CATALOGUED:
        _check_sql(address)
    elif kind == "http":
        if not address.startswith(("https://", "http://")):
            raise StorageAddressUnusableError("the address is not https://:KEY@host/base")
    elif kind != "manual":  # a person needs no address
        _check_files(address)


def _check_sql(address: str) -> None:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError

    try:
        url = make_url(address)
        dialect = url.get_dialect()
    except (SQLAlchemyError, ValueError):
        raise StorageAddressUnusableError(
            "the address is not one of SQLAlchemy's, dialect+driver://user:password@host/name, "
            "or its dialect is not installed"
        ) from None
    try:
        dialect.import_dbapi()
    except ImportError:
        raise StorageAddressUnusableError(
            f"the driver {dialect.driver} of {dialect.name} is not installed here"
        ) from None


def _check_files(address: str) -> None:
    import fsspec

    if "::" in address:
        raise StorageAddressUnusableError("a chained address is not supported")
    protocol, mark, path = address.partition("://")
    if not mark:
        if not PurePosixPath(address).is_absolute():
            raise StorageAddressUnusableError("a path must be absolute, or name its protocol")
        return
    if protocol not in fsspec.available_protocols():
        raise StorageAddressUnusableError("no such protocol is known to fsspec")
    try:
        fsspec.get_filesystem_class(protocol)
    except ImportError as error:
        needed = error.name or "a package"
        raise StorageAddressUnusableError(
            f"{needed}, which this protocol needs, is not installed here", needed=needed
        ) from None
    if protocol in {"file", "local"} and not PurePosixPath(path).is_absolute():
        raise StorageAddressUnusableError("a path must be absolute")
    if not path:
        raise StorageAddressUnusableError("the address names no place behind its protocol")
