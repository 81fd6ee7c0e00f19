"""Preparing the copy of their data that a person asked for, handing it over, and letting it go."""

import io
import json
import logging
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.template.loader import render_to_string
from django.utils import timezone

from consent import copies as words
from consent.models import AccessPackage, CopyAssembly, CopyReading, RequestKind, RightsRequest
from consent.selectors import access, copies
from consent.selectors.derived import NONE, Derivations, derived_of
from consent.selectors.receipts import controller
from consent.selectors.subjects import key_of
from consent.services import assembling, copying, large, leases, receipts, requests, telling
from governance.errors import ColophonError
from governance.selectors import signing

logger = logging.getLogger(__name__)

VALID_FOR = timedelta(days=14)


class PackageExpiredError(ColophonError):
    """The copy was kept for two weeks; ask for another."""

    code = "package_expired"
    status = 410


def prepare(*, request_id: int) -> bool:
    """Make the copy that a verified request for access or portability waits for, once.

    First it puts down which data sets have to be read, and once all were, or could not be, it
    makes the copy of that, outside of any transaction. It is handed over, and the request answered
    by it, in one. What goes wrong is counted (`consent.services.assembling`).
    """
    due = assembling.claim(request_id)
    if due is None:
        return False
    try:
        with leases.kept_alive(partial(assembling.renew, due)):
            return _prepared(due)
    except Exception as error:  # noqa: BLE001 what it says can quote the row it stumbled over
        logger.error("a copy could not be put together: %s", type(error).__name__)
        assembling.failed(due)
        return False


@transaction.atomic
def fetch(*, package: AccessPackage) -> bytes:
    """Return the archive to the person whose it is, and tell the ledger that it was fetched.

    Raises `PackageExpiredError` and `SubjectErasedError`.
    """
    request, sealed = package.request, large.kept(package)
    if sealed is None or package.expires_at <= timezone.now():
        raise PackageExpiredError("the copy has expired: ask for another")
    content = key_of(request.subject).open(sealed, _place(request))
    telling.record(request, "package.fetched", {"package": str(package.uuid)})
    return content


def let_go() -> int:
    """Empty the copies that have expired, and what nobody waits for; return how many."""
    return access.expired(timezone.now()).update(content_sealed=None) + copying.let_go()


def _prepared(due: CopyAssembly) -> bool:
    request = due.request
    whole = request.kind == RequestKind.ACCESS
    derived = derived_of(request.subject) if whole else NONE
    if copying.ask(request, derived.readable()):
        assembling.release(due)
        return False
    readings, key = copies.readings_of(request), key_of(request.subject)
    content = _archive(request, readings, derived)
    size, sealed = len(content), key.seal(content, _place(request))
    del content
    facts = {"bytes": size, "datasets": len(readings)}
    facts["datasets_not_read"] = sum(each.rows is None for each in readings)
    facts["datasets_derived"] = len(derived.found) + derived.more
    return _handed_over(due, sealed, facts)


@transaction.atomic
def _handed_over(due: CopyAssembly, sealed: bytes, facts: Mapping[str, int]) -> bool:
    """Let the person have it, if they still wait and nobody else has made it meanwhile."""
    request = telling.held(due.request)
    if not access.waiting().filter(pk=request.pk).exists() or not assembling.release(due):
        return False
    package = AccessPackage.objects.create(
        request=request, size=facts["bytes"], expires_at=timezone.now() + VALID_FOR
    )
    large.keep(package, sealed)
    request.readings.update(content_sealed=None)
    requests.answer(request=request, facts=facts)
    return True


def _archive(
    request: RightsRequest, readings: Sequence[CopyReading], derived: Derivations
) -> bytes:
    subject, now = request.subject, timezone.now()
    whole = request.kind == RequestKind.ACCESS
    known = access.known_of(subject, now, derived) if whole else access.provided_by(subject, now)
    read = {str(each.dataset.uuid): each for each in readings}
    codes = {str(each.dataset.uuid): each.code for each in derived.found}
    kept = io.BytesIO()
    with zipfile.ZipFile(kept, "w", zipfile.ZIP_DEFLATED) as archive:
        held = [_with_rows(each, read.get(each["dataset"]), archive) for each in known["datasets"]]
        may_hold = [
            _with_rows(each, read.get(each["dataset"]), archive, codes[each["dataset"]])
            for each in known.get("derived_datasets", ())
        ]
        shown = {**known, "datasets": held, "derived_datasets": may_hold}
        about = {"known": shown, "whole": whole, "now": now}
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
    held: dict[str, Any], reading: CopyReading | None, archive: zipfile.ZipFile, code: str = ""
) -> dict[str, Any]:
    """Put a data set's rows into the archive and say so in its entry; return it for the page.

    Where nothing was read ``code`` says why. Without one there was nothing to read: the person has
    left.
    """
    if held.get("until") is not None or (reading is None and not code):
        return held
    held["rows"] = rows = _told(reading, code)
    if reading is None or not reading.kept:
        return held
    number = 1 + sum(each.startswith("rows/") for each in archive.namelist())
    rows["file"] = words.file_name(number, held["namespace"], held["name"])
    first = _written(reading, archive, rows["file"])
    return {**held, "rows": {**rows, "first": [words.shown(each) for each in first]}}


def _told(reading: CopyReading | None, code: str) -> dict[str, Any]:
    """Say how many rows there are, how many of them are in the copy, and why not all."""
    count = None if reading is None else reading.rows
    rows: dict[str, Any] = {"count": count, "in_file": reading.kept if reading else 0}
    if reading is None or count is None:
        code = reading.code if reading else code
        why = words.why_not(code)
    else:
        code, why = words.NOT_ALL, words.why_less(cut=count - reading.kept, unread=reading.unread)
    if why:
        rows |= {"code": code, "why": why, "ask": words.whom_to_ask(asdict(controller()))}
    return rows


def _written(reading: CopyReading, archive: zipfile.ZipFile, name: str) -> list[bytes]:
    """Write the rows as a file, piece by piece; return the first of them, if they are short."""
    begun, ends = bytearray(), 0
    with archive.open(name, "w") as out:
        for piece in copying.content_of(reading):
            out.write(piece)
            if ends < words.FIRST_ROWS and len(begun) < words.MOST_SHOWN:
                begun += piece
                ends += piece.count(b"\n")
    return bytes(begun[: begun.rfind(b"\n") + 1]).splitlines()[: words.FIRST_ROWS]


def _json(told: Any) -> str:
    return json.dumps(told, cls=DjangoJSONEncoder, indent=2, ensure_ascii=False)


def _place(request: RightsRequest) -> str:
    return f"consent_accesspackage/{request.uuid}"
