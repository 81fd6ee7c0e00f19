"""Where model versions are in use: pipelines announce it, auditors read it."""

from typing import Any
from uuid import UUID

from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.api.authentication import key_of
from governance.api.documents import ListIn, list_of, listed, operation, query_of
from governance.models import Scope
from governance.services.clients import require_namespace
from lineage.models import Deployment, ModelVersion
from lineage.selectors import deployments as selectors
from lineage.selectors import transparency
from lineage.services import deployments


class DeploymentIn(serializers.Serializer[Any]):
    """A model version that is put to use."""

    model_version = serializers.UUIDField()
    environment = serializers.CharField(max_length=200, help_text="where, such as `production-eu`")
    since = serializers.DateTimeField()


class DeploymentEndIn(serializers.Serializer[Any]):
    """When it was over."""

    until = serializers.DateTimeField()


class DeploymentsIn(ListIn):
    """Which deployments to list."""

    model_version = serializers.UUIDField(required=False)
    state = serializers.ChoiceField(choices=["running", "any"], default="any")


class DeploymentOut(serializers.Serializer[Deployment]):
    """A model version in use."""

    uuid = serializers.UUIDField()
    model_version = serializers.UUIDField(source="model_version.uuid")
    namespace = serializers.CharField(source="model_version.model.dataset.namespace")
    name = serializers.CharField(source="model_version.model.dataset.name")
    environment = serializers.CharField()
    since = serializers.DateTimeField()
    until = serializers.DateTimeField(allow_null=True)


class Deployments(APIView):
    """Model versions in use."""

    scopes = {"GET": Scope.AUDIT_READ, "POST": Scope.LINEAGE_WRITE}

    @operation("deployments", list_of(DeploymentOut), query=DeploymentsIn)
    def get(self, request: Request) -> Response:
        """List deployments; of one model version, or those that run, where asked for."""
        asked = query_of(request, DeploymentsIn)
        version = asked.get("model_version")
        made = transparency.model_version(version) if version else None
        found = selectors.deployments(made=made)
        if asked["state"] == "running":
            found = found.filter(until=None)
        return listed(found, asked, DeploymentOut)

    @operation("announce_deployment", DeploymentOut, body=DeploymentIn, upsert=True)
    def post(self, request: Request) -> Response:
        """Tell that a model version is in use; the same again finds the same deployment."""
        body = DeploymentIn(data=request.data)
        body.is_valid(raise_exception=True)
        said = body.validated_data
        made = transparency.model_version(said["model_version"])
        _may_write(request, made)
        told = deployments.start(made=made, environment=said["environment"], since=said["since"])
        shown = DeploymentOut(selectors.deployment(told.deployment.uuid)).data
        return Response(shown, status=201 if told.created else 200)


class DeploymentEnd(APIView):
    """The end of a deployment."""

    scopes = {"POST": Scope.LINEAGE_WRITE}

    @operation("end_deployment", DeploymentOut, body=DeploymentEndIn)
    def post(self, request: Request, uuid: UUID) -> Response:
        """Tell when it was over; the first end that was told stays."""
        body = DeploymentEndIn(data=request.data)
        body.is_valid(raise_exception=True)
        found = selectors.deployment(uuid)
        _may_write(request, found.model_version)
        deployments.end(deployment=found, until=body.validated_data["until"])
        return Response(DeploymentOut(selectors.deployment(uuid)).data)


def _may_write(request: Request, made: ModelVersion) -> None:
    require_namespace(key_of(request), made.model.dataset.namespace)


urlpatterns = [
    path("deployments", Deployments.as_view()),
    path("deployments/<uuid:uuid>/end", DeploymentEnd.as_view()),
]
