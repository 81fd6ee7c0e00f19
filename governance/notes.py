"""Checkpoints of the ledger as signed notes: C2SP tlog-checkpoint in a C2SP signed-note, Ed25519.

Pure: keys come in as 32 raw bytes. A note is a text, an empty line, and a line for each signature,
so existing tools can read and check it.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from governance.errors import ColophonError

ED25519 = b"\x01"
KEY_ID_BYTES = 4
ROOT_BYTES = 32
_SIGNATURE = re.compile("\N{EM DASH} ([^ +\n]+) ([A-Za-z0-9+/=]+)")


class MalformedNoteError(ColophonError):
    """The text is not a signed checkpoint."""

    code = "checkpoint_malformed"
    status = 400


class UnsignedNoteError(ColophonError):
    """None of the keys signed exactly this."""

    code = "checkpoint_not_signed"
    status = 422


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How large a ledger was, and the root over it; ``origin`` names the ledger."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Return what is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def sign(checkpoint: Checkpoint, *, secret: bytes) -> str:
    """Return the checkpoint as a note, signed under the ledger's own name."""
    key = Ed25519PrivateKey.from_private_bytes(secret)
    told, text = _key_id(checkpoint.origin, key.public_key().public_bytes_raw()), checkpoint.text()
    signature = base64.b64encode(told + key.sign(text.encode())).decode()
    return f"{text}\n\N{EM DASH} {checkpoint.origin} {signature}\n"


def read(note: str) -> Checkpoint:
    """Return what a note says, whoever signed it, or raise `MalformedNoteError`."""
    lines = _split(note)[0].split("\n")
    if len(lines) < 4 or not lines[0] or not re.fullmatch(r"0|[1-9][0-9]{0,18}", lines[1]):
        raise MalformedNoteError("the checkpoint has no name, size or root")
    try:
        root = base64.b64decode(lines[2], validate=True)
    except binascii.Error:
        root = b""
    if len(root) != ROOT_BYTES:
        raise MalformedNoteError("the checkpoint's root is not 32 bytes in base64")
    return Checkpoint(lines[0], int(lines[1]), root)


def opened(note: str, *, verifier: str) -> Checkpoint:
    """Return what a note says, if the key of the verifier signed exactly this.

    Raises `MalformedNoteError` and `UnsignedNoteError`.
    """
    name, public = _verifier(verifier)
    text, signatures = _split(note)
    for signer, signature in signatures:
        if signer == name and signature[:KEY_ID_BYTES] == _key_id(name, public):
            try:
                Ed25519PublicKey.from_public_bytes(public).verify(
                    signature[KEY_ID_BYTES:], text.encode()
                )
            except InvalidSignature:
                break
            return read(note)
    raise UnsignedNoteError("the checkpoint was changed, or another key signed it")


def verifier_of(name: str, *, secret: bytes) -> str:
    """Return the public half as those tools want it that check notes: ``name+id+key``."""
    public = Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
    told = base64.b64encode(ED25519 + public).decode()
    return f"{name}+{_key_id(name, public).hex()}+{told}"


def _verifier(text: str) -> tuple[str, bytes]:
    try:
        name, told, key = text.split("+", 2)
        raw = base64.b64decode(key, validate=True)
    except (ValueError, binascii.Error):
        raise MalformedNoteError("this is not a key that checks notes") from None
    if raw[:1] != ED25519 or told != _key_id(name, raw[1:]).hex():
        raise MalformedNoteError("this is not an Ed25519 key with its own name")
    return name, raw[1:]


def _split(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    text, empty, signatures = note.rpartition("\n\n")
    found = [_SIGNATURE.fullmatch(line) for line in signatures.removesuffix("\n").split("\n")]
    controls = any(ord(each) < 32 and each != "\n" for each in note)
    if not empty or controls or not signatures.endswith("\n"):
        raise MalformedNoteError("this is not a signed note")
    signed = []
    for each in found:
        if each is None:
            raise MalformedNoteError("a line of the note is not a signature")
        try:
            signed.append((each[1], base64.b64decode(each[2], validate=True)))
        except binascii.Error:
            raise MalformedNoteError("a signature of the note is not in base64") from None
    return text + "\n", signed


def _key_id(name: str, public: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + ED25519 + public).digest()[:KEY_ID_BYTES]
