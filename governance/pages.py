"""Long lists, a page at a time, by keyset: a page begins after the last row of the one before.

So a page costs the same wherever it lies, and rows that come or go shift nothing.
"""

import base64
import binascii
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from django.core import signing
from django.db.models import Model, Q, QuerySet

from governance.crypto import SealingKey, UnreadableError
from governance.errors import ColophonError
from governance.keys import secret_for

DEFAULT_LIMIT = 50
MOST = 200

Row = TypeVar("Row", bound=Model)


class CursorInvalidError(ColophonError):
    """The cursor was not given out by this list."""

    code = "cursor_invalid"
    status = 400


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some rows, and the cursor of the page after them; None where the list ends."""

    results: list[Row]
    next: str | None


def page(
    rows: QuerySet[Row], *, cursor: str | None = None, limit: int = DEFAULT_LIMIT, by: str = "uuid"
) -> Page[Row]:
    """Return one page of ``rows`` in the order of ``by``, a unique column.

    ``limit`` is bounded to 1 to 200. The cursor is signed and belongs to one kind of row. Raises
    `CursorInvalidError`.
    """
    limit = max(1, min(limit, MOST))
    kind = rows.model._meta.label_lower  # noqa: SLF001 - Django's documented Model._meta API
    if cursor is not None:
        rows = rows.filter(**{f"{by}__gt": _last_seen(cursor, kind, by)})
    found = list(rows.order_by(by)[: limit + 1])
    if len(found) <= limit:
        return Page(found, None)
    last = str(getattr(found[limit - 1], by))
    return Page(found[:limit], signing.dumps([kind, by, last], salt=__name__))


def page_in_order(
    rows: QuerySet[Row], *, by: tuple[str, str], cursor: str | None = None, limit: int
) -> Page[Row]:
    """Return one page of ``rows`` in the order of two columns, an instant and a unique one.

    A row whose instant moves between two pages may come twice or not at all. Raises
    `CursorInvalidError`.
    """
    limit = max(1, min(limit, MOST))
    at, name = by
    kind = rows.model._meta.label_lower  # noqa: SLF001 - Django's documented Model._meta API
    if cursor is not None:
        after, last = _last_seen(cursor, kind, " ".join(by)).split(" ")
        same = Q(**{at: after, f"{name}__gt": last})
        rows = rows.filter(Q(**{f"{at}__gt": after}) | same)
    found = list(rows.order_by(*by)[: limit + 1])
    if len(found) <= limit:
        return Page(found, None)
    shown = found[limit - 1]
    place = f"{getattr(shown, at).isoformat()} {getattr(shown, name)}"
    return Page(found[:limit], signing.dumps([kind, " ".join(by), place], salt=__name__))


def page_of_keys(
    keys: Sequence[int], *, cursor: str | None, limit: int | None, question: str
) -> tuple[list[int], str | None]:
    """Return one page of keys that fall, and the cursor of the page after them.

    The cursor is sealed, because keys stay inside, and belongs to the question. Raises
    `CursorInvalidError`.
    """
    limit = DEFAULT_LIMIT if limit is None else max(1, min(limit, MOST))
    start = 0
    if cursor is not None:
        start = bisect_right(keys, -place_in(cursor, question), key=lambda key: -key)
    shown = list(keys[start : start + limit])
    if start + limit >= len(keys):
        return shown, None
    return shown, cursor_at(shown[-1], question)


def cursor_at(place: int, question: str) -> str:
    """Return a cursor that goes on after a place in the list that answers a question."""
    sealed = _sealing().seal(str(place).encode(), question)
    return base64.urlsafe_b64encode(sealed).decode()


def place_in(cursor: str, question: str) -> int:
    """Return the place that `cursor_at` was given, or raise `CursorInvalidError`."""
    try:
        sealed = base64.b64decode(cursor, altchars=b"-_", validate=True)
        return int(_sealing().open(sealed, question))
    except (binascii.Error, ValueError, UnreadableError):
        raise CursorInvalidError("the cursor is not one that this list gave out") from None


def _sealing() -> SealingKey:
    return SealingKey(secret_for("page-cursor-v1"))


def _last_seen(cursor: str, kind: str, by: str) -> str:
    try:
        *list_of, last = signing.loads(cursor, salt=__name__)
    except signing.BadSignature:
        raise CursorInvalidError("the cursor is not one that was given out here") from None
    if list_of != [kind, by]:
        raise CursorInvalidError("the cursor belongs to another list")
    return str(last)
