"""Reading decisions that were taken elsewhere: lines of NDJSON or CSV, one decision each.

Pure. What is wrong with a line is told by its number and a field's name, never by what it says.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from consent.rules import DecisionKind
from governance.errors import ColophonError

LINE_BYTES = 1 << 16
NEEDED = ("scheme", "identifier", "purpose", "kind", "decided_at")
OPTIONAL = ("valid_until", "notice_version", "key")


class RowMalformedError(ColophonError):
    """The line does not say a decision."""

    code = "row_malformed"
    status = 400


class Form(StrEnum):
    """How the file is written."""

    NDJSON = "ndjson"
    CSV = "csv"


@dataclass(frozen=True, slots=True, repr=False)
class Row:
    """One decision as it was written; no repr, so that it cannot end in a log."""

    scheme: str
    identifier: str
    purpose: str
    kind: DecisionKind
    decided_at: datetime
    valid_until: datetime | None
    notice_version: UUID | None
    key: UUID | None


@dataclass(frozen=True, slots=True, repr=False)
class Line:
    """A line's number, and what it says or what is wrong with it."""

    number: int
    row: Row | None = None
    error: ColophonError | None = None


def lines(form: Form, raw: Iterable[bytes]) -> Iterator[Line]:
    """Yield every line that says something, whatever is wrong with others.

    A CSV file that cannot be read at all raises `RowMalformedError`.
    """
    return _csv(raw) if form is Form.CSV else _ndjson(raw)


def row_of(said: Mapping[str, Any]) -> Row:
    """Return the decision that a line says, or raise `RowMalformedError`."""
    unknown = set(said) - {*NEEDED, *OPTIONAL}
    if unknown:
        raise RowMalformedError("it has a field that is not one of a decision")
    texts = {name: _text(said, name) for name in (*NEEDED, *OPTIONAL)}
    for name in NEEDED:
        if not texts[name]:
            raise RowMalformedError(f"{name} is missing")
    if texts["kind"] not in set(DecisionKind):
        raise RowMalformedError("kind is none of given, renewed, refused, withdrawn, objected")
    return Row(
        scheme=texts["scheme"], identifier=texts["identifier"], purpose=texts["purpose"],
        kind=DecisionKind(texts["kind"]),
        decided_at=_instant("decided_at", texts["decided_at"]),
        valid_until=_instant("valid_until", texts["valid_until"]) if texts["valid_until"] else None,
        notice_version=_uuid("notice_version", texts["notice_version"]),
        key=_uuid("key", texts["key"]),
    )  # fmt: skip


def _ndjson(raw: Iterable[bytes]) -> Iterator[Line]:
    for number, line in enumerate(raw, start=1):
        if not line.strip():
            continue
        try:
            yield Line(number, row_of(_object(line)))
        except RowMalformedError as error:
            yield Line(number, error=error)


def _object(line: bytes) -> dict[str, Any]:
    if len(line) > LINE_BYTES:
        raise RowMalformedError("it is too long")
    try:
        said = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise RowMalformedError("it is not JSON in UTF-8") from None
    if not isinstance(said, dict):
        raise RowMalformedError("it is not an object")
    return said


def _csv(raw: Iterable[bytes]) -> Iterator[Line]:
    reader = csv.reader((line.decode("utf-8-sig", "replace") for line in raw), strict=True)
    header: list[str] | None = None
    try:
        for fields in reader:
            if header is None:
                header = fields
                if not set(NEEDED) <= set(header) or len(set(header)) != len(header):
                    raise RowMalformedError(f"the header needs {', '.join(NEEDED)}, each once")
            elif fields:
                yield _line(reader.line_num, header, fields)
    except csv.Error:
        raise RowMalformedError(f"line {reader.line_num} is not CSV") from None
    if header is None:
        raise RowMalformedError("there is no header")


def _line(number: int, header: list[str], fields: list[str]) -> Line:
    try:
        if len(fields) != len(header) or any("\ufffd" in each for each in fields):
            raise RowMalformedError("it has not the header's fields in UTF-8")
        return Line(number, row_of(dict(zip(header, fields, strict=True))))
    except RowMalformedError as error:
        return Line(number, error=error)


def _text(said: Mapping[str, Any], name: str) -> str:
    value = said.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise RowMalformedError(f"{name} is not a text")
    return value if name == "identifier" else value.strip()


def _instant(name: str, text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise RowMalformedError(f"{name} is not an instant of ISO 8601") from None
    if at.tzinfo is None:
        raise RowMalformedError(f"{name} does not say its offset from UTC")
    return at


def _uuid(name: str, text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        raise RowMalformedError(f"{name} is not a UUID") from None
