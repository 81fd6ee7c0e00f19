"""From facets to flows: what one event says of which input goes into which output.

Pure. The ``lineage`` facet (explicit lineage, 1-0-0) is complete for every output that it names;
``columnLineage`` (1-2-0 and before) stands where there is no such facet; otherwise every input of
a run flows into every output of it, and nothing is said here. A source is masked when no column of
it reaches the output but through a transformation with ``masking``.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lineage.openlineage import NAME_BYTES, Json

Name = tuple[str, str]

TEXT_BYTES = 500


@dataclass(frozen=True, slots=True)
class ColumnFlow:
    """A column of ``source`` flows into ``target_field``, or, where that is empty, into all."""

    source: Name
    source_field: str
    target_field: str
    kind: str = ""
    subtype: str = ""
    description: str = ""
    masking: bool = False


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything that one facet says flows into one output; no source means that none does."""

    explicit: bool
    masked: Mapping[Name, bool]
    columns: tuple[ColumnFlow, ...] = ()

    @property
    def narrows(self) -> bool:
        """Say whether an input that is not named flows nowhere.

        Columns that name no kind of transformation come from parsers of the select list alone,
        which never tell of what rows were joined or filtered by.
        """
        return self.explicit or any(each.kind for each in self.columns)


def of_columns(facet: Json | None) -> Sources | None:
    """Read a ``columnLineage`` facet, or nothing where it names no source at all."""
    if facet is None:
        return None
    columns = tuple(_columns(facet))
    return Sources(explicit=False, masked=_masked(columns), columns=columns) if columns else None


def of_dataset(facet: Json | None) -> Sources | None:
    """Read a ``lineage`` facet of a data set."""
    if facet is None or not ("inputs" in facet or "fields" in facet):
        return None
    return _entry(facet, {})


def of_job(facet: Json | None, job: Name) -> tuple[dict[Name, Sources], dict[Name, bool]]:
    """Read a ``lineage`` facet of a job: each output's sources, and what the job takes in."""
    entries = [each for each in _list(facet, "entries") if isinstance(each, dict)]
    taken: dict[Name, bool] = {}
    for entry in entries:
        own = (entry.get("namespace"), entry.get("name")) in {(None, None), job}
        if entry.get("type") == "JOB" and own:
            taken.update(_masked(tuple(_sources(_list(entry, "inputs"), ""))))
    outputs: dict[Name, Sources] = {}
    for entry in entries:
        name = _name(entry)
        if entry.get("type") != "JOB" and name is not None:
            outputs[name] = _joined(outputs.get(name), _entry(entry, taken))
    return outputs, taken


def _joined(before: Sources | None, after: Sources) -> Sources:
    if before is None:
        return after
    masked = dict(before.masked)
    for name, is_masked in after.masked.items():
        masked[name] = masked.get(name, True) and is_masked
    return Sources(explicit=True, masked=masked, columns=before.columns + after.columns)


def _entry(entry: Json, taken: Mapping[Name, bool]) -> Sources:
    """Read one output. A source that is the job itself stands for all that the job takes in."""
    columns = list(_sources(_list(entry, "inputs"), ""))
    through_job = any(_is_job(each) for each in _list(entry, "inputs"))
    for target, said in _dict(entry, "fields").items():
        sources = _list(said, "inputs")
        columns += _sources(sources, str(target))
        through_job = through_job or any(_is_job(each) for each in sources)
    masked = _masked(tuple(columns))
    if through_job:
        for name, is_masked in taken.items():
            masked[name] = masked.get(name, True) and is_masked
    named = tuple(each for each in columns if each.source_field)
    return Sources(explicit=True, masked=masked, columns=named)


def _columns(facet: Json) -> Iterator[ColumnFlow]:
    for target, said in _dict(facet, "fields").items():
        if not isinstance(said, dict):
            continue
        # Before 1-1-0 the transformation was said once for all the sources of a column.
        old = said.get("transformationType")
        for each in _sources(_list(said, "inputFields"), str(target)):
            if isinstance(old, str) and not each.kind:
                text = said.get("transformationDescription")
                yield ColumnFlow(
                    each.source, each.source_field, each.target_field, _cut(old), "", _cut(text),
                    masking=old.upper() == "MASKED",
                )  # fmt: skip
            else:
                yield each
    yield from _sources(_list(facet, "dataset"), "")


def _sources(listed: Iterable[object], target: str) -> Iterator[ColumnFlow]:
    for source in listed:
        name = _name(source)
        if name is None or not isinstance(source, dict) or _is_job(source):
            continue
        field = source.get("field")
        steps = [each for each in _list(source, "transformations") if isinstance(each, dict)]
        steps = steps or [{}]
        for step in steps:
            yield ColumnFlow(
                name, _cut(field), _cut(target), _cut(step.get("type")), _cut(step.get("subtype")),
                _cut(step.get("description")), masking=step.get("masking") is True,
            )  # fmt: skip


def _masked(columns: tuple[ColumnFlow, ...]) -> dict[Name, bool]:
    """Say of each source whether it is masked: a column is, if any of its transformations masks."""
    by_column: dict[tuple[Name, str, str], bool] = {}
    for each in columns:
        place = each.source, each.source_field, each.target_field
        by_column[place] = by_column.get(place, False) or each.masking
    masked: dict[Name, bool] = {}
    for (source, _, _), is_masked in by_column.items():
        masked[source] = masked.get(source, True) and is_masked
    return masked


def _is_job(source: object) -> bool:
    return isinstance(source, dict) and source.get("type") == "JOB"


def _name(raw: object) -> Name | None:
    if not isinstance(raw, dict):
        return None
    namespace, name = raw.get("namespace"), raw.get("name")
    if not (isinstance(namespace, str) and isinstance(name, str) and namespace and name):
        return None
    short = max(len(namespace.encode()), len(name.encode())) <= NAME_BYTES
    return (namespace, name) if short else None


def _cut(text: object) -> str:
    """Keep a text short enough for an index; a longer one is told by its beginning."""
    if not isinstance(text, str):
        return ""
    return text.encode()[:TEXT_BYTES].decode(errors="ignore")


def _list(of: object, key: str) -> list[Any]:
    found = of.get(key) if isinstance(of, dict) else None
    return found if isinstance(found, list) else []


def _dict(of: object, key: str) -> dict[str, Any]:
    found = of.get(key) if isinstance(of, dict) else None
    return found if isinstance(found, dict) else {}
