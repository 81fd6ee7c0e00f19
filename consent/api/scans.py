"""Scans over REST: who is in a data set is read from its storage, in the background."""

from typing import Any
from uuid import UUID

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from consent.api.membership import ManifestOut
from consent.models import MembershipScan
from consent.selectors import scans
from consent.services import scanning
from governance.api.authentication import key_of
from governance.api.documents import ListIn, list_of, listed, operation, query_of
from governance.api.problems import MEDIA_TYPE, ProblemOut
from governance.models import Dataset, Scope
from governance.selectors import registry
from governance.services.clients import require_namespace


class ScanOut(serializers.Serializer[Any]):
    """A scan: where it stands, and the manifest that came of it. It names nobody."""

    uuid = serializers.UUIDField()
    dataset = serializers.UUIDField(source="dataset.uuid")
    state = serializers.ChoiceField(choices=MembershipScan.State.choices)
    outcome = serializers.ChoiceField(choices=MembershipScan.Outcome.choices, allow_blank=True)
    code = serializers.CharField(help_text="what stands in the way, or what the outcome lacks")
    reason = serializers.CharField()
    attempt = serializers.IntegerField()
    rows = serializers.IntegerField(help_text="values that were read")
    unusable = serializers.IntegerField(help_text="those of them that can name nobody")
    manifest = ManifestOut(allow_null=True)
    requested_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class Scans(APIView):
    """Readings of a data set's storage."""

    scopes = {"GET": Scope.CONSENT_WRITE, "POST": Scope.CONSENT_WRITE}

    @operation("scans", list_of(ScanOut), query=ListIn)
    def get(self, request: Request, uuid: UUID) -> Response:
        """List the scans of a data set."""
        return listed(scans.scans_of(_dataset(request, uuid)), query_of(request, ListIn), ScanOut)

    @extend_schema(
        operation_id="scan", request=None, responses={202: ScanOut, ("4XX", MEDIA_TYPE): ProblemOut}
    )
    def post(self, request: Request, uuid: UUID) -> Response:
        """Ask for a scan; while one is under way, it is the answer."""
        dataset = _dataset(request, uuid)
        asked = scanning.ask(dataset=dataset, client=key_of(request).client)
        return Response(ScanOut(asked.scan).data, status=202)


class Scan(APIView):
    """One reading of a data set's storage."""

    scopes = {"GET": Scope.CONSENT_WRITE}

    @operation("scan_by_id", ScanOut)
    def get(self, request: Request, uuid: UUID, scan: UUID) -> Response:
        """Show where it stands."""
        return Response(ScanOut(scans.scan(_dataset(request, uuid), scan)).data)


def _dataset(request: Request, uuid: UUID) -> Dataset:
    dataset = registry.dataset(uuid)
    require_namespace(key_of(request), dataset.namespace)
    return dataset


urlpatterns = [
    path("datasets/<uuid:uuid>/scans", Scans.as_view()),
    path("datasets/<uuid:uuid>/scans/<uuid:scan>", Scan.as_view()),
]
