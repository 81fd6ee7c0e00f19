"""Give events that could not be understood another chance."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone

from governance.crypto import UnreadableError
from governance.keys import organisation_key
from lineage.models import InboxEvent
from lineage.openlineage import UnusableEventError, parse


@dataclass(frozen=True, slots=True)
class Replayed:
    """How many dead letters are understood now and wait to be applied, and how many are not."""

    ready: int
    still_dead: int


@transaction.atomic
def replay(letters: Iterable[InboxEvent]) -> Replayed:
    """Read dead letters again; those that are understood now are applied like any other event."""
    ready = still_dead = 0
    unseal, now = organisation_key().open, timezone.now()
    for letter in letters:
        try:
            parse(json.loads(unseal(bytes(letter.body_sealed), "inbox")), now=now)
        except (UnusableEventError, UnreadableError):
            still_dead += 1
            continue
        ready += InboxEvent.objects.filter(pk=letter.pk, state=InboxEvent.State.DEAD).update(
            state=InboxEvent.State.READY, reason="", reason_code=""
        )
    return Replayed(ready, still_dead)
