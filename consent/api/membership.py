"""Handing in manifests over REST: a streamed body, taken whole or not at all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO, Any, ClassVar
from uuid import UUID

from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from consent.manifests import Body, Form, ManifestTruncatedError
from consent.models import Manifest
from consent.selectors import membership as selectors
from consent.services import membership
from governance.api.authentication import key_of
from governance.api.documents import operation, query_of
from governance.errors import ColophonError
from governance.keys import secret_for
from governance.models import Scope
from governance.selectors import registry
from governance.services.clients import require_namespace
from lineage.services.versions import ensure_origins


class LengthRequiredError(ColophonError):
    """Without a length, a list that was cut off would look like a whole one."""

    code = "length_required"
    status = 411


class BodyEmptyError(ColophonError):
    """Nothing came. A list of nobody is an empty line, or a header alone."""

    code = "body_empty"
    status = 400


@dataclass(frozen=True, slots=True)
class Sent:
    """A body that nobody has read yet, and how it says it is written."""

    form: Form
    stream: IO[bytes]


class _StreamParser(BaseParser):
    """Hand the body over as it comes."""

    form: ClassVar[Form]

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the stream itself, as `Sent`."""
        return Sent(self.form, stream)


class NDJSONStream(_StreamParser):
    """One identifier a line."""

    media_type = "application/x-ndjson"
    form = Form.NDJSON


class CSVStream(_StreamParser):
    """A header, then a row a person."""

    media_type = "text/csv"
    form = Form.CSV


class ParquetStream(_StreamParser):
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
        length, sent = _length_of(request), _sent(request)
        ensure_origins([dataset.pk])
        loaded = membership.load(
            dataset=dataset,
            version=selectors.version_of(dataset, asked["version"]),
            mode=Manifest.Mode(asked["mode"]),
            form=sent.form,
            body=Body(
                _reader(sent.stream),
                key=secret_for("manifest-digest-v1"),
                length=length,
                gzipped=_gzipped(request),
            ),
            column=asked["column"],
            scheme=asked["scheme"],
            client=key.client,
        )
        shown = ManifestOut(loaded.manifest).data
        return Response(shown, status=200 if loaded.repeated else 201)


def _sent(request: Request) -> Sent:
    sent: Any = request.data
    if not isinstance(sent, Sent):
        raise BodyEmptyError("the body is empty: a list of nobody is an empty line")
    return sent


def _length_of(request: Request) -> int:
    try:
        return int(request.headers["Content-Length"])
    except (KeyError, ValueError):
        raise LengthRequiredError("say how long the body is: Content-Length") from None


def _gzipped(request: Request) -> bool:
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in {"identity", "gzip"}:
        raise UnsupportedMediaType(encoding, detail="the one content encoding is gzip")
    return encoding == "gzip"


def _reader(stream: IO[bytes]) -> Callable[[int], bytes]:
    def read(size: int) -> bytes:
        try:
            return stream.read(size)
        except OSError:
            raise ManifestTruncatedError("the connection was lost") from None

    return read


urlpatterns = [path("datasets/<uuid:uuid>/members", Members.as_view())]
