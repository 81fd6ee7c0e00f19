"""What a person can keep of a decision."""

import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.test import Client

from consent.receipts import status
from consent.rules import DecisionKind
from consent.selectors import receipts as known
from consent.services import decisions, notices, receipts, subjects
from governance.models import LegalBasis
from governance.selectors import ledger as read
from governance.selectors import signing as published
from governance.services import ledger
from governance.signing import verify
from tests.factories.consent import registered, take
from tests.factories.governance import DatasetFactory, PurposeFactory, issued_key
from tests.factories.portal import signed_in

ADA = "ada@example.org"
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEXT = "We train models."

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada():
    return registered(("email", ADA))


@pytest.fixture
def purpose():
    wider = PurposeFactory(key="research", dpv_iri="https://w3id.org/dpv#ResearchAndDevelopment")
    iri = "https://w3id.org/dpv#AcademicResearch"
    return PurposeFactory(key="study", title="A study", parent=wider, dpv_iri=iri)


@pytest.fixture
def notice(purpose):
    draft = notices.draft(
        key="study", language="en", title="Our study", text=TEXT, purposes=[purpose]
    )
    return notices.publish(uuid=draft.uuid)


def said(subject, purpose, kind="given", days=0, **more):
    recorded = decisions.record(
        subject=subject, purpose=purpose, kind=DecisionKind(kind), key=uuid4(),
        decided_at=AT + timedelta(days=days), **more,
    )  # fmt: skip
    return recorded.decision


def numbered() -> None:
    while ledger.sequence():
        pass


def record_in(issued: receipts.Issued) -> dict[str, Any]:
    return issued.receipt["dpv:hasRecordOfActivity"]


def test_a_receipt_says_who_what_for_on_which_text_and_when(ada, purpose, notice, settings):
    settings.PUBLIC_URL = "https://colophon.example.org"
    settings.COLOPHON_CONTROLLER = {
        "name": "A hospital", "address": "1 Road", "email": "dpo@example.org",
        "jurisdiction": "EU", "retention": "P5Y", "locations": ["EU"], "recipients": ["A lab"],
    }  # fmt: skip
    dataset = DatasetFactory(categories=["health", "age"], registered=True)
    take(dataset, [ADA], scheme="email")
    decision = said(
        ada, purpose, notice_version=notice, valid_until=datetime(2031, 1, 1, tzinfo=UTC)
    )
    record = record_in(receipts.issue(decision))
    recorded = decision.recorded_at.isoformat().replace("+00:00", "Z")
    assert record == {
        "@id": f"urn:uuid:{decision.uuid}",
        "@type": "dpv:ConsentRecord",
        "dct:conformsTo": "https://w3id.org/dpv/schema/dpv-27560#record-eu-gdpr",
        "dct:identifier": str(decision.uuid),
        "dpv:hasDataSubject": {"@id": f"urn:uuid:{ada.uuid}", "@type": "dpv:DataSubject"},
        "dpv:hasDataController": {
            "@type": "dpv:DataController", "dpv:hasName": "A hospital",
            "dpv:hasAddress": "1 Road", "dpv:hasContact": "dpo@example.org",
        },
        "dpv:hasJurisdiction": "EU",
        "dpv:hasNotice": {
            "@id": f"urn:uuid:{notice.uuid}", "@type": "dpv:ConsentNotice",
            "dct:identifier": "study", "dct:hasVersion": "1", "dct:language": "en",
            "dct:title": "Our study",
            "dct:date": notice.published_at.isoformat().replace("+00:00", "Z"),
            "colophon:textSha256": sha256(TEXT.encode()).hexdigest(),
        },
        "dpv:hasProcess": {
            "@type": "dpv:Process",
            "dpv:hasPurpose": {
                "@type": ["dpv:Purpose", "https://w3id.org/dpv#AcademicResearch"],
                "dct:identifier": "study", "dct:title": "A study",
                "skos:broader": [{
                    "@type": ["dpv:Purpose", "https://w3id.org/dpv#ResearchAndDevelopment"],
                    "dct:identifier": "research", "dct:title": "Research",
                }],
            },
            "dpv:hasLegalBasis": "eu-gdpr:A6-1-a",
            "dpv:hasPersonalData": [
                {"@type": "dpv:PersonalData", "dct:title": "age"},
                {"@type": "dpv:PersonalData", "dct:title": "health"},
            ],
            "dpv:hasRecipient": ["A lab"],
            "dpv:hasStorageCondition": [
                {"@type": "dpv:StorageLocation", "dpv:hasLocation": "EU"},
                {"@type": "dpv:StorageDuration", "dpv:hasDuration": "P5Y"},
            ],
        },
        "dpv:hasConsentControl": {
            "@type": ["dpv:ProvideConsent", "dpv:WithdrawConsent"],
            "dpv:isExercisedAt": "https://colophon.example.org/me",
        },
        "dpv:hasRight": [
            {"@type": ["dpv:DataSubjectRight", right],
             "dpv:isExercisedAt": "https://colophon.example.org/me"}
            for right in ("eu-gdpr:A7-3", "eu-gdpr:A17", "eu-gdpr:A21")
        ],
        "dpv:hasConsentStatus": [{
            "@id": f"urn:uuid:{decision.uuid}",
            "@type": ["dpv:ConsentGiven", "dpv:ExpressedConsent"],
            "dpv:isIndicatedBy": "dpv:DataSubject",
            "dpv:hasIndicationMethod": "said by the person themselves",
            "dpv:isIndicatedAtTime": "2026-03-01T12:00:00Z",
            "dct:dateSubmitted": recorded,
            "dpv:hasDuration": "2031-01-01T00:00:00Z",
        }],
    }  # fmt: skip


