"""Iceberg tables of a catalogue in a SQL database (PostgreSQL or SQLite).

The address is the catalogue's database URL; behind its question mark stand ``catalog`` (its name,
else ``default``) and the properties of the file system (``s3.endpoint``, ``s3.access-key-id`` and
so on). The location is ``namespace.table``.

Rows are deleted by rewriting their files. If older snapshots still hold the people, their files are
removed first and the snapshots expired after, so that who is killed between finds them again; an
empty append makes the table forget the bounds of what it deleted. Files that no snapshot names
(left by a crashed writer) are not seen.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any, BinaryIO, Final, cast

from pyiceberg import exceptions as iceberg_errors
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.expressions import In, Reference
from pyiceberg.table import Table

from consent.connectors import arrow, plain
from consent.connectors.base import (
    JSON,
    Connector,
    Erased,
    Located,
    Place,
    StorageBusyError,
    StorageMissingError,
    StorageReadOnlyError,
    StorageRefusedError,
    StorageUnreachableError,
    StorageUnreadableError,
)
from consent.connectors.file_errors import translated
from consent.connectors.formats import MisfitError, NoSubjectColumnError
from consent.connectors.parquet import ParquetFormat
from consent.connectors.sql import database_url
from consent.connectors.sql_errors import translated as sql_translated

_PARQUET: Final = ParquetFormat()
BATCH: Final = 10_000
_DELETES: Final = "total-delete-files"


class IcebergConnector(Connector):
    """See the module; the evidence has snapshots and numbers of rows and files."""

    def members(self, place: Place) -> Iterator[list[str]]:
        """Stream the table as it is now, then the files that only its past uses."""
        with _opened(place) as table:
            for column in table.subjects():
                if texts := arrow.texts(column):
                    yield texts
            for _, source in table.old_files():
                yield from _PARQUET.members(source, place.subject_column)

    def locate(self, place: Place, values: frozenset[str]) -> Located:
        """Count rows, those of files that only its past uses too."""
        with _opened(place) as table:
            rows = table.count(values) + sum(table.left(values).values())
        return Located(rows, (place.location,) if rows else ())

    def rows(self, place: Place, values: frozenset[str]) -> Iterator[Mapping[str, JSON]]:
        """Stream from the table as it is now; what only its past holds is an older copy."""
        with _opened(place) as table:
            for batch in table.matching(values):
                yield from map(plain.row, arrow.cells(batch))

    def erase(self, place: Place, values: frozenset[str]) -> Erased:
        """Delete the rows, then what older snapshots keep of them."""
        with _opened(place, writing=True) as table:
            deleted = table.delete(values)
            evidence: dict[str, JSON] = {"rows_deleted": deleted}
            evidence |= table.forget(values)
        return Erased(deleted, (place.location,) if deleted else (), evidence)

    def verify(self, place: Place, values: frozenset[str]) -> int:
        """Scan the table anew, loaded from the catalogue again."""
        return self.locate(place, values).rows


@dataclass
class _Table:
    """An open table. Iceberg's statistics are believed to delete and to copy, never to count."""

    table: Table
    column: str

    def __post_init__(self) -> None:
        schema = self.table.schema().as_arrow()
        if arrow.type_at(schema, [self.column]) is None:
            raise NoSubjectColumnError
        self.kind = arrow.type_at(schema, [self.column])
        if any(self.column == each.name for each in self.table.spec().fields):
            raise MisfitError("have its owner delete the partitions: the column names folders")
        snapshot = self.table.current_snapshot()
        if snapshot and snapshot.summary and int(snapshot.summary.get(_DELETES) or 0):
            raise MisfitError(
                "rewrite its data files (rewrite_data_files with delete-file-threshold 1): delete "
                "files hide rows that are still in them"
            )

    def subjects(self) -> Iterator[Any]:
        scan = self.table.scan(selected_fields=(self.column,))
        for batch in scan.to_arrow_batch_reader():
            for start in range(0, batch.num_rows, BATCH):
                yield batch.column(0).slice(start, BATCH)

    def count(self, values: frozenset[str]) -> int:
        wanted = arrow.wanted(values, self.kind)
        return sum(arrow.counted(each, wanted) for each in self.subjects())

    def matching(self, values: frozenset[str]) -> Iterator[Any]:
        """Read these people's rows, filtered while a file is read: Iceberg holds what is left."""
        wanted = arrow.wanted(values, self.kind)
        if len(wanted):
            for batch in self.table.scan(row_filter=self._among(wanted)).to_arrow_batch_reader():
                yield arrow.kept(batch, arrow.belongs(arrow.at(batch, [self.column]), wanted))

    def delete(self, values: frozenset[str]) -> int:
        found = self.count(values)
        if found:
            self.table.delete(self._among(arrow.wanted(values, self.kind)))
        return found

    def _among(self, wanted: Any) -> In:
        return In(term=Reference(self.column), values=wanted.to_pylist())

    @cached_property
    def _files_of_now(self) -> set[str]:
        return {each.file.file_path for each in self.table.scan().plan_files()}

    def _files_ever(self) -> set[str]:
        io = self.table.io
        manifests: dict[str, Any] = {}
        for snapshot in self.table.snapshots():
            with suppress(FileNotFoundError):  # removed by an erasure that was killed
                manifests |= {each.manifest_path: each for each in snapshot.manifests(io)}
        paths: set[str] = set()
        for manifest in manifests.values():
            with suppress(FileNotFoundError):
                entries = manifest.fetch_manifest_entry(io, discard_deleted=True)
                paths |= {each.data_file.file_path for each in entries}
        return paths

    def old_files(self) -> Iterator[tuple[str, BinaryIO]]:
        """Open the data files that the current snapshot does not use."""
        for path in sorted(self._files_ever() - self._files_of_now):
            gone = suppress(FileNotFoundError)
            with gone, closing(self.table.io.new_input(path).open()) as source:
                yield path, cast("BinaryIO", source)

    def left(self, values: frozenset[str]) -> dict[str, int]:
        """Count these people's rows in old files, per file that has any."""
        found = (
            (path, _PARQUET.inspect(source, self.column, values).hits)
            for path, source in self.old_files()
        )
        return {path: hits for path, hits in found if hits}

    def forget(self, values: frozenset[str]) -> dict[str, JSON]:
        """Remove old files with these people, and the snapshots that used them."""
        self.__dict__.pop("_files_of_now", None)
        holding = self.left(values)
        if not holding:
            return {"old_files_removed": 0, "snapshots_expired": 0}
        self._check_unprotected(holding)
        self.table.append(self.table.schema().as_arrow().empty_table())
        past = [each for each in self.table.snapshots() if each != self.table.current_snapshot()]
        heads = {each.snapshot_id for each in self.table.metadata.refs.values()}
        expired = [each for each in past if each.snapshot_id not in heads]
        about = self._manifests(expired) - self._manifests(
            [each for each in self.table.snapshots() if each not in expired]
        )
        for path in [*holding, *about]:
            with suppress(FileNotFoundError):
                self.table.io.delete(path)
        self.table.maintenance.expire_snapshots().by_ids(
            [each.snapshot_id for each in expired]
        ).commit()
        return {
            "old_files_removed": len(holding),
            "snapshots_expired": len(expired),
            "time_travel": "ends before this erasure",
        }

    def _manifests(self, snapshots: list[Any]) -> set[str]:
        found: set[str] = set()
        for each in snapshots:
            found.add(each.manifest_list)
            with suppress(FileNotFoundError):
                found |= {one.manifest_path for one in each.manifests(self.table.io)}
        return found

    def _check_unprotected(self, holding: dict[str, int]) -> None:
        """Refuse to break a branch or a tag that still uses these files."""
        current = self.table.current_snapshot()
        for name, ref in self.table.metadata.refs.items():
            if current and ref.snapshot_id == current.snapshot_id:
                continue
            used = self.table.scan(snapshot_id=ref.snapshot_id).plan_files()
            if any(each.file.file_path in holding for each in used):
                raise StorageRefusedError(
                    f"Drop the branch or tag {name} of {self.table.name()[-1]}, which still holds "
                    "the rows, then try again."
                )


