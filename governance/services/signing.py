"""Signing what others check, and changing the key that does it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.utils import timezone

from governance import signing
from governance.errors import ColophonError, NotFoundError
from governance.keys import organisation_key
from governance.models.signing import SigningKey
from governance.selectors import signing as known
from governance.services import ledger
from governance.strictjson import JSON

# How long others may keep the published keys; so long a new key is published before it signs.
PUBLISHED_AHEAD = timedelta(hours=1)


class SigningKeyWithdrawnError(ColophonError):
    """The key was withdrawn before; nothing was changed."""

    code = "signing_key_withdrawn"
    status = 409


@dataclass(frozen=True, slots=True)
class Rotation:
    """The key that comes next, and whether this call made it; the one before ends as it begins."""

    key: SigningKey
    created: bool


def sign(claims: Mapping[str, JSON], *, typ: str, at: datetime | None = None) -> str:
    """Return the claims as a statement that anyone can check; ``typ`` says what it is.

    The very first call makes the first key.
    """
    return signing.sign(claims, typ=typ, secret=secret_at(at or timezone.now()))


def secret_at(at: datetime) -> bytes:
    """Return the secret half of the key that signs at an instant, for other forms of signature."""
    key = known.active(at) or first_key()
    return organisation_key().open(bytes(key.sealed or b""), known.place(key.kid))


@transaction.atomic
def first_key() -> SigningKey:
    """Return the key that signs now, and make one if there never was any."""
    _hold()
    now = timezone.now()
    return known.active(now) or _made(now)


@transaction.atomic
def rotate(*, at_once: bool = False) -> Rotation:
    """Make the next key. It is published now, and signs from an hour later on.

    By then whoever keeps our keys for as long as we allow has it. Where one waits already, that
    is the next. ``at_once`` is for when the present key must not sign again: those who keep our
    keys may refuse what the new one signs until they fetch them again.
    """
    _hold()
    now = timezone.now()
    _destroy_used(now)
    waiting = SigningKey.objects.filter(active_from__gt=now, active_until=None).first()
    starts = now if at_once else now + PUBLISHED_AHEAD
    if waiting is not None and not at_once:
        return Rotation(waiting, created=False)
    present = known.active(now)
    if present is not None:
        SigningKey.objects.filter(pk=present.pk).update(active_until=starts)
    if waiting is None:
        return Rotation(_made(starts if present else now), created=True)
    waiting.active_from = starts
    waiting.save(update_fields=["active_from"])
    return Rotation(waiting, created=False)


@transaction.atomic
def withdraw(*, kid: str) -> SigningKey:
    """Stop believing whatever a key has signed or will sign; if it signs now, another follows.

    Raises `NotFoundError` and `SigningKeyWithdrawnError`.
    """
    _hold()
    key = SigningKey.objects.filter(kid=kid).first()
    if key is None:
        raise NotFoundError("there is no such signing key")
    if key.withdrawn_at is not None:
        raise SigningKeyWithdrawnError("this key was withdrawn before")
    now = timezone.now()
    key.withdrawn_at, key.sealed = now, None
    if key.active_from > now:  # it has signed nothing yet
        key.active_until = key.active_from
    elif key.active_until is None or key.active_until > now:
        key.active_until = rotate(at_once=True).key.active_from
    key.save(update_fields=["withdrawn_at", "sealed", "active_until"])
    if key.active_from > now:  # the one that should have ended for it goes on
        SigningKey.objects.filter(active_until=key.active_from, withdrawn_at=None).update(
            active_until=None
        )
    ledger.append(kind="signing_key.withdrawn", facts={"kid": key.kid})
    return key


def _made(active_from: datetime) -> SigningKey:
    pair = signing.new_pair()
    kid = signing.thumbprint(pair.public)
    key = SigningKey.objects.create(
        kid=kid,
        public=pair.public,
        sealed=organisation_key().seal(pair.secret, known.place(kid)),
        active_from=active_from,
    )
    facts = {"kid": kid, "active_from": active_from.isoformat()}
    ledger.append(kind="signing_key.made", facts=facts)
    return key


def _destroy_used(now: datetime) -> None:
    """Destroy secret halves that will never sign again: what is gone cannot be stolen."""
    SigningKey.objects.filter(active_until__lte=now).update(sealed=None)


def _hold() -> None:
    """Let nobody else change keys until the transaction ends; reading them goes on."""
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE governance_signingkey IN SHARE ROW EXCLUSIVE MODE")
