"""The gate row by row, over REST: the caller's identifiers go in, and yes or no comes out.

Both ways in one of several forms, by ``Content-Type`` and ``Accept``. An answer begins when all has
been read, so neither side waits for the other to listen; and it never says why not.
"""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from consent import answers
from consent.api.streams import StreamParser, body_of, heard_out, sent_in
from consent.arrow_streams import in_arrow
from consent.identifiers import MAX_LENGTH
from consent.listed import Listed, in_ndjson
from consent.manifests import NDJSON_KEY
from consent.selectors import gate as selectors
from governance.api.authentication import key_of
from governance.api.documents import query_of
from governance.api.parsers import StrictJSONParser
from governance.api.problems import MEDIA_TYPE, ProblemOut
from governance.models import Scope

MOST_IDENTIFIERS = 10_000
BODY_BYTES = 1 << 30
COUNT = "Colophon-Answers"

BITS = "application/octet-stream"
NDJSON = "application/x-ndjson"
ARROW = "application/vnd.apache.arrow.stream"
JSON = "application/json"


class NDJSONList(StreamParser):
    """One identifier a line."""

    media_type = NDJSON
    form = NDJSON


class ArrowList(StreamParser):
    """A column of an Arrow stream."""

    media_type = ARROW
    form = ARROW


READERS: dict[str, Callable[..., Iterator[Listed]]] = {NDJSON: in_ndjson, ARROW: in_arrow}


class _Answers(BaseRenderer):
    """A form of answers, so that it can be asked for; the view itself writes it."""

    charset = None


class Lines(_Answers):
    """``true`` or ``false`` a line."""

    media_type, format = NDJSON, "lines"


class ArrowColumn(_Answers):
    """An Arrow stream with one boolean column, ``permitted``."""

    media_type, format = ARROW, "arrow"


class Bits(_Answers):
    """A bit each, least significant first, as Arrow has them."""

    media_type, format = BITS, "bits"


WRITERS: dict[str, answers.Write] = {
    JSON: answers.as_json, NDJSON: answers.as_lines, ARROW: answers.as_arrow,
    BITS: answers.as_bits,
}  # fmt: skip


class FilterIn(serializers.Serializer[Any]):
    """Identifiers that the caller has; nothing of them is kept."""

    scheme = serializers.CharField(max_length=32)
    identifiers: Any = serializers.ListField(
        child=serializers.CharField(max_length=MAX_LENGTH, trim_whitespace=False),
        max_length=MOST_IDENTIFIERS,
    )


class FilterQuery(serializers.Serializer[Any]):
    """How to read a long list, which is not JSON."""

    scheme = serializers.CharField(max_length=32)
    subject = serializers.CharField(max_length=200, default=NDJSON_KEY)


class FilterOut(serializers.Serializer[Any]):
    """Whether the rows of each may be used, in the order of the request; never why not."""

    permitted: Any = serializers.ListField(child=serializers.BooleanField())


class GateFilter(APIView):
    """Row by row, by identifiers that the caller has."""

    scopes = {"POST": Scope.GATE_ASK}
    parser_classes = [StrictJSONParser, NDJSONList, ArrowList]
    renderer_classes = [JSONRenderer, Lines, ArrowColumn, Bits]

    def get_renderers(self) -> list[BaseRenderer]:
        """Return the forms of an answer, first the one of the question: nobody need ask for it."""
        kind = self.request.content_type if getattr(self, "request", None) else JSON
        return sorted(super().get_renderers(), key=lambda each: each.media_type not in kind)

    @extend_schema(
        operation_id="filter_through_the_gate",
        parameters=[
            OpenApiParameter("scheme", description="how people are named, in what is not JSON"),
            OpenApiParameter(
                "subject", description="which key of a line, or which column, names the person"
            ),
        ],
        request={JSON: FilterIn, NDJSON: OpenApiTypes.STR, ARROW: OpenApiTypes.BINARY},
        responses={
            (200, JSON): FilterOut,
            (200, NDJSON): OpenApiTypes.STR,
            (200, ARROW): OpenApiTypes.BINARY,
            (200, BITS): OpenApiTypes.BINARY,
            ("4XX", MEDIA_TYPE): ProblemOut,
        },
    )
    def post(self, request: Request, uuid: UUID) -> HttpResponseBase:
        """Answer for each identifier whether its rows may be used now.

        Up to 10,000 in JSON, many millions a request as lines or as a column of an Arrow stream;
        the header `Colophon-Answers` says how many answers there are.
        """
        with heard_out(request):
            decision = selectors.decision_of(client=key_of(request).client, uuid=uuid)
            scheme, lists = _asked(request)
            permitted = selectors.filtered(decision=decision, scheme=scheme, lists=lists)
        kind = request.accepted_renderer.media_type
        written = WRITERS[kind](permitted)
        headers = {"Content-Length": str(written.length), COUNT: str(len(permitted))}
        way = HttpResponse if len(permitted) <= answers.PART else StreamingHttpResponse
        return way(written.blocks, content_type=kind, headers=headers)


def _asked(request: Request) -> tuple[str, Iterator[Listed]]:
    reader = READERS.get(request.content_type.partition(";")[0].strip().lower())
    if reader is None:
        body = FilterIn(data=request.data)
        body.is_valid(raise_exception=True)
        values = body.validated_data["identifiers"]
        return body.validated_data["scheme"], iter([Listed(values)])
    asked, sent = query_of(request, FilterQuery), sent_in(request)
    blocks = body_of(request, sent, key=b"", limit=BODY_BYTES)
    return asked["scheme"], reader(blocks, column=asked["subject"])


urlpatterns = [path("gate/decisions/<uuid:uuid>/filter", GateFilter.as_view())]
