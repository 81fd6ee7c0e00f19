"""The texts that people are shown."""

from uuid import UUID

from django.db.models import QuerySet

from consent.models import NoticeVersion
from governance.errors import NotFoundError


def published() -> "QuerySet[NoticeVersion]":
    """Return every published text, with its notice and purposes."""
    return _described().exclude(published_at=None)


def version(uuid: UUID) -> NoticeVersion:
    """Return one text, published or not, or raise `NotFoundError`."""
    found = _described().filter(uuid=uuid).first()
    if found is None:
        raise NotFoundError("no such notice is known")
    return found


def _described() -> "QuerySet[NoticeVersion]":
    return NoticeVersion.objects.select_related("notice").prefetch_related("purposes")
