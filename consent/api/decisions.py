"""What people decide, over REST."""

from typing import Any
from uuid import UUID

from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from consent.api.idempotency import key_of, keyed
from consent.models import NoticeVersion
from consent.rules import DecisionKind, DecisionSource
from consent.selectors import decisions as selectors
from consent.selectors import notices, subjects
from consent.services import asking, decisions
from governance.api.authentication import key_of as api_key_of
from governance.api.documents import ListIn, list_of, listed, operation, query_of
from governance.errors import NotFoundError
from governance.models import Purpose, Scope
from governance.selectors import rules


class DecisionIn(serializers.Serializer[Any]):
    """A decision to record."""

    purpose = serializers.SlugField(max_length=50, help_text="the key of the purpose")
    kind = serializers.ChoiceField(choices=[each.value for each in DecisionKind])
    decided_at = serializers.DateTimeField(help_text="when the person said it")
    valid_until = serializers.DateTimeField(
        default=None, allow_null=True, help_text="when a yes runs out, if it does"
    )
    notice_version = serializers.UUIDField(
        default=None, allow_null=True, help_text="the published text that the person saw"
    )
    source = serializers.ChoiceField(  # type: ignore[assignment]
        choices=[each.value for each in DecisionSource], default=DecisionSource.PERSON.value
    )

    reason = serializers.CharField(
        required=False, max_length=1000,
        help_text="why an operator records it, or by which right a guardian or delegate speaks; "
        "kept under the person's own key",
    )  # fmt: skip

    def validate_purpose(self, key: str) -> Purpose:
        """Find the purpose by its key."""
        try:
            return rules.purpose(key)
        except NotFoundError as error:
            raise serializers.ValidationError(error.message) from None

    def validate_notice_version(self, uuid: UUID | None) -> NoticeVersion | None:
        """Find the text by its name."""
        try:
            return None if uuid is None else notices.version(uuid)
        except NotFoundError as error:
            raise serializers.ValidationError(error.message) from None


class DecisionOut(serializers.Serializer[Any]):
    """A decision as recorded."""

    uuid = serializers.UUIDField()
    purpose = serializers.CharField(source="purpose.key")
    kind = serializers.ChoiceField(choices=[each.value for each in DecisionKind])
    decided_at = serializers.DateTimeField()
    recorded_at = serializers.DateTimeField()
    valid_until = serializers.DateTimeField(allow_null=True)
    notice_version = serializers.UUIDField(
        source="notice_version.uuid", allow_null=True, default=None
    )
    source = serializers.ChoiceField(  # type: ignore[assignment]
        choices=[each.value for each in DecisionSource]
    )


class Decisions(APIView):
    """One person's decisions."""

    scopes = {"GET": Scope.CONSENT_READ, "POST": Scope.CONSENT_WRITE}

    @operation("decisions", list_of(DecisionOut), query=ListIn)
    def get(self, request: Request, uuid: UUID) -> Response:
        """List everything the person has decided, in the order of recording."""
        subject = subjects.get(uuid)
        client = api_key_of(request).client
        asking.put_on_record(subject=subject, client=client, question="decisions")
        return listed(selectors.history(subject), query_of(request, ListIn), DecisionOut)

    @keyed
    @operation("record_decision", DecisionOut, body=DecisionIn, upsert=True)
    def post(self, request: Request, uuid: UUID) -> Response:
        """Record a decision once."""
        key = key_of(request)
        subject = subjects.get(uuid)
        body = DecisionIn(data=request.data)
        body.is_valid(raise_exception=True)
        recorded = decisions.record(subject=subject, key=key, **body.validated_data)
        shown = DecisionOut(recorded.decision).data
        return Response(shown, status=200 if recorded.replayed else 201)


urlpatterns = [path("subjects/<uuid:uuid>/decisions", Decisions.as_view())]
