"""Send a webhook: claim it, sign it, send it to a checked address, and note how it went."""

import json
import random
import time
from dataclasses import dataclass
from datetime import UTC, timedelta
from urllib.parse import urlsplit

import httpx
from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from governance import outbound
from governance.models import WebhookDelivery
from governance.selectors.webhooks import secrets_of, url_of
from governance.services import webhooks

TIMEOUT = httpx.Timeout(15.0, connect=5.0)
LEASE_SECONDS = 60
# Seconds until each further attempt, as Standard Webhooks 1.0 proposes: three days in all.
SCHEDULE = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
LONGEST_ASKED = 86_400  # the most that a Retry-After is heeded, in seconds
JITTER = 0.1
GONE = 410


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt went: an HTTP status, or the code of what came in between."""

    status: int | None
    code: str = ""
    retry_after: int = 0

    @property
    def arrived(self) -> bool:
        """Say whether it was taken: a 2xx, and nothing else."""
        return self.status is not None and 200 <= self.status < 300


def deliver(*, delivery_id: int) -> bool:
    """Send one delivery if it is due and free; return whether it arrived."""
    token = _claim(delivery_id)
    if token is None:
        return False
    found = WebhookDelivery.objects.select_related("message", "endpoint")
    delivery = found.get(pk=delivery_id)
    outcome = _sent(delivery)
    _finish(delivery, token, outcome)
    if outcome.status == GONE:
        webhooks.disable(endpoint=delivery.endpoint, code="gone")
    return outcome.arrived


def _claim(delivery_id: int) -> int | None:
    """Take it in one statement, by the database's clock; return the token."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE governance_webhookdelivery
               SET token = token + 1, attempt = attempt + 1,
                   lease_until = clock_timestamp() + make_interval(secs => %s)
             WHERE id = %s AND delivered_at IS NULL AND gave_up_at IS NULL
               AND retry_at <= clock_timestamp()
               AND (lease_until IS NULL OR lease_until < clock_timestamp())
            RETURNING token
            """,
            [LEASE_SECONDS, delivery_id],
        )
        row = cursor.fetchone()
    return row[0] if row else None


def _sent(delivery: WebhookDelivery) -> Outcome:
    url = urlsplit(url_of(delivery.endpoint))
    body, headers = _signed(delivery)
    path = f"{url.path or '/'}?{url.query}" if url.query else url.path or "/"
    private = settings.COLOPHON_PRIVATE_WEBHOOKS
    try:
        with outbound.connected(url, private=private, timeout=TIMEOUT) as peer:
            answer = peer.send("POST", path, body, headers)
            try:
                return Outcome(answer.status_code, "", _asked_to_wait(answer))
            finally:
                answer.close()
    except (outbound.PeerForbiddenError, outbound.PeerUnresolvedError) as error:
        return Outcome(None, error.code)
    except httpx.TimeoutException:
        return Outcome(None, "timed_out")
    except (httpx.HTTPError, httpx.StreamError):
        return Outcome(None, "not_reached")


def _signed(delivery: WebhookDelivery) -> tuple[bytes, dict[str, str]]:
    """Return the body and the headers, signed with every secret that is alive."""
    message, now = delivery.message, int(time.time())
    said = {
        "type": message.kind,
        "timestamp": message.created_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "data": message.payload,
    }
    body = json.dumps(said, separators=(",", ":")).encode()
    signatures = [
        outbound.signature(key, message_id=str(message.uuid), timestamp=now, body=body)
        for key in secrets_of(delivery.endpoint)
    ]
    return body, {
        "Content-Type": "application/json",
        "webhook-id": str(message.uuid),
        "webhook-timestamp": str(now),
        "webhook-signature": " ".join(signatures),
    }


def _asked_to_wait(answer: httpx.Response) -> int:
    asked = answer.headers.get("Retry-After", "")
    return min(int(asked), LONGEST_ASKED) if asked.isascii() and asked.isdecimal() else 0


def _finish(delivery: WebhookDelivery, token: int, outcome: Outcome) -> None:
    """Note how it went, if nobody has taken it over since."""
    ours = WebhookDelivery.objects.filter(pk=delivery.pk, token=token, delivered_at=None)
    noted = {"lease_until": None, "last_status": outcome.status, "last_code": outcome.code}
    if outcome.arrived:
        ours.update(**noted, delivered_at=Now())
    elif delivery.attempt > len(SCHEDULE) or outcome.status == GONE:
        ours.update(**noted, gave_up_at=Now())
    else:
        pause = SCHEDULE[delivery.attempt - 1] * (1 + random.random() * JITTER)  # noqa: S311
        wait = timedelta(seconds=max(pause, outcome.retry_after))
        ours.update(**noted, retry_at=Now() + wait)
