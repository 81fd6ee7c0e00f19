"""What waits to be mailed about requests, and to whom."""

from django.conf import settings
from django.db.models import QuerySet
from django.db.models.functions import Now

from consent.identifiers import EMAIL
from consent.models import RequestLetter, Subject
from consent.selectors.persons import rows_of
from consent.selectors.subjects import (
    SubjectErasedError,
    SubjectUnregisteredError,
    clear_identifiers,
)

TO_PERSON = frozenset(
    {RequestLetter.Kind.EXTENDED, RequestLetter.Kind.REFUSED, RequestLetter.Kind.LIFTING}
)


def to_send() -> "QuerySet[RequestLetter]":
    """Return the letters that can be claimed now, those that wait longest first."""
    waiting = RequestLetter.objects.filter(ended_at=None, retry_at__lte=Now())
    return waiting.order_by("retry_at", "pk")


def addresses_for(letter: RequestLetter) -> list[str]:
    """Return where a letter goes: to operators, or to the person wherever an address is known.

    Whichever row asked, the person reads it where any of their rows says that they do.
    """
    if letter.kind not in TO_PERSON:
        return list(settings.COLOPHON_OPERATOR_MAIL)
    rows = Subject.objects.filter(pk__in=rows_of(letter.request.subject)).order_by("pk")
    return list(dict.fromkeys(address for row in rows for address in _addresses(row)))


def _addresses(row: Subject) -> list[str]:
    try:
        return [value for scheme, value in clear_identifiers(row) if scheme == EMAIL]
    except (SubjectErasedError, SubjectUnregisteredError):
        return []
