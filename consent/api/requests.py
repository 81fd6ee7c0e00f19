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
from consent.models import ErasureStep, RequestKind
from consent.selectors import requests, subjects, uses
from consent.selectors.remedies import Remedied
from consent.services import certificates
from consent.services import requests as services
from governance.models import Scope
from lineage.selectors import walk


class RequestIn(serializers.Serializer[Any]):
    """An erasure request. ``identity_verified`` says that the caller has checked who asks."""

    subject = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=[RequestKind.ERASURE.value])
    identity_verified = serializers.BooleanField(default=False)


class ErasureStepOut(serializers.Serializer[ErasureStep]):
    """One data set of a request."""

    id = serializers.UUIDField(source="uuid")
    dataset = serializers.UUIDField(source="dataset.uuid")
    namespace = serializers.CharField(source="dataset.namespace")
    name = serializers.CharField(source="dataset.name")
    certainty = serializers.CharField()
    state = serializers.CharField()
    outcome = serializers.CharField()
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


class RequestOut(serializers.Serializer[requests.Standing]):
    """A request and where it stands."""

    id = serializers.UUIDField(source="request.uuid")
    kind = serializers.CharField(source="request.kind")
    state = serializers.CharField()
    received_at = serializers.DateTimeField(source="request.received_at")
    due_at = serializers.DateTimeField(source="request.due_at")
    completed_at = serializers.DateTimeField(allow_null=True)
    keys_destroyed_at = serializers.DateTimeField(source="request.forgotten_at", allow_null=True)
    outstanding = serializers.ListField(child=serializers.CharField())
    steps = ErasureStepOut(many=True)
    remediations = RemediationOut(many=True)


class SettleIn(serializers.Serializer[Any]):
    """How a person settles a blocked step, and why."""

    outcome = serializers.ChoiceField(
        choices=[ErasureStep.Outcome.BY_HAND, ErasureStep.Outcome.EXEMPT]
    )
    code = serializers.SlugField(max_length=100)
    reason = serializers.CharField(max_length=2000)


class PersonalUseOut(serializers.Serializer[Any]):
    """One model version that used a person's data, and the shortest way there."""

    model_version = serializers.UUIDField()
    namespace = serializers.CharField()
    name = serializers.CharField()
    version = serializers.CharField()
    trained_at = serializers.DateTimeField()
    certainty = serializers.CharField()
    path = serializers.ListField(child=serializers.CharField())


class HoldingOut(serializers.Serializer[Any]):
    """One data set that holds a person's data."""

    id = serializers.UUIDField(source="uuid")
    namespace = serializers.CharField()
    name = serializers.CharField()


class MyUsesOut(serializers.Serializer[Any]):
    """Where a person's data is, and which models used it."""

    datasets = HoldingOut(many=True)
    models = PersonalUseOut(many=True)


class Requests(APIView):
    """Open a rights request."""

    scopes = {"POST": Scope.REQUESTS_WRITE}

    @extend_schema(
        request=RequestIn,
        responses={201: RequestOut},
        parameters=[OpenApiParameter(HEADER, UUID, OpenApiParameter.HEADER, required=True)],
    )
    def post(self, request: Request) -> Response:
        """Receive it once; the same key again returns the first."""
        asked = RequestIn(data=request.data)
        asked.is_valid(raise_exception=True)
        opened = services.open_erasure(
            subject=subjects.get(asked.validated_data["subject"]),
            key=key_of(request),
            verified=asked.validated_data["identity_verified"],
        )
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
        return Response(certificates.issue(requests.standing(uuid)).as_json())


class RequestStep(APIView):
    """A step that no connector can carry out."""

    scopes = {"POST": Scope.REQUESTS_WRITE}

    @extend_schema(request=SettleIn, responses=RequestOut)
    def post(self, request: Request, uuid: UUID, step: UUID) -> Response:
        """Settle it by hand, with a reason."""
        said = SettleIn(data=request.data)
        said.is_valid(raise_exception=True)
        services.settle_step(
            step=requests.step_of(requests.standing(uuid), step), **said.validated_data
        )
        return Response(RequestOut(requests.standing(uuid)).data)


class SubjectUses(APIView):
    """Which models used this person's data."""

    scopes = {"GET": Scope.CONSENT_READ}

    @extend_schema(responses=MyUsesOut)
    def get(self, request: Request, uuid: UUID) -> Response:
        """Answer with certainty and path."""
        subject = subjects.get(uuid)
        shown = [_shown(use) for use in uses.models_of(subject)]
        answer = {"datasets": uses.datasets_holding(subject), "models": shown}
        return Response(MyUsesOut(answer).data)


def _shown(use: uses.Use) -> dict[str, Any]:
    made = use.model_version
    return {
        "model_version": made.uuid,
        "namespace": made.model.dataset.namespace,
        "name": made.model.dataset.name,
        "version": made.version.declared,
        "trained_at": made.version.complete_at,
        "certainty": use.certainty,
        "path": [step.name for step in walk.described(use.way)],
    }
