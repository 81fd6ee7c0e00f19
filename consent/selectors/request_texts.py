"""What people and operators wrote about a request: sealed under the person's own key."""

from consent.models import RightsRequest
from consent.selectors.subjects import SubjectErasedError, SubjectUnregisteredError, key_of

REASON, DETAILS, ANSWER = "reason", "details", "answer"


def sealed(request: RightsRequest, what: str, text: str) -> bytes | None:
    """Return a text sealed, or nothing of an empty one; raise as `key_of`."""
    if not text.strip():
        return None
    return key_of(request.subject).seal(text.encode(), _place(request, what))


def opened(request: RightsRequest, what: str, kept: bytes | memoryview | None) -> str:
    """Return what was sealed; nothing where nothing was, or where the person's key is gone."""
    if kept is None:
        return ""
    try:
        return key_of(request.subject).open(bytes(kept), _place(request, what)).decode()
    except (SubjectErasedError, SubjectUnregisteredError):
        return ""


def details_of(request: RightsRequest) -> list[str]:
    """Return what is to be put right, by this request and by those that were joined to it."""
    asked = [request, *request.duplicates.select_related("subject").order_by("pk")]
    told = [opened(each, DETAILS, each.details_sealed) for each in asked]
    return [each for each in told if each]


def _place(request: RightsRequest, what: str) -> str:
    return f"consent_rightsrequest/{request.uuid}/{what}"
