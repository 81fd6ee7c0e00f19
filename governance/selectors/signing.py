"""The keys that others check our signatures with."""

from datetime import datetime

from django.db.models import Q

from governance import signing
from governance.models.signing import SigningKey


def published() -> list[SigningKey]:
    """Return every key that was not withdrawn, the newest first.

    The next one is among them before it signs, and past ones for as long as there are receipts.
    """
    return list(SigningKey.objects.filter(withdrawn_at=None).order_by("-active_from", "-pk"))


def key_set() -> dict[str, list[dict[str, str]]]:
    """Return the published keys as a JSON Web Key Set (RFC 7517)."""
    return {"keys": [signing.public_jwk(bytes(key.public)) for key in published()]}


def public_keys() -> dict[str, bytes]:
    """Return the published keys by thumbprint, to check a statement of ours with."""
    return {key.kid: bytes(key.public) for key in published()}


def active(at: datetime) -> SigningKey | None:
    """Return the key that signs at an instant, if there is one."""
    still = Q(active_until=None) | Q(active_until__gt=at)
    return SigningKey.objects.filter(still, active_from__lte=at, withdrawn_at=None).first()


def place(kid: str) -> str:
    """Return the place that a sealed secret half is bound to."""
    return f"governance_signingkey/{kid}"
