"""Signatures of Standard Webhooks 1.0: HMAC-SHA-256 (``v1``) and Ed25519 (``v1a``).

Pure. What is signed is the message's id, its timestamp and its body as sent, joined by full stops.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from governance.errors import ColophonError

TOLERANCE_SECONDS = 300
MOST_SIGNATURES = 10
ID_CHARACTERS = 200
SECRET_PREFIX, PUBLIC_KEY_PREFIX = "whsec_", "whpk_"


class SignatureError(ColophonError):
    """The request is not signed, or not by this source, or not now."""

    code: ClassVar[str] = "signature_invalid"
    status: ClassVar[int] = 401


class KeyMalformedError(ColophonError):
    """A secret or public key is not written as Standard Webhooks writes it."""

    code: ClassVar[str] = "key_malformed"
    status: ClassVar[int] = 400


@dataclass(frozen=True, slots=True, repr=False)
class Verifier:
    """What one of a source's secrets verifies with: its scheme and its bytes."""

    scheme: str
    key: bytes

    def verifies(self, signed: bytes, signature: bytes) -> bool:
        """Tell whether the signature is of these bytes and by this key."""
        if self.scheme == "v1":
            return hmac.compare_digest(hmac.digest(self.key, signed, hashlib.sha256), signature)
        try:
            Ed25519PublicKey.from_public_bytes(self.key).verify(signature, signed)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Claim:
    """What the headers of a signed message say."""

    message_id: str
    timestamp: int
    signatures: tuple[tuple[str, bytes], ...]


def claim_of(message_id: str, timestamp: str, signatures: str, *, now: float) -> Claim:
    """Read the three headers. Raises `SignatureError`.

    ``now`` is seconds since 1970; a timestamp further from it than the tolerance is refused, so
    that a message that somebody overheard is of no use later.
    """
    if not message_id or len(message_id) > ID_CHARACTERS or "." in message_id:
        raise SignatureError("webhook-id is missing, too long or holds a full stop")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 12):
        raise SignatureError("webhook-timestamp is not a number of seconds since 1970")
    if abs(int(timestamp) - now) > TOLERANCE_SECONDS:
        raise SignatureError(
            f"webhook-timestamp is more than {TOLERANCE_SECONDS} seconds from the present:"
            " check the sender's clock"
        )
    listed = signatures.split(" ")[:MOST_SIGNATURES]
    return Claim(message_id, int(timestamp), tuple(_signature(each) for each in listed if each))


def check(claim: Claim, body: bytes, verifiers: Iterable[Verifier]) -> None:
    """Raise `SignatureError` unless one of the signatures is by one of the secrets."""
    signed = f"{claim.message_id}.{claim.timestamp}.".encode() + body
    known = list(verifiers)
    good = [
        verifier.verifies(signed, signature)
        for scheme, signature in claim.signatures
        for verifier in known
        if verifier.scheme == scheme
    ]
    if not any(good):
        raise SignatureError("no signature is by a secret of this source")


def public_key_of(text: str) -> bytes:
    """Return the 32 bytes of a ``whpk_`` key. Raises `KeyMalformedError`."""
    key = _bytes_of(text, PUBLIC_KEY_PREFIX)
    if len(key) != 32:
        raise KeyMalformedError("an Ed25519 public key has 32 bytes")
    return key


def _bytes_of(text: str, prefix: str) -> bytes:
    try:
        return base64.b64decode(text.removeprefix(prefix), validate=True)
    except (binascii.Error, ValueError):
        raise KeyMalformedError(f"not a key: {prefix} and base64 are expected") from None


def _signature(text: str) -> tuple[str, bytes]:
    scheme, _, encoded = text.partition(",")
    try:
        return scheme, base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return scheme, b""
