"""Who is told what, what arrived, and what waits to be sent."""

from uuid import UUID

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from governance.errors import NotFoundError
from governance.keys import organisation_key
from governance.models import ApiClient, WebhookDelivery, WebhookEndpoint


def endpoints_of(client: ApiClient) -> "QuerySet[WebhookEndpoint]":
    """Return a client's endpoints, the disabled ones too."""
    return WebhookEndpoint.objects.filter(client=client).order_by("uuid")


def endpoint(*, client: ApiClient, uuid: UUID) -> WebhookEndpoint:
    """Return a client's own endpoint, or raise `NotFoundError`."""
    found = endpoints_of(client).filter(uuid=uuid).first()
    if found is None:
        raise NotFoundError("no such webhook of yours is known")
    return found


def endpoint_named(uuid: UUID) -> WebhookEndpoint:
    """Return anybody's endpoint, for operators, or raise `NotFoundError`."""
    found = WebhookEndpoint.objects.select_related("client").filter(uuid=uuid).first()
    if found is None:
        raise NotFoundError("no such webhook is known")
    return found


def disabled() -> "QuerySet[WebhookEndpoint]":
    """Return the endpoints to which nothing is sent any more."""
    return WebhookEndpoint.objects.filter(disabled_at__isnull=False).select_related("client")


def deliveries_to(endpoint: WebhookEndpoint) -> "QuerySet[WebhookDelivery]":
    """Return everything that was or is to be sent to an endpoint."""
    return endpoint.deliveries.select_related("message").order_by("uuid")


def delivery(endpoint: WebhookEndpoint, uuid: UUID) -> WebhookDelivery:
    """Return one delivery to an endpoint, or raise `NotFoundError`."""
    found = deliveries_to(endpoint).filter(uuid=uuid).first()
    if found is None:
        raise NotFoundError("no such delivery is known")
    return found


def to_deliver() -> "QuerySet[WebhookDelivery]":
    """Return the deliveries that can be claimed now, those that wait longest first."""
    free = Q(lease_until=None) | Q(lease_until__lt=Now())
    waiting = WebhookDelivery.objects.filter(free, delivered_at=None, gave_up_at=None)
    return waiting.filter(retry_at__lte=Now()).order_by("retry_at", "pk")


def failing() -> "QuerySet[WebhookDelivery]":
    """Return the messages that were sent in vain and are sent again."""
    waiting = WebhookDelivery.objects.filter(delivered_at=None, gave_up_at=None)
    return waiting.filter(attempt__gt=0).exclude(last_code="", last_status=None)


def given_up() -> "QuerySet[WebhookDelivery]":
    """Return the messages that were given up, and could be sent again on a person's word."""
    return WebhookDelivery.objects.filter(gave_up_at__isnull=False, endpoint__disabled_at=None)


def url_of(endpoint: WebhookEndpoint) -> str:
    """Return an endpoint's address, which may hold a secret."""
    return organisation_key().open(bytes(endpoint.url_sealed), url_place(endpoint)).decode()


def secrets_of(endpoint: WebhookEndpoint) -> list[bytes]:
    """Return what to sign with now, the newest first."""
    alive = endpoint.secrets.filter(Q(ends_at=None) | Q(ends_at__gt=Now())).order_by("-pk")
    return [organisation_key().open(bytes(each.sealed), secret_place(endpoint)) for each in alive]


def url_place(endpoint: WebhookEndpoint) -> str:
    """Return the place that a sealed address is bound to."""
    return f"governance_webhookendpoint/{endpoint.uuid}/url"


def secret_place(endpoint: WebhookEndpoint) -> str:
    """Return the place that a sealed secret is bound to."""
    return f"governance_webhookendpoint/{endpoint.uuid}/secret"
