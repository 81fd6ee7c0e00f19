"""What waits to be mailed about requests, and to whom."""

from django.conf import settings
from django.db.models import QuerySet
from django.db.models.functions import Now

from consent.identifiers import EMAIL
from consent.models import RequestLetter
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
    """Return where a letter goes: to the person where an address is known, or to operators."""
    if letter.kind not in TO_PERSON:
        return list(settings.COLOPHON_OPERATOR_MAIL)
    try:
        known = clear_identifiers(letter.request.subject)
    except (SubjectErasedError, SubjectUnregisteredError):
        return []
    return [value for scheme, value in known if scheme == EMAIL]
