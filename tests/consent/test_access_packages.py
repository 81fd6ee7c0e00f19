"""The copy of one's data: what is in it, who gets it, how it goes."""

import io
import json
import zipfile
from datetime import timedelta
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone

from consent.models import AccessPackage, RequestKind, RightsRequest
from consent.rules import DecisionKind
from consent.selectors import access, requests
from consent.selectors.requests import RequestState
from consent.selectors.subjects import (
    SubjectErasedError,
    SubjectUnregisteredError,
    by_identifier,
)
from consent.services import decisions, packages, recipients, subjects
from governance.models import LedgerRecord
from governance.services import ledger
from tests.factories.consent import registered, take
from tests.factories.portal import ANN, BOB, STRANGER, library, signed_in, text_of
from tests.factories.rights import ask, copied, told

pytestmark = pytest.mark.django_db


@pytest.fixture
def shelf(tmp_path):
    made = library(tmp_path)
    for who in (ANN, BOB):
        subjects.register(identifiers=[("email", who)])
    return made


def prepared(kind: str, who: str = ANN):
    request = ask(kind, by_identifier("email", who))
    assert copied(request)
    request.refresh_from_db()
    return request


def unpacked(request) -> dict[str, bytes]:
    content = packages.fetch(package=request.package)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("kind", ["access", "portability"])
def test_a_copy_for_somebody_who_is_not_registered_is_refused_when_it_is_asked_for(tmp_path, kind):
    take(library(tmp_path).loans, [STRANGER], scheme="email")
    with pytest.raises(SubjectUnregisteredError):
        ask(kind, by_identifier("email", STRANGER))
    assert not RightsRequest.objects.exists()


def test_a_copy_holds_what_is_known_of_the_person_and_answers_the_request(shelf):
    ann = by_identifier("email", ANN)
    decisions.record(
        subject=ann, purpose=shelf.suggest, kind=DecisionKind.GIVEN, decided_at=timezone.now(),
        key=uuid4(), notice_version=shelf.notice,
    )  # fmt: skip
    request = prepared("access")
    files = unpacked(request)
    assert sorted(files) == [
        "data.json", "decisions.json", "index.html", "keys.json",
        "rows/01-postgres-lending.public.loans.jsonl",
    ]  # fmt: skip
    known = json.loads(files["data.json"])
    assert known["person"] == {
        "subject": str(ann.uuid), "identifiers": [{"scheme": "email", "value": ANN}]
    }  # fmt: skip
    [loans] = known["datasets"]
    assert (loans["name"], loans["storage"], loans["categories"]) == (
        "public.loans", "lending", ["loans", "contact"],
    )  # fmt: skip
    assert [each["from"] for each in loans["known_from"]] == ["this service"]
    used = {(each["name"], each["certainty"]) for each in known["models"]}
    assert ("what-to-read-next", "inferred") in used
    standings = {each["purpose"]: each["standing"] for each in known["purposes"]}
    assert standings[shelf.suggest.key] == "given"
    assert [each["kind"] for each in known["requests"]] == ["access"]
    assert known["policies"][0]["title"] == shelf.policy.title
    page = text_of(files["index.html"])
    assert ANN in page
    assert "public.loans" in page
    assert BOB.encode() not in b"".join(files.values())
    assert requests.standing_of(request).state is RequestState.COMPLETED
    assert told(request) == ["request.received", "request.completed", "package.fetched"]


def test_a_copy_names_who_received_the_data_and_nobody_else(shelf):
    for name, received in (("Partner Ltd", [shelf.loans]), ("Others Inc", [])):
        recipients.register(
            name=name, url="https://example.org/hooks", scheme="email", datasets=received
        )
    known = json.loads(unpacked(prepared("access"))["data.json"])
    assert known["recipients"] == [{"name": "Partner Ltd"}]


