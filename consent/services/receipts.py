"""Issuing receipts: what a decision says, signed so that anyone can check it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.utils import timezone

from consent import receipts
from consent.models import ConsentDecision, Subject
from consent.receipts import Record
from consent.selectors import receipts as known
from governance.receipt_check import TYP
from governance.services import signing

FORMAT = "colophon-decisions-1"
JWKS_PATH = "/.well-known/jwks.json"


@dataclass(frozen=True, slots=True)
class Issued:
    """A receipt to read, and the same one signed."""

    receipt: dict[str, Any]
    signed: str

    def as_json(self) -> dict[str, Any]:
        """Return both, as `manage.py verify_receipt` takes them."""
        return {"receipt": self.receipt, "signed": self.signed}


def issue(decision: ConsentDecision) -> Issued:
    """Issue the receipt of one decision; each has a name and an instant of its own.

    Raises `SubjectErasedError`.
    """
    return _issued(known.record_of(decision), timezone.now())


def history(subject: Subject | None) -> dict[str, Any]:
    """Issue the receipts of everything a person has decided, as one document.

    Somebody whom nobody knows has decided nothing. Raises `SubjectErasedError`.
    """
    now = timezone.now()
    records = known.records_of(subject) if subject is not None else []
    return {
        "format": FORMAT,
        "subject": str(subject.uuid) if subject else None,
        "issued_at": now,
        "keys": settings.PUBLIC_URL + JWKS_PATH,
        "decisions": [_issued(each, now).as_json() for each in records],
    }


def _issued(record: Record, now: datetime) -> Issued:
    portal = f"{settings.PUBLIC_URL}/me"
    document = receipts.receipt(record, uuid=uuid4(), issued_at=now, portal=portal)
    return Issued(document, signing.sign(document, typ=TYP))
