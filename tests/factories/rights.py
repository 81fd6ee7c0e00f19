"""Requests of every kind, as people and operators open them."""

from typing import Any
from uuid import uuid4

from consent.models import RequestKind, RequestRecord, RightsRequest, Subject
from consent.selectors import copies
from consent.services import copying, packages
from consent.services.letters import send
from consent.services.requests import open_request
from tests.factories.consent import registered


def ask(kind: str, subject: Subject | None = None, **said: Any) -> RightsRequest:
    """Ask for something; by default as a person who has signed in."""
    facts: dict[str, Any] = {"key": uuid4(), "verified": True}
    if kind == RequestKind.RECTIFICATION:
        facts["details"] = "I was born in 1990"
    return open_request(subject=subject or registered(), kind=RequestKind(kind), **facts | said)


def told(request: RightsRequest) -> list[str]:
    """Return what the ledger was told of a request, in order."""
    return list(
        RequestRecord.objects.filter(request=request).order_by("pk").values_list("kind", flat=True)
    )


def mailed(request: RightsRequest) -> list[bool]:
    """Mail what waits to be told of a request, as the worker does."""
    return [
        send(letter_id=each.pk) for each in request.letters.filter(ended_at=None).order_by("pk")
    ]


def copied(request: RightsRequest) -> bool:
    """Do what the workers do for a copy, except waiting for what is put off; say if it is made."""
    made = packages.prepare(request_id=request.pk)
    while found := copies.readings_to_do().filter(request=request).first():
        copying.read(reading_id=found.pk)
    return made or packages.prepare(request_id=request.pk)
