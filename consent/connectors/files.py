"""Files of a folder or an object store: Parquet, CSV and JSON lines, known by their suffix.

The address is the root (``/abs/folder``, ``file:///abs/folder``, ``s3://bucket/prefix``), the
location a path or a pattern below it (``patients.csv``, ``patients/*.parquet``, ``**/*.csv``).

Files are erased from one after the other, each at once or not at all. A file without the people is
not touched; a file that loses all its rows remains, empty, with its schema.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Final, cast
from urllib.parse import unquote

from consent.connectors import plain
from consent.connectors.base import (
    JSON,
    Connector,
    ConnectorError,
    Erased,
    Located,
    Place,
    StorageMissingError,
    StorageUnreadableError,
)
from consent.connectors.csv import CsvFormat
from consent.connectors.file_errors import translated
from consent.connectors.folder import Folder
from consent.connectors.formats import Format, MisfitError
from consent.connectors.jsonl import JsonlFormat
from consent.connectors.objects import Objects
from consent.connectors.parquet import ParquetFormat
from consent.connectors.store import Rewrite, Store

_FORMATS: Final[dict[str, Format]] = {
    ".parquet": ParquetFormat(),
    ".csv": CsvFormat(),
    ".csv.gz": CsvFormat(gzipped=True),
    ".jsonl": JsonlFormat(),
    ".ndjson": JsonlFormat(),
    ".jsonl.gz": JsonlFormat(gzipped=True),
    ".ndjson.gz": JsonlFormat(gzipped=True),
}
# Engines keep bounds of every file in it: identifiers, which a rewrite would leave there.
_SUMMARY: Final = "_metadata"
_NULL: Final = "__HIVE_DEFAULT_PARTITION__"
# Where table formats keep their log, below the table's folder.
_LOGS: Final = {"delta": "_delta_log", "iceberg": "metadata/*.metadata.json"}


class FilesConnector(Connector):
    """See the module; the evidence has rows and SHA-256 of each file before and after."""

    def members(self, place: Place) -> Iterator[list[str]]:
        """Stream file by file."""
        store = store_of(place)
        for name, form in _files(store, place).items():
            with translated(name, place.subject_column), store.reading(name) as source:
                yield from form.members(source, place.subject_column)

    def locate(self, place: Place, values: frozenset[str]) -> Located:
        """Count, believing the statistics in Parquet files."""
        store = store_of(place)
        found = {
            name: _hits(store, name, form, place, values)
            for name, form in _files(store, place).items()
        }
        return Located(sum(found.values()), tuple(name for name, hits in found.items() if hits))

    def rows(self, place: Place, values: frozenset[str]) -> Iterator[Mapping[str, JSON]]:
        """Stream file by file; what only the names of folders say (``year=2026``) goes with it."""
        store, column = store_of(place), place.subject_column
        for name, form in _files(store, place).items():
            partition = _partition(name)
            with translated(name, column), store.reading(name) as source:
                for cells in form.rows(source, column, values):
                    yield {**partition, **plain.row(cells)}

    def erase(self, place: Place, values: frozenset[str]) -> Erased:
        """Rewrite the files that hold these people; an error carries what was done before it."""
        store = store_of(place)
        files = _files(store, place)
        done: list[dict[str, JSON]] = []
        with translated(place.location, place.subject_column, writing=True):
            _check_ownerless(store, files)
            store.sweep(files)
        for name, form in files.items():
            try:
                if _hits(store, name, form, place, values):
                    done += _rewritten(store, name, form, place, values)
            except ConnectorError as error:
                error.partial = _erased(done)
                raise
        return _erased(done)

    def verify(self, place: Place, values: frozenset[str]) -> int:
        """Read every identifier of every file, believing no statistics."""
        store, column, rows = store_of(place), place.subject_column, 0
        for name, form in _files(store, place).items():
            with translated(name, column), store.reading(name) as source:
                rows += form.inspect(source, column, values).hits
        return rows


def store_of(place: Place) -> Store:
    """Open the root that the address names."""
    scheme, _, rest = place.address.rpartition("://")
    local = scheme in {"", "file"}
    if "::" in place.address or (local and not rest.startswith("/")):
        raise StorageUnreadableError(
            "Register the storage by an absolute path or one URL such as s3://bucket/prefix."
        )
    with translated("this storage", place.subject_column):
        return Folder(rest) if local else Objects(place.address)


def _files(store: Store, place: Place) -> dict[str, Format]:
    """Find the files; what is hidden or a folder is passed over unless it looks like data."""
    files: dict[str, Format] = {}
    with translated(place.location, place.subject_column):
        names = store.names(place.location)
    for name in names:
        base = PurePosixPath(name).name
        form = next((f for suffix, f in _FORMATS.items() if base.lower().endswith(suffix)), None)
        if form and not name.endswith("/"):
            files[name] = form
        elif form:
            raise StorageUnreadableError(f"Name the files in {name} by a pattern: it is a folder.")
        elif not name.endswith("/") and not base.startswith((".", "_")):
            known = ", ".join(_FORMATS)
            raise StorageUnreadableError(f"Narrow the pattern to {known}: {name} is none of them.")
    _check_no_partition(files, place)
    if not files:
        raise StorageMissingError(
            f"Restore {place.location} or unregister it: there is no such file."
        )
    return files


def _check_no_partition(names: Iterable[str], place: Place) -> None:
    """Refuse folders such as ``person=ann``: no rewrite would take the name away."""
    marks = f"{place.subject_column}=".casefold()
    if any(part.casefold().startswith(marks) for name in names for part in name.split("/")[:-1]):
        raise StorageUnreadableError(
            f"Have the owner of {place.location} delete the person's partitions: "
            f"{place.subject_column} is in the names of folders, so the files cannot be rewritten."
        )


def _partition(name: str) -> Mapping[str, JSON]:
    """Return the columns that are kept as names of folders, as Hive writes them."""
    parts = (part.partition("=") for part in name.split("/")[:-1])
    told = ((unquote(key), unquote(value)) for key, equals, value in parts if key and equals)
    return plain.row((key, None if value == _NULL else value) for key, value in told)


def _check_ownerless(store: Store, names: Iterable[str]) -> None:
    """Refuse the files of a table format, whose own log would no longer fit them."""
    folders = {folder.as_posix() for name in names for folder in PurePosixPath(name).parents}
    for folder in sorted(folders):
        for kind, log in _LOGS.items():
            if store.names(log if folder == "." else f"{folder}/{log}"):
                raise StorageUnreadableError(
                    f"Register {folder} as a storage of kind {kind}: it is a table of that format, "
                    "which rewriting its files one by one would break."
                )


def _hits(store: Store, name: str, form: Format, place: Place, values: frozenset[str]) -> int:
    with translated(name, place.subject_column), store.reading(name) as source:
        return form.hits(source, place.subject_column, values)


def _rewritten(
    store: Store, name: str, form: Format, place: Place, values: frozenset[str]
) -> list[dict[str, JSON]]:
    """Replace one file if the draft reads back as it must; else the file stays as it is."""
    column = place.subject_column
    with translated(name, column, writing=True), store.rewriting(name) as rewrite:
        summary = PurePosixPath(name).with_name(_SUMMARY).as_posix()
        if store.names(summary):
            raise MisfitError(f"remove the summary {_SUMMARY} beside it, which would not fit")
        was = form.rewrite(rewrite.source, rewrite.draft, column, values)
        if not was.hits:  # somebody else erased them since we looked
            return []
        if form.inspect(rewrite.draft, column, values) != was.without_hits():
            raise MisfitError("have its owner erase the rows: it would not keep its schema")
        evidence = _figures(name, rewrite, was.rows, was.rows - was.hits)
        evidence |= rewrite.publish()
    return [evidence]


def _figures(name: str, rewrite: Rewrite, before: int, after: int) -> dict[str, JSON]:
    digests = []
    for file in (rewrite.source, rewrite.draft):
        file.seek(0)
        digests.append(hashlib.file_digest(cast("Any", file), "sha256").hexdigest())
    return {
        "name": name,
        "rows_before": before,
        "rows_after": after,
        "sha256_before": digests[0],
        "sha256_after": digests[1],
    }


def _erased(files: list[dict[str, JSON]]) -> Erased:
    rows = sum(int(str(f["rows_before"])) - int(str(f["rows_after"])) for f in files)
    return Erased(rows, tuple(str(f["name"]) for f in files), {"files": files})
