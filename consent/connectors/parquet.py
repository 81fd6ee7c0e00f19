"""Parquet, row group by row group, so that memory stays bounded whatever the file's size.

Kept in a rewrite: order and values of the other rows, the Arrow and the Parquet schema, metadata
(pandas', Spark's), codec, dictionary encoding, statistics, page index, sort order and row groups.
Bloom filters are made anew. Not kept: compression level and the name of the writing program.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from consent.connectors import arrow
from consent.connectors.formats import Inspection, MisfitError, NoSubjectColumnError

SCAN: Final = 65_536  # identifiers looked at in one go
BATCH: Final = 10_000  # identifiers handed out in one go
# A row group is written from memory. Larger ones are cut, by their encoded size and their rows.
LARGEST_GROUP: Final = 256 << 20
LONGEST_GROUP: Final = 1 << 20

_ARROW_SCHEMA: Final = b"ARROW:schema"
# What some writers say and others leave out: a plain int is 32 bits wide, a long one 64.
_SAME_MEANING: Final = re.compile(
    r" \(Int\(bitWidth=(?:32|64), isSigned=true\)\)"
    r"|, is_from_converted_type=\w+, force_set_converted_type=\w+"
)


class ParquetFormat:
    """See the module; dots in the subject column lead into structs (``user.id``)."""

    def members(self, source: BinaryIO, column: str) -> Iterator[list[str]]:
        """Read nothing but the subject column."""
        file = _opened(source, column)
        for identifiers in _identifiers(file, column, range(file.num_row_groups), BATCH):
            if texts := arrow.texts(identifiers):
                yield texts

    def hits(self, source: BinaryIO, column: str, values: frozenset[str]) -> int:
        """Read the subject column of the row groups that may hold these people."""
        file = _opened(source, column)
        wanted = arrow.wanted(values, path_to(file, column)[1])
        groups = _groups_that_may_hold(file, column, wanted)
        return _count(_identifiers(file, column, groups), wanted)

    def rows(
        self, source: BinaryIO, column: str, values: frozenset[str]
    ) -> Iterator[Iterable[tuple[str, Any]]]:
        """Read the other columns of those row groups only that do hold these people."""
        file = _opened(source, column)
        path, kind = path_to(file, column)
        wanted = arrow.wanted(values, kind)
        for group in _groups_that_may_hold(file, column, wanted):
            if _count(_identifiers(file, column, [group]), wanted):
                for batch in _batches(file, [group]):
                    theirs = arrow.belongs(arrow.at(batch, path), wanted)
                    yield from arrow.cells(arrow.kept(batch, theirs))

    def inspect(self, source: BinaryIO, column: str, values: frozenset[str]) -> Inspection:
        """Read the whole subject column, whatever the statistics say."""
        file = _opened(source, column)
        wanted = arrow.wanted(values, path_to(file, column)[1])
        found = _count(_identifiers(file, column, range(file.num_row_groups)), wanted)
        return Inspection(file.metadata.num_rows, found, _schema(file))

    def rewrite(
        self, source: BinaryIO, draft: BinaryIO, column: str, values: frozenset[str]
    ) -> Inspection:
        """Write the row groups anew; one that loses all its rows disappears."""
        file = _opened(source, column)
        wanted = arrow.wanted(values, path_to(file, column)[1])
        vanishing = _vanishing(file, column, wanted)
        erased, (path, _) = 0, path_to(file, column)
        with pq.ParquetWriter(draft, file.schema_arrow, **_settings(file)) as writer:
            if about := _unstored_metadata(file):
                writer.add_key_value_metadata(about)
            for batch in _batches(file, range(file.num_row_groups)):
                theirs = arrow.belongs(arrow.at(batch, path), wanted)
                found = pc.sum(theirs).as_py() or 0
                erased += found
                kept = arrow.kept(batch, pc.invert(theirs)) if found else batch
                if kept.num_rows:
                    writer.write_batch(arrow.without(kept, vanishing), LONGEST_GROUP)
        return Inspection(file.metadata.num_rows, erased, _schema(file))


def _opened(source: BinaryIO, column: str) -> Any:
    source.seek(0)
    file = pq.ParquetFile(source)
    path_to(file, column)
    return file


def path_to(file: Any, column: str) -> tuple[list[str], Any]:
    """Return the names that lead to the one column meant, and its type."""
    schema, names = file.schema_arrow, column.split(".")
    paths = [each for each in ([column], names) if arrow.type_at(schema, each) is not None]
    if len(names) == 1:
        paths = paths[:1]
    if len(paths) != 1:  # none, or several: of one name, or one with dots and one nested
        raise NoSubjectColumnError
    return paths[0], arrow.type_at(schema, paths[0])


def _identifiers(
    file: Any, column: str, groups: Iterable[int], batch_size: int = SCAN
) -> Iterator[Any]:
    path, _ = path_to(file, column)
    for batch in file.iter_batches(batch_size, row_groups=list(groups), columns=[column]):
        yield arrow.at(batch, path)


def _count(identifiers: Iterator[Any], wanted: Any) -> int:
    return sum(arrow.counted(each, wanted) for each in identifiers)


def _batches(file: Any, groups: Iterable[int]) -> Iterator[Any]:
    for group in groups:
        about = file.metadata.row_group(group)
        pieces = 1 + about.total_byte_size // LARGEST_GROUP
        rows = max(1, min(LONGEST_GROUP, -(-about.num_rows // pieces)))
        yield from file.iter_batches(rows, row_groups=[group])


def _groups_that_may_hold(file: Any, column: str, wanted: Any) -> list[int]:
    """Leave out row groups whose smallest and largest identifier exclude everybody."""
    groups = range(file.num_row_groups)
    paths = [file.schema.column(each).path for each in range(len(file.schema))]
    if paths.count(column) != 1:
        return list(groups)  # a nested column has the same name with dots
    at, ordered = paths.index(column), wanted.to_pylist()
    about = ((each, file.metadata.row_group(each).column(at).statistics) for each in groups)
    return [each for each, statistics in about if arrow.may_hold(statistics, ordered)]


def _vanishing(file: Any, column: str, wanted: Any) -> dict[str, Any]:
    """Find, per dictionary column, the entries that only these people's rows point to.

    Parquet stores an Arrow dictionary whole, so an identifier would stay in the file although no
    row has it. Other unused entries stay: an empty category is a fact, and their order counts.
    """
    coded = [each.name for each in file.schema_arrow if pa.types.is_dictionary(each.type)]
    theirs: dict[str, list[Any]] = {name: [] for name in coded}
    for batch, mask in _masked(file, column, coded, wanted):
        for name in coded:
            theirs[name].append(arrow.entries(batch.column(name).filter(mask)))
    gone = {name: pc.unique(pa.chunked_array(found)) for name, found in theirs.items() if found}
    for batch, mask in _masked(file, column, list(gone), wanted):
        for name, entries in gone.items():
            used = arrow.entries(batch.column(name).filter(pc.invert(mask)))
            gone[name] = entries.filter(pc.invert(pc.is_in(entries, value_set=used)))
    return {name: entries for name, entries in gone.items() if len(entries)}


def _masked(file: Any, column: str, names: list[str], wanted: Any) -> Iterator[tuple[Any, Any]]:
    if names:
        path, _ = path_to(file, column)
        for batch in file.iter_batches(SCAN, columns=list({column, *names})):
            yield batch, arrow.belongs(arrow.at(batch, path), wanted)


def _settings(file: Any) -> dict[str, Any]:
    """Choose the writer's options so that the file is built as it was."""
    metadata, group = file.metadata, file.metadata.row_group(0)
    leaves = [file.schema.column(each) for each in range(len(file.schema))]
    columns = [group.column(each) for each in range(group.num_columns)]
    filtered = [c.path_in_schema for c in columns if getattr(c, "bloom_filter_offset", None)]
    distinct = max(metadata.row_group(each).num_rows for each in range(metadata.num_row_groups))
    legacy = any(each.path_in_schema.endswith(".item") for each in columns)
    remade = {"bloom_filter_options": {each: {"ndv": distinct} for each in filtered}}
    return {
        **(remade if filtered else {}),
        "version": "1.0" if metadata.format_version == "1.0" else "2.6",
        "compression": {each.path_in_schema: _codec(each.compression) for each in columns},
        "use_dictionary": [each.path_in_schema for each in columns if each.has_dictionary_page],
        "write_statistics": [each.path_in_schema for each in columns if each.is_stats_set],
        "use_deprecated_int96_timestamps": any(e.physical_type == "INT96" for e in columns),
        "use_compliant_nested_type": not legacy,
        "write_page_index": any(each.has_offset_index for each in columns),
        "sorting_columns": group.sorting_columns or None,
        "store_decimal_as_integer": any(_is_integer_decimal(each) for each in leaves),
        "write_time_adjusted_to_utc": any(_is_utc_time(each) for each in leaves),
        "store_schema": _ARROW_SCHEMA in (metadata.metadata or {}),
    }