def test_a_receipt_is_about_what_was_said_until_then(ada, purpose):
    given, withdrawn = said(ada, purpose), said(ada, purpose, "withdrawn", days=1)
    said(ada, purpose, "given", days=2)
    said(ada, PurposeFactory(), "refused")
    record = record_in(receipts.issue(withdrawn))
    assert record["dct:replaces"] == f"urn:uuid:{given.uuid}"
    assert [each["@type"] for each in record["dpv:hasConsentStatus"]] == [
        ["dpv:ConsentGiven", "dpv:ExpressedConsent"], ["dpv:ConsentWithdrawn"],
    ]  # fmt: skip
    assert "dct:replaces" not in record_in(receipts.issue(given))


def test_a_no_to_legitimate_interests_is_an_objection_whatever_it_was_called():
    interests = LegalBasis.LEGITIMATE_INTERESTS
    assert {status(kind, interests) for kind in DecisionKind if not kind.is_yes} == {
        "dpv:LegitimateInterestObjected"
    }
    assert status(DecisionKind.GIVEN, interests) == "dpv:LegitimateInterestNotObjected"


def test_a_receipt_is_signed_and_names_nobody(ada, purpose):
    issued = receipts.issue(said(ada, purpose))
    keys = published.public_keys()
    assert verify(issued.signed, typ="consent-receipt+json", keys=keys) == issued.receipt
    assert ADA not in json.dumps(issued.receipt)
    assert issued.receipt["@type"] == "dpv:ConsentReceipt"
    assert UUID(issued.receipt["dct:identifier"]).version == 4
    assert issued.receipt["ledger"] is None


def test_a_receipt_carries_the_proof_once_the_ledger_has_the_decision(ada, purpose):
    said(registered(), purpose)
    decision = said(ada, purpose, "refused")
    numbered()
    kept = receipts.issue(decision).receipt["ledger"]
    assert read.proof_of(kept["record"]).as_json().items() <= kept["proof"].items()
    assert kept["proof"]["size"] == read.head().size


def test_after_an_erasure_there_is_no_receipt(ada, purpose):
    decision = said(ada, purpose)
    subjects.forget(subject=ada)
    with pytest.raises(subjects.SubjectErasedError):
        receipts.issue(known.decision(decision.uuid))


def get(path: str, *scopes: str):
    key = issued_key(*scopes)
    return Client().get(f"/api/v1/{path}", headers={"Authorization": f"Bearer {key}"})


def test_a_receipt_is_fetched_over_rest(ada, purpose):
    decision = said(ada, purpose)
    path = f"decisions/{decision.uuid}/receipt"
    answer = get(path, "consent:read")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    body = answer.json()
    assert set(body) == {"receipt", "signed"}
    keys = published.public_keys()
    assert verify(body["signed"], typ="consent-receipt+json", keys=keys) == body["receipt"]
    assert get(path, "gate:ask").status_code == 403
    assert get(f"decisions/{uuid4()}/receipt", "consent:read").status_code == 404
    subjects.forget(subject=ada)
    gone = get(path, "consent:read")
    assert (gone.status_code, gone.json()["code"]) == (410, "subject_erased")


def test_a_person_takes_the_whole_history_along_and_nothing_of_others(ada, purpose):
    mine = [said(ada, purpose), said(ada, purpose, "withdrawn", days=1)]
    said(registered(), purpose)
    numbered()
    answer = signed_in(ADA).get("/me/decisions.json")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="my-decisions.json"'
    assert answer.headers["Cache-Control"] == "no-store"
    told = answer.json()
    assert (told["format"], told["subject"]) == ("colophon-decisions-1", str(ada.uuid))
    named = [each["receipt"]["dpv:hasRecordOfActivity"] for each in told["decisions"]]
    assert [each["dct:identifier"] for each in named] == [str(each.uuid) for each in mine]
    assert all(each["receipt"]["ledger"]["proof"] for each in told["decisions"])
    assert ADA not in answer.content.decode()


def test_somebody_nobody_knows_or_who_is_only_in_a_list_has_decided_nothing():
    take(DatasetFactory(registered=True), ["listed@example.org"], scheme="email")
    for address in ("nobody@example.org", "listed@example.org"):
        told = signed_in(address).get("/me/decisions.json").json()
        assert (told["subject"], told["decisions"]) == (None, [])


def test_whoever_has_not_signed_in_gets_nothing():
    answer = Client().get("/me/decisions.json")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/sign-in")
