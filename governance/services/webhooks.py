"""Announce what happened, to whoever asked to be told; and keep who that is.

What is announced never says of whom. Even a pseudonym would let a pipeline single a person out by
watching what the gate answers before and after, so a withdrawal tells the purpose alone, and those
that come close together are told as one.
"""

import base64
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import SplitResult

from django.conf import settings
from django.db import connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from governance import outbound
from governance.errors import ColophonError
from governance.keys import organisation_key
from governance.models import (
    ApiClient,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookKind,
    WebhookMessage,
)
from governance.selectors.webhooks import secret_place, url_place
from governance.services import ledger
from governance.strictjson import JSON

SECRET_BYTES = 24
GATHERED_SECONDS = 5
OVERLAP = timedelta(days=1)


class WebhookAddressUnusableError(ColophonError):
    """The address is none that can be told anything."""

    code = "webhook_address_unusable"
    status = 400


class WebhookDisabledError(ColophonError):
    """Nothing is sent to this endpoint any more; register another."""

    code = "webhook_disabled"
    status = 409


class DeliveryNotEndedError(ColophonError):
    """It has arrived, or it is still being tried by itself."""

    code = "delivery_not_given_up"
    status = 409


@dataclass(frozen=True, slots=True)
class Registered:
    """An endpoint, and its secret, which is shown this once."""

    endpoint: WebhookEndpoint
    secret: str


@transaction.atomic
def register(*, client: ApiClient, url: str, kinds: Collection[str]) -> Registered:
    """Register where a client wants to be told, and make the secret that messages are signed with.

    Raises `WebhookAddressUnusableError`. The name is not resolved here: what it leads to is
    checked each time something is sent.
    """
    parts = _parts(url)
    endpoint = WebhookEndpoint(
        client=client, host=parts.hostname or "", kinds=sorted(set(kinds)), url_sealed=b""
    )
    endpoint.url_sealed = organisation_key().seal(url.encode(), url_place(endpoint))
    endpoint.save()
    facts = {"webhook": str(endpoint.uuid), "host": endpoint.host, "kinds": list(endpoint.kinds)}
    ledger.append(kind="webhook.registered", facts=facts)
    return Registered(endpoint, _new_secret(endpoint))


@transaction.atomic
def renew_secret(*, endpoint: WebhookEndpoint) -> Registered:
    """Make a new secret; for a day messages are signed with the one before as well."""
    held = WebhookEndpoint.objects.select_for_update().get(pk=endpoint.pk)
    held.secrets.filter(ends_at=None).update(ends_at=timezone.now() + OVERLAP)
    ledger.append(kind="webhook.secret_renewed", facts={"webhook": str(held.uuid)})
    return Registered(held, _new_secret(held))


@transaction.atomic
def disable(*, endpoint: WebhookEndpoint, code: str) -> None:
    """Send nothing there any more; what waits is given up. Doing it twice is harmless."""
    found = WebhookEndpoint.objects.filter(pk=endpoint.pk, disabled_at=None)
    if found.update(disabled_at=timezone.now(), disabled_code=code):
        waiting = endpoint.deliveries.filter(delivered_at=None, gave_up_at=None)
        waiting.update(gave_up_at=Now(), last_code=code)
        facts = {"webhook": str(endpoint.uuid), "code": code}
        ledger.append(kind="webhook.disabled", facts=facts)


def announce(*, kind: WebhookKind, facts: Mapping[str, JSON], about: str = "") -> None:
    """Tell everybody who wants this kind, in the transaction in which it happens.

    Messages of one kind about one thing are brought together as long as none was sent: whoever
    sends one waits for us, so that what we did is in force when it arrives. Raises RuntimeError
    outside a transaction.
    """
    announce_each(kind=kind, told=[(facts, about)])


def announce_each(*, kind: WebhookKind, told: Collection[tuple[Mapping[str, JSON], str]]) -> None:
    """Tell of many things of one kind as `announce` does, each with what it is about."""
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("it is announced in the transaction of what happened")
    to = WebhookEndpoint.objects.filter(disabled_at=None, kinds__contains=[kind.value])
    wanted = list(to) if told else []
    for facts, about in told if wanted else ():
        if about and _waits_for(wanted, kind, about):
            continue
        message = WebhookMessage.objects.create(kind=kind, about=about, payload=dict(facts))
        _send_to(message, wanted, after=GATHERED_SECONDS if about else 0)


@transaction.atomic
def test(*, endpoint: WebhookEndpoint) -> WebhookDelivery:
    """Send a message to one endpoint only, whatever it wants. Raises `WebhookDisabledError`."""
    if endpoint.disabled_at is not None:
        raise WebhookDisabledError("nothing is sent to this endpoint any more")
    message = WebhookMessage.objects.create(kind=WebhookKind.TEST, payload={})
    [delivery] = _send_to(message, [endpoint], after=0)
    return delivery


@transaction.atomic
def retry(*, delivery: WebhookDelivery) -> None:
    """Try what was given up once more, from the beginning. Raises `DeliveryNotEndedError`."""
    found = WebhookDelivery.objects.filter(
        pk=delivery.pk, gave_up_at__isnull=False, endpoint__disabled_at=None
    )
    if not found.update(gave_up_at=None, attempt=0, retry_at=Now()):
        raise DeliveryNotEndedError("only what was given up can be sent again")


def _send_to(
    message: WebhookMessage, endpoints: Collection[WebhookEndpoint], *, after: int
) -> list[WebhookDelivery]:
    return WebhookDelivery.objects.bulk_create(
        WebhookDelivery(
            message=message, endpoint=each, retry_at=timezone.now() + timedelta(seconds=after)
        )
        for each in endpoints
    )


def _waits_for(wanted: Collection[WebhookEndpoint], kind: WebhookKind, about: str) -> bool:
    """Say whether such a message waits for all of them, begun for none, and keep it from being."""
    last = WebhookMessage.objects.filter(kind=kind, about=about).order_by("-pk").first()
    if last is None:
        return False
    with connection.cursor() as cursor:
        # Whoever is claiming one of these is waited for, and what it made of the row is read.
        cursor.execute(
            """
            SELECT endpoint_id, attempt = 0 AND delivered_at IS NULL AND gave_up_at IS NULL
              FROM governance_webhookdelivery WHERE message_id = %s FOR SHARE
            """,
            [last.pk],
        )
        rows = cursor.fetchall()
    return all(fresh for _, fresh in rows) and {each.pk for each in wanted} <= dict(rows).keys()


def _new_secret(endpoint: WebhookEndpoint) -> str:
    raw = os.urandom(SECRET_BYTES)
    endpoint.secrets.create(sealed=organisation_key().seal(raw, secret_place(endpoint)))
    return f"whsec_{base64.b64encode(raw).decode()}"


def _parts(url: str) -> SplitResult:
    try:
        return outbound.parts_of(url, private=settings.COLOPHON_PRIVATE_WEBHOOKS)
    except ValueError as error:
        raise WebhookAddressUnusableError(str(error)) from None
