"""Commitments, and the proofs that are given out, as documents that anyone can check.

Pure: checking needs the document and no database. A proof document is a JSON object with
``index``, ``size``, ``leaf``, ``hashes`` and ``root``, and may carry an ``opening`` of ``salt``
and ``body``; bytes are in base64.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import rfc8785

from governance import merkle, strictjson
from governance.errors import ColophonError

SALT_BYTES = 32


class MalformedProofError(ColophonError):
    """The document is not a proof."""

    code = "malformed_proof"
    status = 400


@dataclass(frozen=True, slots=True, repr=False)
class Opening:
    """What a commitment hides: with it, anyone can see what a leaf stands for."""

    salt: bytes
    body: bytes

    def commitment(self) -> str:
        """Return HMAC-SHA-256 of the body under the salt, in base64."""
        return _written(hmac.digest(self.salt, self.body, hashlib.sha256))

    def as_json(self) -> dict[str, str]:
        """Return the opening, to be put beside a proof for who may read it."""
        return {"salt": _written(self.salt), "body": _written(self.body)}


def leaf_of(*, kind: str, date: str, opening: Opening) -> bytes:
    """Return the leaf: what is public of a record, in canonical JSON (RFC 8785)."""
    return rfc8785.dumps({"v": 1, "t": kind, "d": date, "c": opening.commitment()})


def opens(leaf: bytes, opening: Opening) -> bool:
    """Tell whether the leaf commits to this opening."""
    try:
        said = strictjson.loads(leaf)
    except strictjson.MalformedJSONError:
        return False
    claimed = str(said.get("c", "")) if isinstance(said, dict) else ""
    return hmac.compare_digest(claimed.encode(), opening.commitment().encode())


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """That ``leaf`` is entry ``index`` of the ledger of ``size`` entries with this root."""

    index: int
    size: int
    leaf: bytes
    hashes: tuple[bytes, ...]
    root: bytes

    def holds(self) -> bool:
        """Tell whether the hashes lead from the leaf to the root."""
        return merkle.proves_inclusion(
            index=self.index, size=self.size, leaf=self.leaf, hashes=self.hashes, root=self.root
        )

    def as_json(self) -> dict[str, Any]:
        """Return the proof document."""
        return {
            "index": self.index,
            "size": self.size,
            "leaf": _written(self.leaf),
            "hashes": [_written(each) for each in self.hashes],
            "root": _written(self.root),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Read a proof document, or raise `MalformedProofError`."""
        hashes = document.get("hashes")
        if not isinstance(hashes, list):
            raise MalformedProofError("the proof's hashes are not a list")
        return cls(
            index=_whole_number(document, "index"),
            size=_whole_number(document, "size"),
            leaf=_read(document.get("leaf"), "leaf"),
            hashes=tuple(_read(each, "hash") for each in hashes),
            root=_read(document.get("root"), "root"),
        )


@dataclass(frozen=True, slots=True)
class ConsistencyProof:
    """That the ledger of ``new`` entries begins with the one of ``old`` entries."""

    old: int
    new: int
    hashes: tuple[bytes, ...]
    old_root: bytes
    new_root: bytes

    def holds(self) -> bool:
        """Tell whether the hashes lead to both roots."""
        return merkle.proves_consistency(
            old=self.old,
            new=self.new,
            hashes=self.hashes,
            old_root=self.old_root,
            new_root=self.new_root,
        )

    def as_json(self) -> dict[str, Any]:
        """Return the proof document."""
        return {
            "old": self.old,
            "new": self.new,
            "hashes": [_written(each) for each in self.hashes],
            "old_root": _written(self.old_root),
            "new_root": _written(self.new_root),
        }


def opening_in(document: Mapping[str, Any]) -> Opening | None:
    """Return the opening that a proof document carries, if it does."""
    given = document.get("opening")
    if given is None:
        return None
    if not isinstance(given, Mapping):
        raise MalformedProofError("the proof's opening is not an object")
    return Opening(_read(given.get("salt"), "salt"), _read(given.get("body"), "body"))


def _whole_number(document: Mapping[str, Any], name: str) -> int:
    value = document.get(name)
    if type(value) is not int:
        raise MalformedProofError(f"the proof's {name} is not a whole number")
    return value


def _read(value: object, name: str) -> bytes:
    if not isinstance(value, str):
        raise MalformedProofError(f"the proof's {name} is not base64 text")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise MalformedProofError(f"the proof's {name} is not base64 text") from None


def _written(value: bytes) -> str:
    return base64.b64encode(value).decode()
