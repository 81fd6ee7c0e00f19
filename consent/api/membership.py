"""Handing in manifests over REST: a streamed body, taken whole or not at all."""

from typing import Any
from uuid import UUID

from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from consent.api.streams import StreamParser, body_of, heard_out, sent_in
from consent.manifests import Form
from consent.models import Manifest
from consent.selectors import membership as selectors
from consent.services import membership
from governance.api.authentication import key_of
from governance.api.documents import operation, query_of
from governance.keys import secret_for
from governance.models import Scope
from governance.selectors import registry
from governance.services.clients import require_namespace
from lineage.services.versions import ensure_origins


class NDJSONStream(StreamParser):
    """One identifier a line."""

    media_type = "application/x-ndjson"
    form = Form.NDJSON


class CSVStream(StreamParser):
    """A header, then a row a person."""

    media_type = "text/csv"
    form = Form.CSV


class ParquetStream(StreamParser):
    """A file with a row a person."""

    media_type = "application/vnd.apache.parquet"
    form = Form.PARQUET


class ManifestQuery(serializers.Serializer[Any]):
    """What a manifest says, and of which version."""

    mode = serializers.ChoiceField(choices=Manifest.Mode.choices, default=Manifest.Mode.ADD.value)
    version = serializers.CharField(
        default="",
        allow_blank=True,
        max_length=500,
        help_text="name or uuid of the version; otherwise the current",
    )
    column = serializers.CharField(
        default="", allow_blank=True, max_length=200,
        help_text="which column or key names the person; otherwise the data set's, or `id`",
    )  # fmt: skip
    scheme = serializers.CharField(
        default="",
        allow_blank=True,
        max_length=32,
        help_text="how people are named; otherwise the data set's",
    )


class ManifestOut(serializers.Serializer[Any]):
    """A manifest as taken."""

    uuid = serializers.UUIDField()
    dataset = serializers.UUIDField(source="dataset.uuid")
    version = serializers.UUIDField(source="version.uuid")
    mode = serializers.ChoiceField(choices=Manifest.Mode.choices)
    rows = serializers.IntegerField()
    people = serializers.IntegerField()
    received_at = serializers.DateTimeField()


class Members(APIView):
    """The people in a data set. Nobody can list them here."""

    scopes = {"POST": Scope.CONSENT_WRITE}
    parser_classes = [NDJSONStream, CSVStream, ParquetStream]

    @operation("hand_in_manifest", ManifestOut, query=ManifestQuery, upsert=True)
    @extend_schema(
        request={
            NDJSONStream.media_type: OpenApiTypes.STR,
            CSVStream.media_type: OpenApiTypes.STR,
            ParquetStream.media_type: OpenApiTypes.BINARY,
        }
    )
    def post(self, request: Request, uuid: UUID) -> Response:
        """Take a manifest; the same one again changes nothing."""
        key, dataset = key_of(request), registry.dataset(uuid)
        require_namespace(key, dataset.namespace)
        asked = query_of(request, ManifestQuery)
        sent = sent_in(request)
        ensure_origins([dataset.pk])
        with heard_out(request):
            loaded = membership.load(
                dataset=dataset,
                version=selectors.version_of(dataset, asked["version"]),
                mode=Manifest.Mode(asked["mode"]),
                form=Form(sent.form),
                body=body_of(request, sent, key=secret_for("manifest-digest-v1")),
                column=asked["column"],
                scheme=asked["scheme"],
                client=key.client,
            )
        shown = ManifestOut(loaded.manifest).data
        return Response(shown, status=200 if loaded.repeated else 201)


urlpatterns = [path("datasets/<uuid:uuid>/members", Members.as_view())]
