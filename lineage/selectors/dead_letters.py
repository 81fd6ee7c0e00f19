"""Events that could not be understood, as their sender may look at them."""

import json
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from governance.crypto import UnreadableError
from governance.errors import NotFoundError
from governance.keys import organisation_key
from governance.models import ApiClient
from lineage.models import InboxEvent

# What tells a person which event it is and cannot hold anything personal.
_SHOWN = frozenset({"eventType", "eventTime", "producer", "schemaURL", "_schemaURL", "_producer"})
_TEXT_CHARACTERS = 200


def dead_letters(
    *, client: ApiClient | None = None, code: str = "", ids: Iterable[UUID] = ()
) -> QuerySet[InboxEvent]:
    """Return dead letters, of one sender, for one reason, or by id; nothing given is no filter."""
    found = InboxEvent.objects.filter(state=InboxEvent.State.DEAD).select_related("client")
    if client is not None:
        found = found.filter(client=client)
    if code:
        found = found.filter(reason_code=code)
    wanted = list(ids)
    return found.filter(uuid__in=wanted) if wanted else found


def dead_letter(*, client: ApiClient, uuid: UUID) -> InboxEvent:
    """Return one of a sender's dead letters, or raise `NotFoundError`."""
    found = dead_letters(client=client, ids=[uuid]).first()
    if found is None:
        raise NotFoundError("no such dead letter of yours is known")
    return found


def outline(event: InboxEvent) -> Any:
    """Return the event's structure: keys and kinds of values, and no value that may be personal."""
    try:
        body = json.loads(organisation_key().open(bytes(event.body_sealed), "inbox"))
    except UnreadableError:
        return None
    return _outlined(body)


def _outlined(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {str(name): _outlined(each, str(name)) for name, each in value.items()}
    if isinstance(value, list):
        return [_outlined(each) for each in value]
    if isinstance(value, str):
        return value[:_TEXT_CHARACTERS] if key in _SHOWN else f"text of {len(value)} characters"
    if value is None or isinstance(value, bool):
        return value
    return "number"
