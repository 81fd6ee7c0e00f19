"""Identifiers in Arrow arrays: integers, text of any kind and UUIDs, dictionary-coded or not."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Any, Final
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc

from consent.connectors import identifiers
from consent.connectors.formats import MisfitError

_UUID: Final = pa.binary(16)
_TEXT: Final = pa.large_string()


def type_at(schema: Any, path: list[str]) -> Any:
    """Return the type of the column that these names lead to, else None."""
    kind = schema
    for name in path:
        if kind is not schema and not pa.types.is_struct(kind):
            return None
        at = kind.get_field_index(name)  # -1 also when there are two of that name
        if at < 0:
            return None
        kind = kind.field(at).type
    return kind


def at(batch: Any, path: list[str]) -> Any:
    """Return the column that these names lead to; whose struct is NULL is NULL."""
    column = batch.column(path[0])
    return pc.struct_field(column, path[1:]) if path[1:] else column


def wanted(values: frozenset[str], kind: Any) -> Any:
    """Return, sorted, those values that a column of this type can hold, to look them up."""
    plain = identifier_type(kind)
    if pa.types.is_integer(plain):
        signed = pa.types.is_signed_integer(plain)
        numbers = (identifiers.as_integer(v, bits=plain.bit_width, signed=signed) for v in values)
        return pa.array(sorted(each for each in numbers if each is not None), plain)
    if plain == _UUID:
        uuids = map(identifiers.as_uuid, values)
        return pa.array(sorted(each.bytes for each in uuids if each is not None), plain)
    texts = map(identifiers.as_text, values)
    return pa.array(sorted(each for each in texts if each is not None), plain)


def belongs(column: Any, wanted_values: Any) -> Any:
    """Say for each row whether it is one of theirs; NULL is nobody's."""
    return pc.is_in(_plain(column), value_set=wanted_values)


def counted(column: Any, wanted_values: Any) -> int:
    """Count the rows that are theirs."""
    return pc.sum(belongs(column, wanted_values)).as_py() or 0


def texts(column: Any) -> list[str]:
    """Return the identifiers as text, without NULL."""
    plain = _plain(column).drop_null()
    if plain.type == _UUID:
        return [str(UUID(bytes=each)) for each in plain.to_pylist()]
    found: list[str] = plain.cast(_TEXT).to_pylist()
    return found


def may_hold(statistics: Any, ordered: list[Any]) -> bool:
    """Say whether one of the sorted values lies within the bounds; unsure is yes."""
    if not ordered or statistics is None or not statistics.has_min_max:
        return bool(ordered)
    try:
        low, high = statistics.min, statistics.max
    except UnicodeDecodeError:  # a bound cut off inside a character
        return True
    if not isinstance(low, type(ordered[0])) or low > high:
        return True  # not these identifiers' bounds, or no bounds at all
    at = bisect_left(ordered, low)
    return at < len(ordered) and bool(ordered[at] <= high)


def kept(batch: Any, mask: Any) -> Any:
    """Filter a batch, also one with views, which Arrow cannot filter as such."""
    views = {
        each.name: _TEXT if pa.types.is_string_view(each.type) else pa.large_binary()
        for each in batch.schema
        if pa.types.is_string_view(each.type) or pa.types.is_binary_view(each.type)
    }
    columns = [
        batch.column(name).cast(views[name]).filter(mask).cast(batch.schema.field(name).type)
        if name in views
        else batch.column(name).filter(mask)
        for name in batch.schema.names
    ]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def cells(batch: Any) -> Iterator[Iterable[tuple[str, Any]]]:
    """Return each row of a batch as Python values with the names of their columns."""
    columns = [_values(each) for each in batch.columns]
    for row in zip(*columns, strict=True):
        yield zip(batch.schema.names, row, strict=True)


def _values(column: Any) -> list[Any]:
    try:
        found: list[Any] = column.to_pylist(maps_as_pydicts="strict")
    except KeyError:  # a map in which a key comes twice
        found = column.to_pylist()
    except (ValueError, OverflowError):  # a date that Python has not
        found = [each.cast(_TEXT).as_py() for each in column]
    return found


def entries(coded: Any) -> Any:
    """Return the entries of its dictionary that a dictionary column points to."""
    return pc.unique(coded).dictionary_decode().drop_null()


def without(batch: Any, vanishing: dict[str, Any]) -> Any:
    """Drop dictionary entries: those named, and whatever nested dictionaries do not use."""
    columns = [
        _shortened(batch.column(each.name), vanishing[each.name])
        if each.name in vanishing
        else _recoded(batch.column(each.name))
        for each in batch.schema
    ]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def _shortened(coded: Any, gone: Any) -> Any:
    """Take out entries that no row points to; the others keep their order."""
    stays = pc.invert(pc.is_in(coded.dictionary, value_set=gone))
    moved = pc.subtract(pc.cumulative_sum(stays.cast(pa.int64())), 1)
    indices = moved.take(coded.indices).cast(coded.type.index_type)
    return pa.DictionaryArray.from_arrays(
        indices, coded.dictionary.filter(stays), ordered=coded.type.ordered
    )


def _recoded(column: Any) -> Any:
    """Build dictionaries inside nested columns anew, in order of first use."""
    if pa.types.is_dictionary(column.type):
        return column
    decoded = _decoded_type(column.type)
    return column if decoded == column.type else column.cast(decoded).cast(column.type)


def _decoded_type(kind: Any) -> Any:
    types, decoded = pa.types, kind
    if types.is_dictionary(kind):
        decoded = kind.value_type
    elif types.is_struct(kind):
        decoded = pa.struct([_decoded_field(each) for each in kind])
    elif types.is_map(kind):
        decoded = pa.map_(_decoded_field(kind.key_field), _decoded_field(kind.item_field))
    elif types.is_fixed_size_list(kind):
        decoded = pa.list_(_decoded_field(kind.value_field), kind.list_size)
    elif types.is_list(kind):
        decoded = pa.list_(_decoded_field(kind.value_field))
    elif types.is_large_list(kind):
        decoded = pa.large_list(_decoded_field(kind.value_field))
    elif isinstance(kind, pa.BaseExtensionType):
        stored = kind.storage_type
        if _decoded_type(stored) != stored:
            raise MisfitError("write it without dictionaries inside extension types")
    return decoded


def _decoded_field(field: Any) -> Any:
    return field.with_type(_decoded_type(field.type))


def identifier_type(kind: Any) -> Any:
    """Return the type in which identifiers are compared, or raise ``MisfitError``."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if isinstance(kind, pa.BaseExtensionType):
        kind = kind.storage_type
    if pa.types.is_integer(kind) or pa.types.is_string(kind) or kind in (_UUID, _TEXT):
        return kind
    if pa.types.is_string_view(kind):
        return _TEXT  # Arrow cannot look up views
    raise MisfitError("write the column that identifies people as integers or text")


def _plain(column: Any) -> Any:
    kind = identifier_type(column.type)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    return column if column.type == kind else column.cast(kind)
