"""The gate's answer as a token: what was asked about, what came out, and until when it holds.

Pure: claims come and go as JSON objects; `governance.signing` signs and checks them, with `TYP`.
A token binds the answer to the exact versions of data sets, to the purpose and to the model, so
that an answer for one training cannot be shown for another. It says nothing of people, not even
how many are left out.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from governance.errors import ColophonError

TYP = "gate-decision+jwt"
OPEN = frozenset({"permit", "permit_with_exclusions"})

Name = tuple[str, str]


class MalformedGateTokenError(ColophonError):
    """The claims are not those of an answer of the gate."""

    code = "gate_token_malformed"
    status = 422


class Mismatch(StrEnum):
    """Why a token does not speak for a use."""

    CLOSED = "closed"
    EXPIRED = "expired"
    OTHER_PURPOSE = "other_purpose"
    OTHER_MODEL = "other_model"
    OTHER_DATASET = "other_dataset"
    OTHER_VERSION = "other_version"


@dataclass(frozen=True, slots=True, order=True)
class Input:
    """One data set that was asked about, and its version at that moment."""

    dataset: UUID
    version: UUID


@dataclass(frozen=True, slots=True)
class Token:
    """An answer. ``model`` is empty if none was named: then it speaks for any model."""

    decision: UUID
    outcome: str
    purpose: str | None
    model: Name | None
    inputs: tuple[Input, ...]
    issued_at: datetime
    expires_at: datetime
    policies: tuple[str, ...] = ()
    mechanism: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Use:
    """What was really done, from ``begun_at`` on: each data set with the versions read of it."""

    purposes: Collection[str]
    model: Name | None
    read: Mapping[UUID, Collection[UUID]]
    begun_at: datetime


def claims_of(token: Token, *, issuer: str) -> dict[str, Any]:
    """Return the claims to sign, named as RFC 7519 names them where it does; whole seconds."""
    claims: dict[str, Any] = {
        "iss": issuer,
        "jti": str(token.decision),
        "iat": int(token.issued_at.timestamp()),
        "exp": int(token.expires_at.timestamp()),
        "outcome": token.outcome,
        "purpose": token.purpose,
        "inputs": [
            {"dataset": str(each.dataset), "version": str(each.version)}
            for each in sorted(token.inputs)
        ],
    }
    if token.policies:
        claims["policies"] = list(token.policies)
    if token.mechanism:
        claims["mechanism"] = dict(token.mechanism)
    if token.model is not None:
        claims["model"] = {"namespace": token.model[0], "name": token.model[1]}
    return claims


def token_in(claims: Mapping[str, Any]) -> Token:
    """Return the answer that checked claims state, or raise `MalformedGateTokenError`."""
    try:
        purpose, outcome, model = claims["purpose"], claims["outcome"], claims.get("model")
        if not isinstance(outcome, str) or not (purpose is None or isinstance(purpose, str)):
            raise TypeError
        return Token(
            decision=UUID(claims["jti"]),
            outcome=outcome,
            purpose=purpose,
            model=None if model is None else _name(model),
            inputs=tuple(
                Input(UUID(each["dataset"]), UUID(each["version"])) for each in claims["inputs"]
            ),
            issued_at=_instant(claims["iat"]),
            expires_at=_instant(claims["exp"]),
            policies=tuple(claims.get("policies", ())),
            mechanism=claims.get("mechanism", {}),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, OSError):
        raise MalformedGateTokenError("this is not an answer of the gate") from None


def mismatches(token: Token, use: Use) -> list[Mismatch]:
    """Return every reason for which the token does not speak for a use; none if it does.

    It has to be in force when the use begins, not while it lasts: a training may take days.
    """
    versions = {each.dataset: each.version for each in token.inputs}
    read_other = any(
        dataset in versions and set(read) != {versions[dataset]}
        for dataset, read in use.read.items()
    )
    found = {
        Mismatch.CLOSED: token.outcome not in OPEN,
        Mismatch.EXPIRED: use.begun_at >= token.expires_at,
        Mismatch.OTHER_PURPOSE: set(use.purposes) != {token.purpose},
        Mismatch.OTHER_MODEL: token.model is not None and use.model != token.model,
        Mismatch.OTHER_DATASET: not set(use.read) <= set(versions),
        Mismatch.OTHER_VERSION: read_other,
    }
    return [each for each in Mismatch if found[each]]


def inputs(pairs: Iterable[tuple[UUID, UUID]]) -> tuple[Input, ...]:
    """Return (data set, version) pairs as inputs, in the one order in which they are signed."""
    return tuple(sorted(Input(dataset, version) for dataset, version in pairs))


def _name(model: Mapping[str, Any]) -> Name:
    namespace, name = model["namespace"], model["name"]
    if not isinstance(namespace, str) or not isinstance(name, str):
        raise TypeError
    return namespace, name


def _instant(seconds: Any) -> datetime:
    if type(seconds) is not int:
        raise TypeError
    return datetime.fromtimestamp(seconds, UTC)
