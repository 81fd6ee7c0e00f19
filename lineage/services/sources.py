"""Senders that sign: set up, given secrets, recognised."""

import base64
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone

from governance.errors import ColophonError, NotFoundError
from governance.keys import organisation_key
from governance.models import ApiClient
from governance.services import ledger
from lineage import signatures
from lineage.models import Source, SourceSecret
from lineage.signatures import SignatureError, Verifier

SECRET_BYTES = 32
PLACE = "source-secret"


class MessageReusedError(ColophonError):
    """The id of a message that was taken is used for another one."""

    code: ClassVar[str] = "webhook_id_reused"
    status: ClassVar[int] = 409


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A new secret, with the only copy of a shared one, to be shown once."""

    secret: SourceSecret
    shown: str = field(repr=False, default="")


@transaction.atomic
def create_source(*, name: str, namespaces: Sequence[str] = ()) -> Source:
    """Set up a sender, or give the one of that name other namespaces."""
    client, _ = ApiClient.objects.get_or_create(name=name)
    source, _ = Source.objects.update_or_create(
        client=client, defaults={"namespaces": sorted(set(namespaces)), "disabled_at": None}
    )
    ledger.append(
        kind="source.configured",
        facts={"source": str(source.uuid), "client": name, "namespaces": source.namespaces},
    )
    return source


@transaction.atomic
def add_secret(*, source: Source, public_key: str = "", overlap: timedelta) -> NewSecret:
    """Give a source a new secret; the ones it had go on for ``overlap`` and then end.

    With a ``whpk_`` public key the source signs by Ed25519; else a shared secret is made.
    """
    now = timezone.now()
    living = source.secrets.filter(Q(ends_at=None) | Q(ends_at__gt=now + overlap))
    living.update(ends_at=now + overlap)
    if public_key:
        kind, key, shown = SourceSecret.Kind.ED25519, signatures.public_key_of(public_key), ""
    else:
        kind, key = SourceSecret.Kind.HMAC, secrets.token_bytes(SECRET_BYTES)
        shown = signatures.SECRET_PREFIX + base64.b64encode(key).decode()
    made = SourceSecret.objects.create(
        source=source, kind=kind, sealed=organisation_key().seal(key, PLACE)
    )
    _tell("source.secret_added", made)
    return NewSecret(made, shown)


@transaction.atomic
def end_secret(*, source: Source, uuid: UUID) -> SourceSecret:
    """End a secret now. Raises `NotFoundError`."""
    found = source.secrets.select_for_update().filter(uuid=uuid).first()
    if found is None:
        raise NotFoundError("there is no such secret")
    found.ends_at = min(found.ends_at or timezone.now(), timezone.now())
    found.save(update_fields=["ends_at"])
    _tell("source.secret_ended", found)
    return found


def recognise(
    *, source: UUID, message_id: str, timestamp: str, signature: str, body: bytes
) -> Source:
    """Return the source that signed this body as sent. Raises `SignatureError`.

    Of an unknown source, a disabled one and a wrong signature the answer is the same.
    """
    now = timezone.now()
    claim = signatures.claim_of(message_id, timestamp, signature, now=now.timestamp())
    known = Source.objects.filter(uuid=source, disabled_at=None).select_related("client").first()
    if known is None:
        raise SignatureError("no signature is by a secret of this source")
    living = known.secrets.filter(Q(ends_at=None) | Q(ends_at__gt=now))
    unseal = organisation_key().open
    verifiers = [Verifier(each.kind, unseal(bytes(each.sealed), PLACE)) for each in living]
    signatures.check(claim, body, verifiers)
    return known


def remember(*, source: Source, message_id: str, body: bytes) -> None:
    """Note a message's id; the same message again is welcome, another one under its id is not.

    Raises `MessageReusedError`. Ids are kept for as long as their timestamps are accepted.
    """
    digest = hashlib.sha256(body).digest()
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM lineage_sourcemessage"
            " WHERE received_at < clock_timestamp() - make_interval(secs => %s)",
            [2 * signatures.TOLERANCE_SECONDS],
        )
        cursor.execute(
            """
            INSERT INTO lineage_sourcemessage (source_id, message_id, digest, received_at)
            VALUES (%s, %s, %s, clock_timestamp())
            ON CONFLICT (source_id, message_id) DO UPDATE SET message_id = excluded.message_id
            RETURNING digest
            """,
            [source.pk, message_id, digest],
        )
        if bytes(cursor.fetchone()[0]) != digest:
            raise MessageReusedError("this webhook-id was used for another message")


def _tell(kind: str, secret: SourceSecret) -> None:
    ledger.append(
        kind=kind,
        facts={
            "source": str(secret.source.uuid), "secret": str(secret.uuid), "kind": secret.kind,
        },
    )  # fmt: skip
