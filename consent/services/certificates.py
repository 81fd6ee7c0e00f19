"""Issuing certificates of erasure: what was done and what is outstanding, signed."""

import json
from dataclasses import dataclass
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from consent.selectors.certificates import certificate
from consent.selectors.requests import Standing
from governance.certificate_check import TYP
from governance.services import signing


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate to read, and the same one signed."""

    certificate: dict[str, Any]
    signed: str

    def as_json(self) -> dict[str, Any]:
        """Return both, as `manage.py verify_certificate` takes them."""
        return {"certificate": self.certificate, "signed": self.signed}


def issue(standing: Standing) -> Issued:
    """Issue the certificate of a request as it stands now. It names no person."""
    document = json.loads(json.dumps(certificate(standing), cls=DjangoJSONEncoder))
    return Issued(document, signing.sign(document, typ=TYP))
