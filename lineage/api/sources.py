"""Senders that sign their events: set up, and given secrets."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.errors import NotFoundError
from governance.models import Scope
from lineage.models import Source, SourceSecret
from lineage.services import sources

MOST_OVERLAP_HOURS = 24 * 30


class SourceIn(serializers.Serializer[Any]):
    """A sender to set up, by name."""

    name = serializers.CharField(max_length=200)
    namespaces = serializers.ListField(
        child=serializers.CharField(max_length=1200), required=False, default=list
    )


class SecretOut(serializers.Serializer[SourceSecret]):
    """A secret, without the secret."""

    id = serializers.UUIDField(source="uuid")
    kind = serializers.CharField()
    created_at = serializers.DateTimeField()
    ends_at = serializers.DateTimeField(allow_null=True)


class SourceOut(serializers.Serializer[Source]):
    """A sender, where it posts to, and what it signs with."""

    id = serializers.UUIDField(source="uuid")
    name = serializers.CharField(source="client.name")
    namespaces = serializers.ListField(child=serializers.CharField())
    post_to = serializers.SerializerMethodField()
    secrets = SecretOut(many=True)

    def get_post_to(self, source: Source) -> str:
        """Return the path that its events go to."""
        return f"/api/v1/lineage/sources/{source.uuid}"


class NewSecretIn(serializers.Serializer[Any]):
    """A new secret: shared, unless the sender brings a public key."""

    public_key = serializers.CharField(required=False, default="", allow_blank=True, max_length=100)
    overlap_hours = serializers.IntegerField(
        required=False, default=24, min_value=0, max_value=MOST_OVERLAP_HOURS
    )


class NewSecretOut(SecretOut):
    """The new secret; a shared one is shown this once."""

    secret = serializers.CharField(required=False)


class Sources(APIView):
    """Senders that sign."""

    scopes = {"GET": Scope.REGISTRY_READ, "POST": Scope.REGISTRY_WRITE}

    @extend_schema(responses=SourceOut(many=True))
    def get(self, request: Request) -> Response:
        """List them, without their secrets."""
        found = Source.objects.select_related("client").prefetch_related("secrets")
        shown = SourceOut(many=True, instance=list(found.order_by("pk")[:1000]))  # type: ignore[arg-type]
        return Response(shown.data)

    @extend_schema(request=SourceIn, responses={201: SourceOut})
    def post(self, request: Request) -> Response:
        """Set one up; a name that is known gets these namespaces."""
        body = SourceIn(data=request.data)
        body.is_valid(raise_exception=True)
        return Response(SourceOut(sources.create_source(**body.validated_data)).data, status=201)


class Secrets(APIView):
    """What a sender signs with."""

    scopes = {"POST": Scope.REGISTRY_WRITE}

    @extend_schema(request=NewSecretIn, responses={201: NewSecretOut})
    def post(self, request: Request, source: UUID) -> Response:
        """Give it a new secret; those before go on for the overlap and then end."""
        body = NewSecretIn(data=request.data)
        body.is_valid(raise_exception=True)
        made = sources.add_secret(
            source=_source(source), public_key=body.validated_data["public_key"],
            overlap=timedelta(hours=body.validated_data["overlap_hours"]),
        )  # fmt: skip
        shown = dict(SecretOut(made.secret).data)
        return Response({**shown, **({"secret": made.shown} if made.shown else {})}, status=201)


class Secret(APIView):
    """One secret."""

    scopes = {"DELETE": Scope.REGISTRY_WRITE}

    @extend_schema(responses=SecretOut)
    def delete(self, request: Request, source: UUID, secret: UUID) -> Response:
        """End it now."""
        return Response(SecretOut(sources.end_secret(source=_source(source), uuid=secret)).data)


def _source(uuid: UUID) -> Source:
    found = Source.objects.filter(uuid=uuid).first()
    if found is None:
        raise NotFoundError("there is no such source")
    return found
