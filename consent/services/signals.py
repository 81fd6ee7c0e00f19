"""Taking a browser's privacy signal for what published policies say that it is: an objection."""

from datetime import datetime
from uuid import uuid5

from django.db import transaction

from consent.models import Subject
from consent.rules import DecisionKind, DecisionSource
from consent.selectors.signals import unheeded
from consent.services import decisions
from governance.models import Purpose

GLOBAL_PRIVACY_CONTROL = "global-privacy-control"


@transaction.atomic
def heed(*, subject: Subject, at: datetime) -> None:
    """Record the objections that a signal means for a registered person, each once.

    What was said by or for the person counts before and after; see `consent.rules.deciding`.
    """
    for purpose in unheeded(subject, at):
        _record(subject, purpose, at)


def _record(subject: Subject, purpose: Purpose, at: datetime) -> None:
    """Record one objection; two pages of one browser may be asked for at once."""
    try:
        decisions.record(
            subject=subject, purpose=purpose, kind=DecisionKind.OBJECTED, decided_at=at,
            key=uuid5(subject.uuid, f"{GLOBAL_PRIVACY_CONTROL}/{purpose.uuid}"),
            source=DecisionSource.SIGNAL,
        )  # fmt: skip
    except decisions.IdempotencyKeyReusedError:
        return  # the other page was first, by another instant
