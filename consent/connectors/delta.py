"""Delta Lake tables in a folder or an object store.

The address is the root as for files, the location the table's path below it. Rows are deleted by a
merge, since a deletion by predicate would write the identifiers into the table's log. Then every
file that the table no longer uses is removed if it still holds the people: what time travel and
the change feed show of them is gone, and so are the log entries that name them as smallest or
largest value. Rows of other people stay as they are.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake import exceptions as delta_errors

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
from consent.connectors.delta_log import forget_in_log
from consent.connectors.file_errors import translated
from consent.connectors.files import store_of
from consent.connectors.formats import MisfitError, NoSubjectColumnError
from consent.connectors.parquet import ParquetFormat
from consent.connectors.store import Store, relative

BATCH: Final = 10_000
_PARQUET: Final = ParquetFormat()
_CHANGES: Final = "_change_data/"
# Seconds are few, since the step is tried again anyway.
_PATIENCE: Final = {"connect_timeout": "5s", "max_retries": "2", "retry_timeout": "10s"}
# A status, and not some digits of a port that are the same.
_DENIED: Final = re.compile(r"permission denied|accessdenied|\b403\b")


class DeltaConnector(Connector):
    """See the module; the evidence has versions and numbers of rows and files."""

    def members(self, place: Place) -> Iterator[list[str]]:
        """Stream the table as it is now, then the files that only its past uses."""
        with _opened(place) as table:
            for column in table.subjects():
                if texts := arrow.texts(column):
                    yield texts
            for _, source in table.unused():
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
        """Delete the rows, then what the past keeps of them; killed between, do the rest again."""
        with _opened(place, writing=True) as table:
            table.check_erasable()
            before, version = table.count(values), table.delta.version()
            deleted = table.delete(values) if before else 0
            evidence: dict[str, JSON] = {"version_before": version, "rows_deleted": deleted}
            evidence |= table.forget(values)
            evidence["version_after"] = table.delta.version()
            table.check_nothing_left(values, Erased(deleted, (place.location,), evidence))
        return Erased(deleted, (place.location,) if deleted else (), evidence)

    def verify(self, place: Place, values: frozenset[str]) -> int:
        """Open the table anew and read every identifier, whatever statistics say."""
        return self.locate(place, values).rows


@dataclass
class _Table:
    store: Store
    name: str
    column: str
    url: str
    settings: dict[str, str]
    keys: list[str] = field(init=False)
    kind: Any = field(init=False)
    delta: DeltaTable = field(init=False)

    def __post_init__(self) -> None:
        self.read_anew()
        schema = pa.schema(self.delta.schema().to_arrow())
        names = self.column.split(".")
        paths = [each for each in ([self.column], names) if arrow.type_at(schema, each) is not None]
        if not paths:
            raise NoSubjectColumnError
        self.keys, self.kind = paths[0], arrow.type_at(schema, paths[0])
        if self.keys[0] in self.delta.metadata().partition_columns:
            raise MisfitError("have its owner delete the partitions: the column names folders")
        if _vectors(self.delta):
            raise MisfitError(
                "purge its deletion vectors (REORG TABLE ... APPLY (PURGE)), which hide rows that "
                "are still in its files"
            )

    def read_anew(self) -> None:
        self.delta = DeltaTable(self.url, storage_options=self.settings)

    def check_erasable(self) -> None:
        if self.delta.metadata().configuration.get("delta.appendOnly", "").lower() == "true":
            raise StorageReadOnlyError(
                f"Set delta.appendOnly of {self.name} to false, then try again: nothing may be "
                "deleted from it."
            )

    def path(self, name: str) -> str:
        return f"{self.name}/{name}"

    @property
    def subject(self) -> dict[str, Any]:
        return {"subject": pc.field(*self.keys) if len(self.keys) > 1 else pc.field(self.keys[0])}

    def subjects(self) -> Iterator[Any]:
        table = self.delta.to_pyarrow_dataset()
        for batch in table.to_batches(columns=self.subject, batch_size=BATCH):
            yield batch.column("subject")

    def matching(self, values: frozenset[str]) -> Iterator[Any]:
        """Read these people's rows, all columns of only those files that do hold them."""
        wanted, table = arrow.wanted(values, self.kind), self.delta.to_pyarrow_dataset()
        for file in table.get_fragments():
            found = file.to_batches(schema=table.schema, columns=self.subject, batch_size=BATCH)
            if any(arrow.counted(each.column("subject"), wanted) for each in found):
                for batch in file.to_batches(schema=table.schema, batch_size=BATCH):
                    theirs = arrow.belongs(arrow.at(batch, self.keys), wanted)
                    yield arrow.kept(batch, theirs)

    def count(self, values: frozenset[str]) -> int:
        wanted = arrow.wanted(values, self.kind)
        return sum(arrow.counted(each, wanted) for each in self.subjects())

    def delete(self, values: frozenset[str]) -> int:
        theirs = pa.table({"subject": arrow.wanted(values, self.kind)})
        names = ["`" + each.replace("`", "``") + "`" for each in self.keys[:1]]
        inner = "".join("['" + each.replace("'", "''") + "']" for each in self.keys[1:])
        matching = f"t.{names[0]}{inner} = s.subject"
        merge = self.delta.merge(theirs, matching, source_alias="s", target_alias="t")
        return int(merge.when_matched_delete().execute()["num_target_rows_deleted"])

    def unused(self) -> Iterator[tuple[str, BinaryIO]]:
        """Open the files that the table as it is now does not use, one after the other."""
        listed = self.delta.vacuum(0, dry_run=True, enforce_retention_duration=False, full=True)
        for name in listed:
            if name.endswith(".parquet"):
                gone = suppress(FileNotFoundError)  # the log goes on naming what was vacuumed
                with gone, self.store.reading(self.path(name)) as source:
                    yield name, source

    def left(self, values: frozenset[str]) -> dict[str, int]:
        """Count these people's rows in unused files, per file that has any."""
        found = (
            (name, _PARQUET.inspect(source, self.column, values).hits)
            for name, source in self.unused()
        )
        return {name: hits for name, hits in found if hits}

    def forget(self, values: frozenset[str]) -> dict[str, JSON]:
        """Remove unused files with these people, and what the log says of them."""
        holding, vacuumed = self.left(values), 0
        if any(not name.startswith(_CHANGES) for name in holding):
            vacuumed = len(self.delta.vacuum(0, dry_run=False, enforce_retention_duration=False))
        changes = [name for name in holding if name.startswith(_CHANGES)]
        for name in changes:
            self.store.remove(self.path(name))
        entries = forget_in_log(self.store, self.name, self.delta, values)
        self.read_anew()
        evidence: dict[str, JSON] = {
            "old_files_with_the_rows": len(holding),
            "old_files_removed": vacuumed + len(changes),
            "log_entries_removed": entries,
        }
        if vacuumed:
            evidence["time_travel"] = f"ends before version {self.delta.version()}"
        return evidence

    def check_nothing_left(self, values: frozenset[str], done: Erased) -> None:
        """Refuse to call it done while files that no version names hold the rows."""
        if stray := len(self.left(values)):
            error = StorageRefusedError(
                f"Let unfinished writes to {self.name} end, or vacuum it in full: its log does not "
                f"name {stray} files that hold the rows, so they may be somebody's work."
            )
            error.partial = done
            raise error


