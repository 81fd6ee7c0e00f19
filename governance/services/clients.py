"""Keys of the machines that call: issued, revoked, recognised."""

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from governance.errors import ColophonError, NotFoundError
from governance.models import ApiClient, ApiKey, Scope
from governance.services import ledger

KEY_ID_LENGTH = 12
KEY_ID_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
SECRET_BYTES = 32
MOST_DAYS = 3650
_BEARER = re.compile(r"col_([a-z2-7]{12})_([A-Za-z0-9_-]{43})", re.ASCII)
_NO_DIGEST = bytes(32)


class UnauthenticatedError(ColophonError):
    """No key, a wrong, expired or revoked one: the answer is the same."""

    code = "unauthenticated"
    status = 401


class ScopeMissingError(ColophonError):
    """The key is a good one, and not for this; ``scope`` is what it lacks."""

    code = "scope_missing"
    status = 403


class NamespaceDeniedError(ColophonError):
    """The key may not write to this namespace."""

    code = "namespace_denied"
    status = 403


class KeyFactsError(ColophonError):
    """A key cannot be issued like this; the message says what to change."""

    code = "key_facts_invalid"
    status = 400


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key with the only copy of its secret, to be shown once."""

    key: ApiKey
    bearer: str = field(repr=False)


@transaction.atomic
def issue_key(
    *,
    client_name: str,
    scopes: Sequence[str],
    namespaces: Sequence[str] = (),
    days: int = 90,
) -> IssuedKey:
    """Issue a key to a client, who comes into being with the first one.

    ``namespaces`` bounds what the key may write to, each a name or a prefix that ends in ``*``;
    none means all. It expires after ``days``. Raises `KeyFactsError`.
    """
    _check_facts(client_name, scopes, namespaces, days)
    client, _ = ApiClient.objects.get_or_create(name=client_name)
    key_id = "".join(secrets.choice(KEY_ID_ALPHABET) for _ in range(KEY_ID_LENGTH))
    secret = secrets.token_urlsafe(SECRET_BYTES)
    key = ApiKey.objects.create(
        client=client,
        key_id=key_id,
        secret_sha256=_digest(secret),
        scopes=sorted({str(scope) for scope in scopes}),
        namespaces=sorted(set(namespaces)),
        expires_at=timezone.now() + timedelta(days=days),
    )
    ledger.append(
        kind="key.issued",
        facts={
            "key_id": key_id,
            "client": client.name,
            "scopes": key.scopes,
            "namespaces": key.namespaces,
            "expires_at": key.expires_at.isoformat(),
        },
    )
    return IssuedKey(key, f"col_{key_id}_{secret}")


@transaction.atomic
def revoke_key(*, key_id: str) -> ApiKey:
    """End a key now; an ended one keeps its first end. Raises `NotFoundError`."""
    keys = ApiKey.objects.select_related("client").select_for_update(of=("self",))
    key = keys.filter(key_id=key_id).first()
    if key is None:
        raise NotFoundError("there is no such key")
    if key.revoked_at is None:
        key.revoked_at = timezone.now()
        key.save(update_fields=["revoked_at"])
        ledger.append(kind="key.revoked", facts={"key_id": key_id, "client": key.client.name})
    return key


def authenticate(bearer: str) -> ApiKey:
    """Return the living key, with its client, that a bearer string is the secret of.

    Raises `UnauthenticatedError`. Expiry goes by the database's clock.
    """
    parts = _BEARER.fullmatch(bearer)
    if parts is None:
        raise UnauthenticatedError("a valid key is needed")
    key_id, secret = parts.groups()
    alive = ApiKey.objects.filter(revoked_at=None, expires_at__gt=Now())
    key = alive.select_related("client").filter(key_id=key_id).first()
    kept = bytes(key.secret_sha256) if key else _NO_DIGEST
    same = hmac.compare_digest(kept, _digest(secret))
    if key is None or not same:
        raise UnauthenticatedError("a valid key is needed")
    return key


class KeysInHand:
    """Keys that were recognised within the last second, by the digest of their secret.

    For the door through which events come by the thousand: a key that is revoked or runs out
    stops working there within `SECONDS`.
    """

    SECONDS = 1.0
    MOST = 10_000

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[float, ApiKey]] = {}

    def authenticate(self, bearer: str) -> ApiKey:
        """Return the key as `authenticate` does, or did a moment ago."""
        digest = hashlib.sha256(bearer.encode()).digest()
        until, key = self._known.get(digest, (0.0, None))
        if key is not None and time.monotonic() < until:
            return key
        key = authenticate(bearer)
        if len(self._known) >= self.MOST:
            self._known.clear()
        self._known[digest] = time.monotonic() + self.SECONDS, key
        return key


class Writer(Protocol):
    """Who writes: a key, or a source that signs. ``namespaces`` bounds it; empty is no bound."""

    @property
    def client_id(self) -> int:
        """Whose rows they become."""

    @property
    def namespaces(self) -> list[str]:
        """What it may write to."""


def may_write(key: Writer, namespace: str) -> bool:
    """Tell whether a key may write to a namespace."""
    return not key.namespaces or any(
        namespace.startswith(allowed[:-1]) if allowed.endswith("*") else namespace == allowed
        for allowed in key.namespaces
    )


def require_scope(key: ApiKey, scope: Scope) -> None:
    """Raise `ScopeMissingError` unless the key has the scope."""
    if scope not in key.scopes:
        raise ScopeMissingError(f"the key lacks the scope {scope.value}", scope=scope.value)


def require_namespace(key: ApiKey, namespace: str) -> None:
    """Raise `NamespaceDeniedError` unless the key may write to the namespace."""
    if not may_write(key, namespace):
        raise NamespaceDeniedError("the key may not write to this namespace", namespace=namespace)


def _check_facts(
    client_name: str, scopes: Sequence[str], namespaces: Sequence[str], days: int
) -> None:
    if not client_name.strip():
        raise KeyFactsError("name the client")
    unknown = sorted({str(scope) for scope in scopes} - set(Scope.values))
    if not scopes or unknown:
        raise KeyFactsError(f"the scopes are {', '.join(Scope.values)}", unknown=unknown)
    if any(not pattern or "*" in pattern[:-1] for pattern in namespaces):
        raise KeyFactsError("a namespace is a name, or a prefix that ends in *")
    if not 1 <= days <= MOST_DAYS:
        raise KeyFactsError(f"a key lives from 1 to {MOST_DAYS} days")


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
