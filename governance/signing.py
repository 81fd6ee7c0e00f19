"""Signed statements that anyone can check offline: JWS (RFC 7515) with Ed25519 (RFC 9864).

Pure: keys come in as 32 raw bytes. A statement is a JSON object in the compact form. Its header
names the key by RFC 7638 thumbprint, and by ``typ`` what it is, so that one kind of statement
can never pass for another.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from joserfc.util import urlsafe_b64decode, urlsafe_b64encode

from governance import strictjson
from governance.errors import ColophonError
from governance.strictjson import JSON

ALGORITHM = "Ed25519"
KEY_BYTES = 32


class MalformedStatementError(ColophonError):
    """The text is not a statement of the kind that was expected."""

    code = "statement_malformed"
    status = 400


class UnknownSignerError(ColophonError):
    """No published key signed it; ``kid`` is the one that it names."""

    code = "signer_unknown"
    status = 422


class SignatureWrongError(ColophonError):
    """The statement was changed after it was signed, or another key signed it."""

    code = "signature_wrong"
    status = 422


class MalformedKeysError(ColophonError):
    """The document is not a JSON Web Key Set (RFC 7517)."""

    code = "keys_malformed"
    status = 400


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A new key: what is published, and what is sealed."""

    public: bytes
    secret: bytes = field(repr=False)


def new_pair() -> KeyPair:
    """Return a new key from the operating system's generator."""
    made = Ed25519PrivateKey.generate()
    return KeyPair(made.public_key().public_bytes_raw(), made.private_bytes_raw())


def thumbprint(public: bytes) -> str:
    """Return the name of a key: the SHA-256 of its public half in RFC 7638's form, base64url."""
    return str(OKPKey.import_key(_parts(public)).thumbprint())


def public_jwk(public: bytes) -> dict[str, str]:
    """Return the public half as a JSON Web Key."""
    return {**_parts(public), "kid": thumbprint(public), "use": "sig", "alg": ALGORITHM}


def sign(claims: Mapping[str, JSON], *, typ: str, secret: bytes) -> str:
    """Return the statement in the compact form; equal claims and key give equal text."""
    public = Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
    key = OKPKey.import_key({**_parts(public), "d": _written(secret)})
    header = {"alg": ALGORITHM, "kid": thumbprint(public), "typ": typ}
    return str(jws.serialize_compact(header, rfc8785.dumps({**claims}), key, [ALGORITHM]))


def verify(text: str, *, typ: str, keys: Mapping[str, bytes]) -> dict[str, Any]:
    """Return what a statement says, if one of the keys signed exactly this.

    ``keys`` are public halves by thumbprint, as `keys_in` returns them. Raises
    `MalformedStatementError`, `UnknownSignerError` and `SignatureWrongError`.
    """
    header = _header_of(text)
    if header.get("typ") != typ:
        raise MalformedStatementError(f"this is not a statement of the kind {typ}")
    kid = header.get("kid")
    public = keys.get(kid) if isinstance(kid, str) else None
    if public is None:
        raise UnknownSignerError(
            "the key that it names is not among the published ones: fetch them again; a key that "
            "is still missing then was withdrawn, or was never ours",
            kid=str(kid),
        )
    try:
        found = jws.deserialize_compact(text, OKPKey.import_key(_parts(public)), [ALGORITHM])
    except (JoseError, ValueError):
        raise SignatureWrongError("the signature does not fit: the text was changed") from None
    claims = strictjson.loads(found.payload)
    if not isinstance(claims, dict):
        raise MalformedStatementError("the statement is not a JSON object")
    return claims


def keys_in(document: object) -> dict[str, bytes]:
    """Return the Ed25519 keys of a JSON Web Key Set by thumbprint, which is computed, not believed.

    Keys of other kinds are passed over. Raises `MalformedKeysError`.
    """
    listed = document.get("keys") if isinstance(document, Mapping) else None
    if not isinstance(listed, list):
        raise MalformedKeysError("the document has no list of keys")
    found = [_public_in(each) for each in listed]
    return {thumbprint(public): public for public in found if public is not None}


def _public_in(key: object) -> bytes | None:
    if not isinstance(key, Mapping) or (key.get("kty"), key.get("crv")) != ("OKP", ALGORITHM):
        return None
    try:
        public = urlsafe_b64decode(str(key.get("x")).encode())
        Ed25519PublicKey.from_public_bytes(public)
    except ValueError:
        raise MalformedKeysError("an Ed25519 key is not 32 bytes in base64url") from None
    return bytes(public)


def _header_of(text: str) -> dict[str, Any]:
    parts = text.split(".")
    if len(parts) != 3 or not text.isascii():
        raise MalformedStatementError("this is not a signed statement in the compact form")
    try:
        header = strictjson.loads(urlsafe_b64decode(parts[0].encode()))
    except (ValueError, strictjson.MalformedJSONError):
        raise MalformedStatementError("the header of the statement is not JSON") from None
    if not isinstance(header, dict) or header.get("alg") != ALGORITHM:
        raise MalformedStatementError(f"the statement is not signed with {ALGORITHM}")
    return header


def _parts(public: bytes) -> dict[str, Any]:
    return {"kty": "OKP", "crv": ALGORITHM, "x": _written(public)}


def _written(value: bytes) -> str:
    return urlsafe_b64encode(value).decode()
