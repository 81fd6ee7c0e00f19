"""Writing and publishing the texts that people see before they decide."""

import hashlib
from collections.abc import Collection
from uuid import UUID

from django.db import transaction
from django.db.models import Max
from django.db.models.functions import Now

from consent.models import Notice, NoticeVersion
from governance.errors import ColophonError, NotFoundError
from governance.models import Purpose
from governance.services import ledger


class NoticeNamesNoPurposeError(ColophonError):
    """A notice says what data is used for; without a purpose there is nothing to agree to."""

    code = "notice_names_no_purpose"
    status = 409


@transaction.atomic
def draft(
    *, key: str, language: str, title: str, text: str, purposes: Collection[Purpose]
) -> NoticeVersion:
    """Write the draft of a notice in one language, or write it anew while it is not published."""
    notice = _held(key)
    version = notice.versions.filter(language=language, published_at=None).first()
    if version is None:
        last = notice.versions.filter(language=language).aggregate(last=Max("number"))["last"]
        version = NoticeVersion(notice=notice, language=language, number=(last or 0) + 1)
    version.title, version.text = title, text
    version.save()
    version.purposes.set(purposes)
    return version


@transaction.atomic
def publish(*, uuid: UUID) -> NoticeVersion:
    """Publish a draft, for ever; publishing it again changes nothing.

    Raises `NotFoundError` and `NoticeNamesNoPurposeError`.
    """
    version = (
        NoticeVersion.objects.select_for_update(of=["self"])
        .select_related("notice")
        .filter(uuid=uuid)
        .first()
    )
    if version is None:
        raise NotFoundError("no such notice is known")
    if version.published_at is not None:
        return version
    purposes = sorted(version.purposes.values_list("key", flat=True))
    if not purposes:
        raise NoticeNamesNoPurposeError("the notice names no purpose")
    version.published_at = Now()
    version.save(update_fields=["published_at"])
    version.refresh_from_db(fields=["published_at"])
    ledger.append(
        kind="notice.published",
        facts={
            "notice": version.notice.key, "version": str(version.uuid), "number": version.number,
            "language": version.language, "purposes": purposes,
            "text_sha256": hashlib.sha256(version.text.encode()).hexdigest(),
        },
    )  # fmt: skip
    return version


def _held(key: str) -> Notice:
    notice, _ = Notice.objects.get_or_create(key=key)
    return Notice.objects.select_for_update(no_key=True).get(pk=notice.pk)
