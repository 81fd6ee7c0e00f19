"""Rows of pandas, polars and pyarrow by the person that they are about; none of them is imported.

Each library does its own work: the distinct identifiers of a column, and the rows of some. A row
without an identifier belongs to nobody who could have been asked, so it is left out.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import compress
from typing import Any
from uuid import UUID

from lineage.sdk.errors import UnfilterableError

CHUNK = 500_000
CHUNK_BYTES = 16 * 1024 * 1024

# Which of some identifiers may be used, in their order.
Ask = Callable[[list[str]], list[bool]]


def kept(frame: Any, subject: str, ask: Ask) -> Any:
    """Return the rows that may be used, as a frame of the same type.

    ``ask`` hears every identifier once, in bounded chunks. Raises `UnfilterableError`.
    """
    library = _library_of(frame)
    _refuse_unknown_column(frame, subject, library)
    return _WAYS[library](frame, subject, ask)


def permitted(distinct: Iterator[Any], ask: Ask) -> set[Any]:
    """Return those of some distinct values whose rows may be used."""
    found: set[Any] = set()
    for values, texts in _chunks(distinct):
        answers = ask(texts)
        if len(answers) != len(texts):
            raise UnfilterableError(
                "the service answered for another number of people than it was asked about: "
                "update this package to the version of the service."
            )
        found.update(compress(values, answers))
    return found


def _chunks(distinct: Iterator[Any]) -> Iterator[tuple[list[Any], list[str]]]:
    values: list[Any] = []
    texts: list[str] = []
    size = 0
    for value in distinct:
        text = _text(value)
        room = len(text.encode(errors="replace")) + 8
        if texts and (len(texts) == CHUNK or size + room > CHUNK_BYTES):
            yield values, texts
            values, texts, size = [], [], 0
        values.append(value)
        texts.append(text)
        size += room
    if texts:
        yield values, texts


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, UUID) or type(value).__name__.startswith(("int", "uint")):
        return str(value)
    raise UnfilterableError(
        f"the column holds {type(value).__name__} where identifiers should be: cast it to text, "
        "written as the people are registered."
    )


def _library_of(frame: object) -> str:
    for kind in type(frame).__mro__:
        name = f"{kind.__module__.partition('.')[0]}.{kind.__name__}"
        if name in _KINDS:
            return _KINDS[name]
    raise UnfilterableError(
        f"{type(frame).__name__} is none of pandas.DataFrame, polars.DataFrame, pyarrow.Table and "
        "pyarrow.RecordBatch: convert it, or collect() it if it is lazy."
    )


def _refuse_unknown_column(frame: Any, subject: str, library: str) -> None:
    names = frame.schema.names if library == "pyarrow" else list(frame.columns)
    if names.count(subject) != 1:
        raise UnfilterableError(
            f"the frame has {names.count(subject)} columns called {subject!r}: give the name of "
            "the one that says whose each row is, as subject=…"
        )


def _pandas(frame: Any, subject: str, ask: Ask) -> Any:
    column = frame[subject]
    people = permitted(iter(column.dropna().unique()), ask)
    return frame[column.isin(people)]


def _polars(frame: Any, subject: str, ask: Ask) -> Any:
    column = frame.get_column(subject)
    distinct = column.drop_nulls().unique()
    people = permitted(iter(distinct), ask)
    if not people:
        return frame.clear()
    # A series made of the column's own values has the column's own type.
    marks = [value in people for value in distinct]
    return frame.filter(column.is_in(distinct.filter(type(column)(marks)).implode()))


def _pyarrow(frame: Any, subject: str, ask: Ask) -> Any:
    import pyarrow as pa
    import pyarrow.compute as pc

    column = frame.column(subject)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    distinct = pc.drop_null(pc.unique(column))
    people = permitted((each.as_py() for each in distinct), ask)
    allowed = pa.array(list(people), type=distinct.type)
    return frame.filter(pc.is_in(column, value_set=allowed))


_WAYS: Mapping[str, Callable[[Any, str, Ask], Any]] = {
    "pandas": _pandas,
    "polars": _polars,
    "pyarrow": _pyarrow,
}
_KINDS = {
    "pandas.DataFrame": "pandas",
    "polars.DataFrame": "polars",
    "pyarrow.Table": "pyarrow",
    "pyarrow.RecordBatch": "pyarrow",
}
