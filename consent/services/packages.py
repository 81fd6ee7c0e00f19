"""Preparing the copy of their data that a person asked for, handing it over, and letting it go."""

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.template.loader import render_to_string
from django.utils import timezone

from consent import copies as words
from consent.models import AccessPackage, CopyReading, RequestKind, RightsRequest
from consent.selectors import access, copies
from consent.selectors.receipts import controller
from consent.selectors.subjects import key_of
from consent.services import copying, receipts, requests
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

    First it puts down which data sets have to be read, and once all were, or could not be, it
    makes the copy of that. The request is answered by it, in the same transaction.
    """
    found = access.to_prepare().filter(pk=request_id)
    request = found.select_for_update(of=("self",)).select_related("subject").first()
    if request is None:
        return False
    if copying.ask(request):
        return False
    now, readings = timezone.now(), copies.readings_of(request)
    content = _archive(request, readings)
    key = key_of(request.subject)
    AccessPackage.objects.create(
        request=request, content_sealed=key.seal(content, _place(request)), size=len(content),
        expires_at=now + VALID_FOR,
    )  # fmt: skip
    request.readings.update(content_sealed=None)
    facts = {"bytes": len(content), "datasets": len(readings)}
    facts["datasets_not_read"] = sum(each.rows is None for each in readings)
    requests.answer(request=request, facts=facts)
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
    """Empty the copies that have expired, and what nobody waits for; return how many."""
    return access.expired(timezone.now()).update(content_sealed=None) + copying.let_go()


def _archive(request: RightsRequest, readings: Sequence[CopyReading]) -> bytes:
    subject, now = request.subject, timezone.now()
    whole = request.kind == RequestKind.ACCESS
    known = access.known_of(subject, now) if whole else access.provided_by(subject, now)
    read = {str(each.dataset.uuid): each for each in readings}
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w", zipfile.ZIP_DEFLATED) as archive:
        held = [_with_rows(each, read.get(each["dataset"]), archive) for each in known["datasets"]]
        about = {"known": {**known, "datasets": held}, "whole": whole, "now": now}
        files: dict[str, Any] = {
            "index.html": render_to_string("package/index.html", about),
            "data.json": _json(known),
            "decisions.json": _json(receipts.history(subject)),
            "keys.json": _json(signing.key_set()),
        }
        for name, text in files.items():
            archive.writestr(name, text)
    return kept.getvalue()


def _with_rows(
    held: dict[str, Any], reading: CopyReading | None, archive: zipfile.ZipFile
) -> dict[str, Any]:
    """Put a data set's rows into the archive and say so in its entry; return it for the page.

    Of a data set that the person has left there is nothing to read.
    """
    if reading is None or held["until"] is not None:
        return held
    cut = (reading.rows or 0) - reading.kept
    less = words.why_less(cut=cut, unread=reading.unread)
    why = words.why_not(reading.code) if reading.rows is None else less
    rows: dict[str, Any] = {"count": reading.rows, "in_file": reading.kept}
    if why:
        ask = words.whom_to_ask(asdict(controller()))
        rows |= {"code": reading.code or words.NOT_ALL, "why": why, "ask": ask}
    held["rows"] = rows
    if not reading.kept:
        return held
    number = 1 + sum(each.startswith("rows/") for each in archive.namelist())
    rows["file"] = words.file_name(number, held["namespace"], held["name"])
    first = _written(reading, archive, rows["file"])
    return {**held, "rows": {**rows, "first": [words.shown(each) for each in first]}}


def _written(reading: CopyReading, archive: zipfile.ZipFile, name: str) -> list[bytes]:
    """Write the rows as a file, piece by piece; return the first of them."""
    begun, ends = bytearray(), 0
    with archive.open(name, "w") as out:
        for piece in copying.content_of(reading):
            out.write(piece)
            if ends < words.FIRST_ROWS:
                begun += piece
                ends += piece.count(b"\n")
    return bytes(begun).splitlines()[: words.FIRST_ROWS]


def _json(told: Any) -> str:
    return json.dumps(told, cls=DjangoJSONEncoder, indent=2, ensure_ascii=False)


def _place(request: RightsRequest) -> str:
    return f"consent_accesspackage/{request.uuid}"
