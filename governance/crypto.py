"""Key derivation and sealing: HKDF-SHA-256 (RFC 5869), AES-256-GCM (NIST SP 800-38D), HMAC.

Pure: keys come in as arguments. Every key is derived from one master key and a label that says
what it is for, so that no two uses share a key.
"""

import hashlib
import hmac
import os
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
NONCE_BYTES = 12


class UnreadableError(Exception):
    """The sealed bytes were changed, moved to another place, or belong to another key."""

    code = "sealed_bytes_unreadable"


def derive(master: bytes, label: str) -> bytes:
    """Return the 32-byte key for one use."""
    hkdf = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=b"colophon/" + label.encode())
    return hkdf.derive(master)


def keyed_digest(key: bytes, message: bytes) -> bytes:
    """Return HMAC-SHA-256: equal for equal messages, meaningless without the key."""
    return hmac.digest(key, message, hashlib.sha256)


def new_key() -> bytes:
    """Return 32 bytes from the operating system's generator."""
    return os.urandom(KEY_BYTES)


@dataclass(frozen=True, slots=True, repr=False)
class SealingKey:
    """An AES-256-GCM key. ``place`` binds a sealed value to where it is kept."""

    secret: bytes

    def seal(self, plain: bytes, place: str) -> bytes:
        """Encrypt: a random 96-bit nonce, then ciphertext and tag."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + AESGCM(self.secret).encrypt(nonce, plain, place.encode())

    def open(self, sealed: bytes, place: str) -> bytes:
        """Decrypt, or raise `UnreadableError`."""
        nonce, body = bytes(sealed[:NONCE_BYTES]), bytes(sealed[NONCE_BYTES:])
        try:
            return AESGCM(self.secret).decrypt(nonce, body, place.encode())
        except (InvalidTag, ValueError):
            raise UnreadableError from None
