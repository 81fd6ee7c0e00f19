"""A decision as a consent receipt: the fields of ISO/IEC TS 27560:2023 as JSON-LD in DPV's terms.

Pure: facts in, document out. A receipt wraps the record of one decision, with everything that the
person has said on the purpose until then, the latest last. The person is a pseudonymous name;
nothing here says who that is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from consent.rules import DecisionKind, DecisionSource
from governance.models import LegalBasis
from governance.strictjson import JSON

RECEIPT = "https://w3id.org/dpv/schema/dpv-27560#receipt-eu-gdpr"
RECORD = "https://w3id.org/dpv/schema/dpv-27560#record-eu-gdpr"
CONTEXT: dict[str, JSON] = {
    "@version": 1.1,
    "dpv": "https://w3id.org/dpv#",
    "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
    "dct": "http://purl.org/dc/terms/",
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "schema": "https://schema.org/",
    "colophon": "urn:colophon:terms:",
    "ledger": {"@id": "colophon:ledger", "@type": "@json"},
}

BASES = {
    LegalBasis.CONSENT: "eu-gdpr:A6-1-a",
    LegalBasis.CONTRACT: "eu-gdpr:A6-1-b",
    LegalBasis.LEGAL_OBLIGATION: "eu-gdpr:A6-1-c",
    LegalBasis.VITAL_INTERESTS: "eu-gdpr:A6-1-d",
    LegalBasis.PUBLIC_TASK: "eu-gdpr:A6-1-e",
    LegalBasis.LEGITIMATE_INTERESTS: "eu-gdpr:A6-1-f",
}
STATUS = {
    DecisionKind.GIVEN: "dpv:ConsentGiven",
    DecisionKind.RENEWED: "dpv:RenewedConsentGiven",
    DecisionKind.REFUSED: "dpv:ConsentRefused",
    DecisionKind.WITHDRAWN: "dpv:ConsentWithdrawn",
    DecisionKind.OBJECTED: "colophon:Objected",  # the vocabulary has one for Art. 6(1)(f) only
}
METHOD = {
    DecisionSource.PERSON: "said by the person themselves",
    DecisionSource.GUARDIAN: "said by a guardian for the person",
    DecisionSource.DELEGATE: "said by somebody whom the person had charged with it",
    DecisionSource.OPERATOR: "taken down by an operator",
    DecisionSource.IMPORT: "taken over from another system",
    DecisionSource.SIGNAL: "signalled by the person's browser",
}


@dataclass(frozen=True, slots=True)
class Controller:
    """Who answers for the processing; what is empty was not told to this service."""

    name: str
    address: str = ""
    email: str = ""
    url: str = ""
    jurisdiction: str = ""
    retention: str = ""
    locations: Sequence[str] = ()
    recipients: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Named:
    """A purpose: our key and title, and the DPV address of what it is a case of."""

    key: str
    title: str
    dpv_iri: str


@dataclass(frozen=True, slots=True)
class Seen:
    """The exact text that the person saw."""

    uuid: UUID
    key: str
    number: int
    language: str
    title: str
    published_at: datetime
    text_sha256: str


@dataclass(frozen=True, slots=True)
class Said:
    """One decision as an event."""

    uuid: UUID
    kind: DecisionKind
    source: DecisionSource
    decided_at: datetime
    recorded_at: datetime
    valid_until: datetime | None


@dataclass(frozen=True, slots=True)
class Record:
    """Everything that the receipt of one decision says.

    ``purposes`` is the purpose and each wider one, the nearest first; ``said`` are the decisions
    on it until this one, which is the last. ``ledger`` is what proves the record, or nothing.
    """

    subject: UUID
    controller: Controller
    purposes: Sequence[Named]
    basis: LegalBasis
    categories: Sequence[str]
    notice: Seen | None
    said: Sequence[Said]
    ledger: Mapping[str, JSON] | None


def receipt(record: Record, *, uuid: UUID, issued_at: datetime, portal: str) -> dict[str, Any]:
    """Return the receipt; ``portal`` is the address at which a person can change their mind."""
    return {
        "@context": CONTEXT,
        "@id": f"urn:uuid:{uuid}",
        "@type": "dpv:ConsentReceipt",
        "dct:conformsTo": RECEIPT,
        "dct:identifier": str(uuid),
        "dct:created": _instant(issued_at),
        "dct:publisher": record.controller.name,
        "schema:recipient": "dpv:DataSubject",
        "dpv:hasRecordOfActivity": _record(record, portal),
        "ledger": {**record.ledger} if record.ledger else None,
    }


def status(kind: DecisionKind, basis: LegalBasis) -> str:
    """Return the DPV term for what was said; on legitimate interests any "no" is an objection."""
    if basis == LegalBasis.LEGITIMATE_INTERESTS:
        return f"dpv:LegitimateInterest{'NotObjected' if kind.is_yes else 'Objected'}"
    return STATUS[kind]


def _record(record: Record, portal: str) -> dict[str, Any]:
    this, *before = reversed(record.said)
    controller = record.controller
    found: dict[str, Any] = {
        "@id": f"urn:uuid:{this.uuid}",
        "@type": "dpv:ConsentRecord",
        "dct:conformsTo": RECORD,
        "dct:identifier": str(this.uuid),
        "dct:replaces": f"urn:uuid:{before[0].uuid}" if before else None,
        "dpv:hasDataSubject": {"@id": f"urn:uuid:{record.subject}", "@type": "dpv:DataSubject"},
        "dpv:hasDataController": _controller(controller),
        "dpv:hasJurisdiction": controller.jurisdiction,
        "dpv:hasNotice": _notice(record.notice, record.basis) if record.notice else None,
        "dpv:hasProcess": _process(record),
        "dpv:hasConsentControl": {
            "@type": ["dpv:ProvideConsent", "dpv:WithdrawConsent"], "dpv:isExercisedAt": portal,
        },
        "dpv:hasRight": [
            {"@type": ["dpv:DataSubjectRight", right], "dpv:isExercisedAt": portal}
            for right in ("eu-gdpr:A7-3", "eu-gdpr:A17", "eu-gdpr:A21")
        ],
        "dpv:hasConsentStatus": [_event(each, record.basis) for each in record.said],
    }  # fmt: skip
    return _told(found)


def _process(record: Record) -> dict[str, Any]:
    controller = record.controller
    conditions = [
        {"@type": "dpv:StorageLocation", "dpv:hasLocation": each} for each in controller.locations
    ]
    if controller.retention:
        conditions.append({"@type": "dpv:StorageDuration", "dpv:hasDuration": controller.retention})
    nearest, *wider = record.purposes
    found = {
        "@type": "dpv:Process",
        "dpv:hasPurpose": {
            **_purpose(nearest),
            **({"skos:broader": [_purpose(each) for each in wider]} if wider else {}),
        },
        "dpv:hasLegalBasis": BASES[record.basis],
        "dpv:hasPersonalData": [
            {"@type": "dpv:PersonalData", "dct:title": each} for each in record.categories
        ],
        "dpv:hasRecipient": list(controller.recipients),
        "dpv:hasStorageCondition": conditions,
    }
    return _told(found)


def _purpose(named: Named) -> dict[str, Any]:
    return {
        "@type": ["dpv:Purpose", named.dpv_iri],
        "dct:identifier": named.key,
        "dct:title": named.title,
    }


def _controller(controller: Controller) -> dict[str, Any]:
    return _told(
        {
            "@type": "dpv:DataController",
            "dpv:hasName": controller.name,
            "dpv:hasAddress": controller.address,
            "dpv:hasContact": controller.email,
            "schema:url": controller.url,
        }
    )


def _notice(seen: Seen, basis: LegalBasis) -> dict[str, Any]:
    kind = "dpv:ConsentNotice" if basis == LegalBasis.CONSENT else "dpv:PrivacyNotice"
    return {
        "@id": f"urn:uuid:{seen.uuid}",
        "@type": kind,
        "dct:identifier": seen.key,
        "dct:hasVersion": str(seen.number),
        "dct:language": seen.language,
        "dct:title": seen.title,
        "dct:date": _instant(seen.published_at),
        "colophon:textSha256": seen.text_sha256,
    }


def _event(said: Said, basis: LegalBasis) -> dict[str, Any]:
    agreed = basis == LegalBasis.CONSENT and said.kind.is_yes
    found = {
        "@id": f"urn:uuid:{said.uuid}",
        "@type": [status(said.kind, basis), *(["dpv:ExpressedConsent"] if agreed else [])],
        "dpv:isIndicatedBy": "dpv:DataSubject",
        "dpv:hasIndicationMethod": METHOD[said.source],
        "dpv:isIndicatedAtTime": _instant(said.decided_at),
        "dct:dateSubmitted": _instant(said.recorded_at),
        "dpv:hasDuration": _instant(said.valid_until) if said.valid_until else None,
    }
    return _told(found)


def _told(facts: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is not known: an empty answer would read as "none"."""
    return {name: fact for name, fact in facts.items() if fact not in ("", None, [])}


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
