"""Rights requests over REST, for operators and the systems that speak for people."""

from typing import Any
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from consent.api.idempotency import HEADER, key_of
from consent.deadlines import Law
from consent.models import ASKING, ErasureStep, RequestKind, Restriction
from consent.rules import DecisionSource
from consent.selectors import request_lists, requests, subjects
from consent.selectors.remedies import Remedied
from consent.selectors.request_texts import details_of
from consent.services import certificates, settling
from consent.services import requests as services
from governance import pages
from governance.api.authentication import key_of as api_key_of
from governance.api.documents import ListIn, list_of, operation, query_of
from governance.errors import NotFoundError
from governance.models import Purpose, Scope
from governance.selectors import rules

STATES = [each.value for each in requests.RequestState]


class RequestIn(serializers.Serializer[Any]):
    """A request. ``identity_verified`` says that the caller has checked who asks."""

    subject = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=RequestKind.choices)
    identity_verified = serializers.BooleanField(default=False)
    source = serializers.ChoiceField(  # type: ignore[assignment]
        choices=[each.value for each in ASKING], default=DecisionSource.PERSON.value
    )
    reason = serializers.CharField(
        required=False, max_length=1000,
        help_text="by which right a guardian or delegate asks, or why an operator does; kept "
        "under the person's own key",
    )  # fmt: skip
    law = serializers.ChoiceField(
        choices=[each.value for each in Law], required=False,
        help_text="by whose clock it runs; otherwise the service's own",
    )  # fmt: skip
    purposes: Any = serializers.ListField(
        child=serializers.SlugField(max_length=50), required=False, min_length=1, max_length=200,
        help_text="keys of what is objected to; otherwise all",
    )  # fmt: skip
    details = serializers.CharField(
        required=False, max_length=4000,
        help_text="what is to be put right; kept under the person's own key",
    )  # fmt: skip

    def validate_purposes(self, keys: list[str]) -> list[Purpose]:
        """Find the purposes by their keys."""
        try:
            return [rules.purpose(key) for key in dict.fromkeys(keys)]
        except NotFoundError as error:
            raise serializers.ValidationError(error.message) from None

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Only an objection is about purposes."""
        if "purposes" in attrs and attrs["kind"] != RequestKind.OBJECTION:
            raise serializers.ValidationError({"purposes": "Only an objection names purposes."})
        return attrs


class ErasureStepOut(serializers.Serializer[ErasureStep]):
    """One data set of a request."""

    id = serializers.UUIDField(source="uuid")
    dataset = serializers.UUIDField(source="dataset.uuid")
    namespace = serializers.CharField(source="dataset.namespace")
    name = serializers.CharField(source="dataset.name")
    certainty = serializers.CharField()
    state = serializers.CharField()
    outcome = serializers.CharField()
    read_back = serializers.BooleanField(
        help_text="the outcome rests on a reading; otherwise on somebody's word"
    )
    code = serializers.CharField()
    reason = serializers.CharField()
    attempt = serializers.IntegerField()
    rows = serializers.IntegerField(source="located_rows", allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)


class RemediationOut(serializers.Serializer[Remedied]):
    """One model version of a request."""

    id = serializers.UUIDField(source="uuid")
    model_version = serializers.UUIDField(source="model_version.uuid")
    namespace = serializers.CharField(source="model_version.model.dataset.namespace")
    name = serializers.CharField(source="model_version.model.dataset.name")
    certainty = serializers.CharField()
    outcome = serializers.CharField()
    opened_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True)
    closed_by = serializers.UUIDField(source="closed_by.uuid", allow_null=True, default=None)


class RestrictionOut(serializers.Serializer[Restriction]):
    """What a request restricts, from when until when."""

    since = serializers.DateTimeField()
    until = serializers.DateTimeField(allow_null=True)
    lifted_by = serializers.CharField()


class RequestEntryOut(serializers.Serializer[Any]):
    """A request in a list."""

    id = serializers.UUIDField(source="uuid")
    subject = serializers.UUIDField(source="subject.uuid")
    kind = serializers.CharField()
    state = serializers.ChoiceField(choices=STATES)
    law = serializers.CharField()
    received_at = serializers.DateTimeField()
    due_at = serializers.DateTimeField()
    overdue = serializers.BooleanField(
        source="is_overdue", help_text="it is open, its clock runs, and its time is up"
    )
    verified_at = serializers.DateTimeField(allow_null=True)
    extended_at = serializers.DateTimeField(allow_null=True)
    duplicate_of = serializers.UUIDField(
        source="duplicate_of.uuid", allow_null=True, default=None,
        help_text="the earlier request that it was joined to",
    )  # fmt: skip


class RequestOut(serializers.Serializer[requests.Standing]):
    """A request and where it stands."""

    id = serializers.UUIDField(source="request.uuid")
    kind = serializers.CharField(source="request.kind")
    state = serializers.ChoiceField(choices=STATES)
    source = serializers.CharField(source="request.source")  # type: ignore[assignment]
    law = serializers.CharField(source="request.law")
    received_at = serializers.DateTimeField(source="request.received_at")
    confirm_by = serializers.DateTimeField(
        allow_null=True, help_text="by when receipt has to be confirmed, where the law says so"
    )
    due_at = serializers.DateTimeField(source="request.due_at")
    overdue = serializers.BooleanField()
    paused_since = serializers.DateTimeField(allow_null=True)
    verified_at = serializers.DateTimeField(source="request.verified_at", allow_null=True)
    extended_at = serializers.DateTimeField(source="request.extended_at", allow_null=True)
    extension_code = serializers.CharField(source="request.extension_code")
    refused_at = serializers.DateTimeField(source="request.refused_at", allow_null=True)
    refusal_code = serializers.CharField(source="request.refusal_code")
    completed_at = serializers.DateTimeField(allow_null=True)
    duplicate_of = serializers.UUIDField(
        source="request.duplicate_of.uuid", allow_null=True, default=None
    )
    keys_destroyed_at = serializers.DateTimeField(source="request.forgotten_at", allow_null=True)
    details: Any = serializers.SerializerMethodField(
        help_text="what is to be put right, by this and by the requests joined to it"
    )
    restriction = RestrictionOut(allow_null=True)
    outstanding = serializers.ListField(child=serializers.CharField())
    steps = ErasureStepOut(many=True)
    remediations = RemediationOut(many=True)

    def get_details(self, standing: requests.Standing) -> list[str]:
        """Open what was sealed."""
        return details_of(standing.request)


class RequestsIn(ListIn):
    """Which requests to list."""

    kind = serializers.ChoiceField(choices=RequestKind.choices, required=False)
    state = serializers.ChoiceField(choices=STATES, required=False)
    overdue = serializers.BooleanField(required=False, allow_null=True, default=None)


class SettleIn(serializers.Serializer[Any]):
    """How a person settles a blocked step, and why."""

    outcome = serializers.ChoiceField(
        choices=settling.BY_WORD,
        help_text="what says that the person is not in it any more needs evidence or a document",
    )
    code = serializers.SlugField(max_length=100)
    reason = serializers.CharField(max_length=2000)
    evidence = serializers.CharField(
        max_length=2000, default="", allow_blank=True, help_text="how it was done; stays inside"
    )
    document_sha256 = serializers.RegexField(
        r"^[0-9a-fA-F]{64}$", required=False, help_text="of a document that shows it"
    )


def caller_of(request: Request) -> str:
    """Return the name under which a key's client decides: it says nothing outside."""
    return f"client:{api_key_of(request).client.uuid}"