def test_the_decisions_in_a_copy_can_be_checked_with_the_keys_beside_them(shelf, tmp_path, capsys):
    decisions.record(
        subject=by_identifier("email", ANN), purpose=shelf.suggest, kind=DecisionKind.REFUSED,
        decided_at=timezone.now(), key=uuid4(),
    )  # fmt: skip
    while ledger.sequence():
        pass
    files = unpacked(prepared("access"))
    for name in ("decisions.json", "keys.json"):
        (tmp_path / name).write_bytes(files[name])
    call_command(
        "verify_receipt", str(tmp_path / "decisions.json"), "--jwks", str(tmp_path / "keys.json")
    )
    assert "among the first" in capsys.readouterr().out


def test_what_is_taken_along_is_what_the_person_gave_and_no_more(shelf):
    known = json.loads(unpacked(prepared("portability"))["data.json"])
    assert sorted(known) == ["as_of", "controller", "datasets", "format", "person"]


def test_a_copy_is_made_once_and_only_for_those_who_wait_for_one(shelf):
    request = prepared("access")
    assert packages.prepare(request_id=request.pk) is False
    for kind in (RequestKind.OBJECTION, RequestKind.RESTRICTION, RequestKind.RECTIFICATION):
        other = ask(kind, by_identifier("email", BOB))
        assert packages.prepare(request_id=other.pk) is False
    unverified = ask("access", by_identifier("email", BOB), verified=False)
    assert packages.prepare(request_id=unverified.pk) is False
    assert list(access.to_prepare()) == []
    assert AccessPackage.objects.count() == 1


def test_a_copy_is_sealed_under_the_person_s_own_key_and_goes_with_it(shelf):
    request = prepared("access")
    kept = bytes(AccessPackage.objects.get().content_sealed)
    assert ANN.encode() not in kept
    assert not zipfile.is_zipfile(io.BytesIO(kept))
    subjects.forget(subject=request.subject)
    with pytest.raises(SubjectErasedError):
        packages.fetch(package=request.package)


def test_a_copy_expires_and_nothing_of_it_stays(shelf):
    request = prepared("access")
    assert packages.let_go() == 0
    AccessPackage.objects.update(
        made_at=timezone.now() - timedelta(days=15), expires_at=timezone.now()
    )
    with pytest.raises(packages.PackageExpiredError):
        packages.fetch(package=AccessPackage.objects.get(request=request))
    assert packages.let_go() == 1
    assert AccessPackage.objects.get().content_sealed is None
    page = text_of(Client().get(f"/requests/{request.uuid}").content)
    assert "The copy has expired, and is destroyed." in page


def test_only_the_person_who_has_signed_in_can_fetch_the_copy(shelf):
    request = prepared("access")
    address = f"/me/packages/{request.uuid}"
    before = LedgerRecord.objects.filter(kind="package.fetched").count()
    assert Client().get(address).headers["Location"] == "/sign-in"
    assert signed_in(BOB).get(address).status_code == 404
    assert signed_in(ANN).get(f"/me/packages/{uuid4()}").status_code == 404
    assert LedgerRecord.objects.filter(kind="package.fetched").count() == before
    browser = signed_in(ANN)
    assert f'href="{address}"' in browser.get(f"/requests/{request.uuid}").content.decode()
    answer = browser.get(address)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/zip")
    assert answer.headers["Cache-Control"] == "no-store"
    assert zipfile.is_zipfile(io.BytesIO(answer.content))


VIOLATIONS = {
    "consent_package_expires": {"size": 1, "expires_at": timezone.now() - timedelta(days=1)},
    "consent_package_not_empty": {"size": 0, "expires_at": timezone.now() + timedelta(days=1)},
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_each_constraint_fires(name):
    request = ask("access", registered())
    with pytest.raises(IntegrityError, match=name), transaction.atomic():
        AccessPackage.objects.create(request=request, **VIOLATIONS[name])


def test_every_constraint_is_tried():
    assert set(VIOLATIONS) == {each.name for each in AccessPackage._meta.constraints}
