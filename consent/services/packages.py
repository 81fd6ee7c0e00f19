"""Preparing the copy of their data that a person asked for, handing it over, and letting it go."""

import io
import json
import zipfile
from datetime import timedelta
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.template.loader import render_to_string
from django.utils import timezone

from consent.models import AccessPackage, RequestKind, RightsRequest
from consent.selectors import access
from consent.selectors.subjects import key_of
from consent.services import receipts, requests
from consent.services.telling import record
from governance.errors import ColophonError
from governance.selectors import signing

VALID_FOR = timedelta(days=14)


class PackageExpiredError(ColophonError):
    """The copy was kept for two weeks; ask for another."""

    code = "package_expired"
    status = 410


@transaction.atomic
def prepare(*, request_id: int) -> bool:
    """Make the copy that a verified request for access or portability waits for, once.

    The request is answered by it, in the same transaction.
    """
    found = access.to_prepare().filter(pk=request_id)
    request = found.select_for_update(of=("self",)).select_related("subject").first()
    if request is None:
        return False
    now = timezone.now()
    content = _archive(request)
    key = key_of(request.subject)
    AccessPackage.objects.create(
        request=request, content_sealed=key.seal(content, _place(request)), size=len(content),
        expires_at=now + VALID_FOR,
    )  # fmt: skip
    requests.answer(request=request, facts={"bytes": len(content)})
    return True


@transaction.atomic
def fetch(*, package: AccessPackage) -> bytes:
    """Return the archive to the person whose it is, and tell the ledger that it was fetched.

    Raises `PackageExpiredError` and `SubjectErasedError`.
    """
    request = package.request
    if package.content_sealed is None or package.expires_at <= timezone.now():
        raise PackageExpiredError("the copy has expired: ask for another")
    content = key_of(request.subject).open(bytes(package.content_sealed), _place(request))
    record(request, "package.fetched", {"package": str(package.uuid)})
    return content


def let_go() -> int:
    """Empty the copies that have expired; return how many."""
    return access.expired(timezone.now()).update(content_sealed=None)


def _archive(request: RightsRequest) -> bytes:
    subject, now = request.subject, timezone.now()
    whole = request.kind == RequestKind.ACCESS
    known = access.known_of(subject, now) if whole else access.provided_by(subject, now)
    page = render_to_string("package/index.html", {"known": known, "whole": whole, "now": now})
    files: dict[str, Any] = {
        "data.json": _json(known),
        "decisions.json": _json(receipts.history(subject)),
        "keys.json": _json(signing.key_set()),
        "index.html": page,
    }
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return kept.getvalue()


def _json(told: Any) -> str:
    return json.dumps(told, cls=DjangoJSONEncoder, indent=2, ensure_ascii=False)


def _place(request: RightsRequest) -> str:
    return f"consent_accesspackage/{request.uuid}"