@contextmanager
def _opened(place: Place, *, writing: bool = False) -> Iterator[_Table]:
    name = place.location
    url, settings = _catalogue(place)
    with (
        warnings.catch_warnings(action="ignore"),
        translated(name, place.subject_column, writing=writing),
        sql_translated(f"the catalogue of {name}", writing=writing),
        _iceberg_errors(name, writing=writing),
    ):
        catalogue = SqlCatalog(settings.pop("catalog", "default"), uri=url, **settings)
        try:
            yield _Table(catalogue.load_table(name), place.subject_column)
        finally:
            catalogue.engine.dispose()


def _catalogue(place: Place) -> tuple[str, dict[str, str]]:
    """Take catalogue and file system out of the database URL; nothing is created."""
    url = database_url(place)
    mine = {key: str(each) for key, each in url.query.items() if "." in key or key == "catalog"}
    plain = url.difference_update_query([*mine])
    waits = {"s3.connect-timeout": "5", "s3.request-timeout": "30"}
    settings = {"init_catalog_tables": "false", "pool_pre_ping": "false", **waits, **mine}
    return plain.render_as_string(hide_password=False), settings


@contextmanager
def _iceberg_errors(name: str, *, writing: bool) -> Iterator[None]:
    try:
        yield
    except (
        iceberg_errors.NoSuchTableError,
        iceberg_errors.NoSuchNamespaceError,
        iceberg_errors.NoSuchIdentifierError,
    ):
        raise StorageMissingError(
            f"Restore {name} or unregister it: the catalogue has no such table."
        ) from None
    except iceberg_errors.CommitFailedException:
        raise StorageBusyError(
            f"Others are writing {name}; nothing was changed, it is tried again."
        ) from None
    except OSError as error:
        told = str(error)
        if error.errno is not None or "AWS Error" not in told:
            raise
        if "ACCESS_DENIED" not in told:
            raise StorageUnreachableError(
                f"Check the connection to the storage of {name} and its credentials."
            ) from None
        kind = StorageReadOnlyError if writing else StorageUnreadableError
        raise kind(
            f"Let the service's account read and write the files of {name}, then try again."
        ) from None
    except (ValueError, NotImplementedError, iceberg_errors.ValidationError):
        raise StorageUnreadableError(
            f"Check {name} with the engine that writes it: as an Iceberg table it cannot be read "
            "or rewritten here."
        ) from None
