"""Events that could not be understood: their sender lists, inspects and replays them."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance import pages
from governance.api.authentication import key_of
from governance.models import Scope
from lineage.models import InboxEvent
from lineage.selectors import dead_letters as selectors
from lineage.services import dead_letters as services

MOST_AT_A_TIME = 1000


class DeadLetterOut(serializers.Serializer[InboxEvent]):
    """A dead letter and why it is one."""

    id = serializers.UUIDField(source="uuid")
    code = serializers.CharField(source="reason_code")
    reason = serializers.CharField()
    received_at = serializers.DateTimeField()


class DeadLetterWhole(DeadLetterOut):
    """The same with the event's outline: its structure, without what may be personal."""

    outline = serializers.JSONField(source="*")

    def to_representation(self, instance: InboxEvent) -> dict[str, Any]:
        """Put the outline where the whole would stand."""
        shown = dict(DeadLetterOut(instance).data)
        return {**shown, "outline": selectors.outline(instance)}


class DeadLettersIn(serializers.Serializer[Any]):
    """Which dead letters to list."""

    code = serializers.CharField(required=False, default="", allow_blank=True)
    cursor = serializers.CharField(required=False, default=None)
    limit = serializers.IntegerField(required=False, default=50, min_value=1, max_value=pages.MOST)


class DeadLettersOut(serializers.Serializer[Any]):
    """A page of dead letters."""

    results = DeadLetterOut(many=True)
    next = serializers.CharField(allow_null=True)


class ReplayIn(serializers.Serializer[Any]):
    """Which to replay: by id, or all of a reason; at least one of the two."""

    ids = serializers.ListField(
        child=serializers.UUIDField(), required=False, default=list, max_length=MOST_AT_A_TIME
    )
    code = serializers.CharField(required=False, default="", allow_blank=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse to replay everything by leaving everything out."""
        if not attrs["ids"] and not attrs["code"]:
            raise serializers.ValidationError("name ids, or the code of a reason")
        return attrs


class ReplayedOut(serializers.Serializer[services.Replayed]):
    """What became of them."""

    ready = serializers.IntegerField()
    still_dead = serializers.IntegerField()


class DeadLetters(APIView):
    """A sender's own dead letters."""

    scopes = {"GET": Scope.LINEAGE_WRITE}

    @extend_schema(
        operation_id="dead_letters", parameters=[DeadLettersIn], responses=DeadLettersOut
    )
    def get(self, request: Request) -> Response:
        """List them, the oldest first."""
        asked = DeadLettersIn(data=request.query_params)
        asked.is_valid(raise_exception=True)
        wanted = asked.validated_data
        found = selectors.dead_letters(client=key_of(request).client, code=wanted["code"])
        page = pages.page(found, cursor=wanted["cursor"], limit=wanted["limit"])
        return Response(DeadLettersOut(page).data)


class DeadLetter(APIView):
    """One of a sender's own dead letters."""

    scopes = {"GET": Scope.LINEAGE_WRITE}

    @extend_schema(operation_id="dead_letter", responses=DeadLetterWhole)
    def get(self, request: Request, event: UUID) -> Response:
        """Show why it is one, and its outline."""
        found = selectors.dead_letter(client=key_of(request).client, uuid=event)
        return Response(DeadLetterWhole(found).data)


class Replay(APIView):
    """Another chance for dead letters."""

    scopes = {"POST": Scope.LINEAGE_WRITE}

    @extend_schema(request=ReplayIn, responses=ReplayedOut)
    def post(self, request: Request) -> Response:
        """Read them again; those that are understood now are applied. At most a thousand."""
        body = ReplayIn(data=request.data)
        body.is_valid(raise_exception=True)
        found = selectors.dead_letters(client=key_of(request).client, **body.validated_data)
        replayed = services.replay(found.order_by("pk")[:MOST_AT_A_TIME])
        return Response(ReplayedOut(replayed).data)