def _codec(name: str) -> str:
    if name == "LZO":
        raise MisfitError("write it with another compression than LZO")
    return "NONE" if name == "UNCOMPRESSED" else name


def _unstored_metadata(file: Any) -> dict[bytes, bytes]:
    """Return what the writer would drop: it keeps metadata only with an Arrow schema."""
    about = file.metadata.metadata or {}
    stored = (file.schema_arrow.metadata or {}) if _ARROW_SCHEMA in about else {}
    return {key: about[key] for key in about if key != _ARROW_SCHEMA and key not in stored}


def _schema(file: Any) -> tuple[str, str, dict[bytes, bytes]]:
    about = dict(file.metadata.metadata or {})
    about.pop(_ARROW_SCHEMA, None)  # compared as what it means, in the Arrow schema itself
    built = file.schema_arrow.to_string(
        truncate_metadata=False, show_field_metadata=True, show_schema_metadata=False
    )
    # The first two lines hold an address in memory and the writer's name for the root.
    stored = _SAME_MEANING.sub("", "\n".join(str(file.schema).splitlines()[2:]))
    return built, stored, about


def _is_integer_decimal(leaf: Any) -> bool:
    return leaf.logical_type.type == "DECIMAL" and leaf.physical_type in {"INT32", "INT64"}


def _is_utc_time(leaf: Any) -> bool:
    return leaf.logical_type.type == "TIME" and "isAdjustedToUTC=true" in str(leaf.logical_type)