class Requests(APIView):
    """Rights requests."""

    scopes = {"GET": Scope.REQUESTS_READ, "POST": Scope.REQUESTS_WRITE}

    @operation("requests", list_of(RequestEntryOut), query=RequestsIn)
    def get(self, request: Request) -> Response:
        """List them, those due first at the front."""
        asked = query_of(request, RequestsIn)
        wanted = {name: asked.get(name) for name in ("kind", "state", "overdue")}
        page = pages.page_in_order(
            request_lists.listed(**wanted), by=("due_at", "uuid"),
            cursor=asked.get("cursor"), limit=asked["limit"],
        )  # fmt: skip
        return Response(
            {"results": RequestEntryOut(page.results, many=True).data, "next": page.next}
        )

    @extend_schema(
        request=RequestIn,
        responses={201: RequestOut},
        parameters=[OpenApiParameter(HEADER, UUID, OpenApiParameter.HEADER, required=True)],
    )
    def post(self, request: Request) -> Response:
        """Receive it once; the same key again returns the first."""
        key = key_of(request)
        asked = RequestIn(data=request.data)
        asked.is_valid(raise_exception=True)
        said = asked.validated_data
        opened = services.open_request(
            subject=subjects.get(said.pop("subject")),
            verified=said.pop("identity_verified"), key=key, **said,
        )  # fmt: skip
        return Response(RequestOut(requests.standing_of(opened)).data, status=201)


class RequestStanding(APIView):
    """Where a request stands."""

    scopes = {"GET": Scope.REQUESTS_READ}

    @extend_schema(responses=RequestOut)
    def get(self, request: Request, uuid: UUID) -> Response:
        """Tell the state, the parts, and what is outstanding by name."""
        return Response(RequestOut(requests.standing(uuid)).data)


class RequestIdentity(APIView):
    """The identity of whoever asks."""

    scopes = {"POST": Scope.REQUESTS_WRITE}

    @extend_schema(request=None, responses=RequestOut)
    def post(self, request: Request, uuid: UUID) -> Response:
        """Confirm it; the plan follows by itself."""
        services.confirm_identity(request=requests.standing(uuid).request)
        return Response(RequestOut(requests.standing(uuid)).data)


class RequestCertificate(APIView):
    """The certificate of erasure."""

    scopes = {"GET": Scope.REQUESTS_READ}

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, uuid: UUID) -> Response:
        """Return it at any time, to read and signed; it says what is still outstanding."""
        return Response(certificates.issue(requests.erasure(uuid)).as_json())


class RequestStep(APIView):
    """A step that no connector can carry out."""

    scopes = {"POST": Scope.REQUESTS_WRITE}

    @extend_schema(request=SettleIn, responses=RequestOut)
    def post(self, request: Request, uuid: UUID, step: UUID) -> Response:
        """Settle it by hand, with a reason."""
        said = SettleIn(data=request.data)
        said.is_valid(raise_exception=True)
        settling.settle_step(
            step=requests.step_of(requests.standing(uuid), step),
            by=caller_of(request),
            **said.validated_data,
        )
        return Response(RequestOut(requests.standing(uuid)).data)
