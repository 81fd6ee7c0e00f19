"""Where to be told what happens here, over REST. A client sees its own endpoints only."""

from typing import Any
from uuid import UUID

from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.api.authentication import key_of
from governance.api.documents import ListIn, list_of, listed, operation, query_of
from governance.models import Scope, WebhookEndpoint, WebhookKind
from governance.selectors import webhooks as selectors
from governance.services import webhooks

MANAGE = Scope.WEBHOOKS_MANAGE


class WebhookIn(serializers.Serializer[Any]):
    """Where to be told, and what."""

    url = serializers.CharField(max_length=2000, help_text="https; it is never shown again")
    kinds: Any = serializers.ListField(
        child=serializers.ChoiceField(choices=WebhookKind.choices), min_length=1
    )


class WebhookOut(serializers.Serializer[Any]):
    """An endpoint, without its address and its secret."""

    uuid = serializers.UUIDField()
    host = serializers.CharField()
    kinds: Any = serializers.ListField(child=serializers.ChoiceField(choices=WebhookKind.choices))
    created_at = serializers.DateTimeField()
    disabled_at = serializers.DateTimeField(allow_null=True)
    disabled_code = serializers.CharField()


class WebhookSecretOut(WebhookOut):
    """An endpoint, and the secret that its messages are signed with from now on."""

    secret = serializers.CharField(help_text="shown this once: `whsec_` and base64")


class DeliveryOut(serializers.Serializer[Any]):
    """One message to this endpoint, and how it went."""

    uuid = serializers.UUIDField()
    message = serializers.UUIDField(source="message.uuid", help_text="the `webhook-id`")
    kind = serializers.ChoiceField(source="message.kind", choices=WebhookKind.choices)
    created_at = serializers.DateTimeField(source="message.created_at")
    attempt = serializers.IntegerField()
    retry_at = serializers.DateTimeField()
    last_status = serializers.IntegerField(allow_null=True)
    last_code = serializers.CharField()
    delivered_at = serializers.DateTimeField(allow_null=True)
    gave_up_at = serializers.DateTimeField(allow_null=True)


class Webhooks(APIView):
    """A client's endpoints."""

    scopes = {"GET": MANAGE, "POST": MANAGE}

    @operation("webhooks", list_of(WebhookOut), query=ListIn)
    def get(self, request: Request) -> Response:
        """List them."""
        found = selectors.endpoints_of(key_of(request).client)
        return listed(found, query_of(request, ListIn), WebhookOut)

    @operation("register_webhook", WebhookSecretOut, body=WebhookIn, upsert=True)
    def post(self, request: Request) -> Response:
        """Register one; the answer holds its secret, this once."""
        body = WebhookIn(data=request.data)
        body.is_valid(raise_exception=True)
        made = webhooks.register(client=key_of(request).client, **body.validated_data)
        return Response(_with_secret(made), status=201)


class Webhook(APIView):
    """One endpoint."""

    scopes = {"GET": MANAGE, "DELETE": MANAGE}

    @operation("webhook", WebhookOut)
    def get(self, request: Request, uuid: UUID) -> Response:
        """Show it."""
        return Response(WebhookOut(_mine(request, uuid)).data)

    @operation("disable_webhook", WebhookOut)
    def delete(self, request: Request, uuid: UUID) -> Response:
        """Send nothing there any more; it stays listed, with what was sent."""
        webhooks.disable(endpoint=_mine(request, uuid), code="by_client")
        return Response(WebhookOut(_mine(request, uuid)).data)


class WebhookSecrets(APIView):
    """What an endpoint's messages are signed with."""

    scopes = {"POST": MANAGE}

    @operation("renew_webhook_secret", WebhookSecretOut)
    def post(self, request: Request, uuid: UUID) -> Response:
        """Make a new secret; for a day messages are signed with the one before as well."""
        return Response(_with_secret(webhooks.renew_secret(endpoint=_mine(request, uuid))))


class WebhookTest(APIView):
    """Trying an endpoint."""

    scopes = {"POST": MANAGE}

    @operation("test_webhook", DeliveryOut)
    def post(self, request: Request, uuid: UUID) -> Response:
        """Send a message of the kind `webhook.test`."""
        sent = webhooks.test(endpoint=_mine(request, uuid))
        return Response(DeliveryOut(selectors.delivery(sent.endpoint, sent.uuid)).data)


class WebhookDeliveries(APIView):
    """What was sent to an endpoint."""

    scopes = {"GET": MANAGE}

    @operation("webhook_deliveries", list_of(DeliveryOut), query=ListIn)
    def get(self, request: Request, uuid: UUID) -> Response:
        """List it, with how it went."""
        found = selectors.deliveries_to(_mine(request, uuid))
        return listed(found, query_of(request, ListIn), DeliveryOut)


class WebhookRetry(APIView):
    """Another try for what was given up."""

    scopes = {"POST": MANAGE}

    @operation("retry_webhook", DeliveryOut)
    def post(self, request: Request, uuid: UUID, delivery: UUID) -> Response:
        """Send it again, from the first attempt on."""
        endpoint = _mine(request, uuid)
        webhooks.retry(delivery=selectors.delivery(endpoint, delivery))
        return Response(DeliveryOut(selectors.delivery(endpoint, delivery)).data)


def _mine(request: Request, uuid: UUID) -> WebhookEndpoint:
    return selectors.endpoint(client=key_of(request).client, uuid=uuid)


def _with_secret(made: webhooks.Registered) -> dict[str, Any]:
    return {**WebhookOut(made.endpoint).data, "secret": made.secret}


urlpatterns = [
    path("webhooks", Webhooks.as_view()),
    path("webhooks/<uuid:uuid>", Webhook.as_view()),
    path("webhooks/<uuid:uuid>/secret", WebhookSecrets.as_view()),
    path("webhooks/<uuid:uuid>/test", WebhookTest.as_view()),
    path("webhooks/<uuid:uuid>/deliveries", WebhookDeliveries.as_view()),
    path("webhooks/<uuid:uuid>/deliveries/<uuid:delivery>/retry", WebhookRetry.as_view()),
]