@contextmanager
def _opened(place: Place, *, writing: bool = False) -> Iterator[_Table]:
    store, name = store_of(place), relative(place.location)
    with translated(name, place.subject_column, writing=writing), _delta_errors(name, writing):
        url, settings = store.url(name)
        options = _PATIENCE | settings if settings else {}
        yield _Table(store, name, place.subject_column, url, options)


@contextmanager
def _delta_errors(name: str, writing: bool) -> Iterator[None]:
    """Turn Delta's errors into ours; their text tells paths and sometimes values, ours does not."""
    try:
        yield
    except delta_errors.TableNotFoundError:
        raise StorageMissingError(
            f"Restore {name} or unregister it: there is no Delta table."
        ) from None
    except delta_errors.CommitFailedError:
        raise StorageBusyError(
            f"Others are writing {name}; nothing was changed, it is tried again."
        ) from None
    except (delta_errors.DeltaError, OSError) as error:
        told = "".join(map(str, chain(error.args, [error.__class__.__name__]))).lower()
        if isinstance(error, FileNotFoundError):
            raise
        if _DENIED.search(told):
            raise _forbidden(name, writing) from None
        if any(each in told for each in ("error sending request", "timed out", "connection")):
            raise StorageUnreachableError(
                f"Check the connection to the storage of {name} and its credentials."
            ) from None
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise StorageUnreadableError(
            f"Check {name} with the engine that writes it: as a Delta table it cannot be read or "
            "rewritten here."
        ) from None


def _forbidden(name: str, writing: bool) -> StorageReadOnlyError | StorageUnreadableError:
    if writing:
        return StorageReadOnlyError(
            f"Let the service's account write {name} and delete files in it, then try again."
        )
    return StorageUnreadableError(f"Let the service's account read {name}.")


def _vectors(table: DeltaTable) -> bool:
    if "deletionVectors" not in (table.protocol().reader_features or []):
        return False
    return bool(pa.table(table.deletion_vectors().read_all()).num_rows)
