"""Send a webhook: claim it, sign it, send it to a checked address, and note how it went."""

import json
import random
from datetime import UTC, timedelta

import httpx
from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from governance import outbound
from governance.models import Sending, WebhookDelivery
from governance.outbound import GONE, Answer
from governance.selectors.webhooks import secrets_of, url_of
from governance.services import webhooks

TIMEOUT = httpx.Timeout(15.0, connect=5.0)
LEASE_SECONDS = 60
# Seconds until each further attempt, as Standard Webhooks 1.0 proposes: three days in all.
SCHEDULE = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
JITTER = 0.1


def deliver(*, delivery_id: int) -> bool:
    """Send one delivery if it is due and free; return whether it arrived."""
    token = claim(WebhookDelivery, delivery_id)
    if token is None:
        return False
    found = WebhookDelivery.objects.select_related("message", "endpoint")
    delivery = found.get(pk=delivery_id)
    outcome = _sent(delivery)
    _finish(delivery, token, outcome)
    if outcome.status == GONE:
        webhooks.disable(endpoint=delivery.endpoint, code="gone")
    return outcome.arrived


def claim(rows: type[Sending], key: int) -> int | None:
    """Take something to send in one statement, by the database's clock; return the token."""
    table = connection.ops.quote_name(rows._meta.db_table)  # noqa: SLF001 - documented API
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            UPDATE {table}
               SET token = token + 1, attempt = attempt + 1,
                   lease_until = clock_timestamp() + make_interval(secs => %s)
             WHERE id = %s AND delivered_at IS NULL AND gave_up_at IS NULL
               AND retry_at <= clock_timestamp()
               AND (lease_until IS NULL OR lease_until < clock_timestamp())
            RETURNING token
            """,  # noqa: S608 a name of ours
            [LEASE_SECONDS, key],
        )
        row = cursor.fetchone()
    return row[0] if row else None


def _sent(delivery: WebhookDelivery) -> Answer:
    body, headers = _signed(delivery)
    private = settings.COLOPHON_PRIVATE_WEBHOOKS
    url = url_of(delivery.endpoint)
    return outbound.post(url, body, headers, private=private, timeout=TIMEOUT)


def _signed(delivery: WebhookDelivery) -> tuple[bytes, dict[str, str]]:
    """Return the body and the headers, signed with every secret that is alive."""
    message = delivery.message
    said = {
        "type": message.kind,
        "timestamp": message.created_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "data": message.payload,
    }
    body = json.dumps(said, separators=(",", ":")).encode()
    keys = secrets_of(delivery.endpoint)
    return body, outbound.signed(body, message_id=str(message.uuid), keys=keys)


def _finish(delivery: WebhookDelivery, token: int, outcome: Answer) -> None:
    """Note how it went, if nobody has taken it over since."""
    ours = WebhookDelivery.objects.filter(pk=delivery.pk, token=token, delivered_at=None)
    noted = {"lease_until": None, "last_status": outcome.status, "last_code": outcome.code}
    if outcome.arrived:
        ours.update(**noted, delivered_at=Now())
    elif delivery.attempt > len(SCHEDULE) or outcome.status == GONE:
        ours.update(**noted, gave_up_at=Now())
    else:
        ours.update(**noted, retry_at=Now() + pause_after(delivery.attempt, outcome))


def pause_after(attempt: int, outcome: Answer) -> timedelta:
    """Return how long to wait after an attempt that was not the last, at least as was asked for."""
    pause = SCHEDULE[attempt - 1] * (1 + random.random() * JITTER)  # noqa: S311
    return timedelta(seconds=max(pause, outcome.retry_after))
