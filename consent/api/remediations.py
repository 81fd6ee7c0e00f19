"""Model versions that are to be made good, over REST: who does it, what was done, what it shows."""

from typing import Any
from uuid import UUID

from django.urls import path
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from consent.api.idempotency import HEADER, key_of
from consent.api.requests import caller_of
from consent.measures import MeasureKind
from consent.models import Remediation, RemediationMeasure
from consent.selectors import remedies as selectors
from consent.services import remedies
from governance import pages
from governance.api import authentication
from governance.api.documents import ListIn, list_of, operation, query_of
from governance.models import Scope

EVIDENCE = """What it has to show, and nothing else; what is missing is refused with 422.
unlearn_certified, unlearn_approximate: method, parameters, forget_set_sha256, reviewed_by,
test {attack, metric, before, after, threshold}; certified also certificate_sha256.
suppress: filter_rule, probes {sha256, asked, leaked}, deployments.
retire: reason, artifacts [{name, receipt}]. exempt_legal: code, reason.
exempt_guarantee, exempt_masked: nothing; it is computed here.""".replace("\n", " ")


class RemediationsIn(ListIn):
    """Which model versions to list."""

    state = serializers.ChoiceField(choices=["open", "closed", "any"], default="open")
    owner = serializers.CharField(required=False, max_length=200)
    due_before = serializers.DateTimeField(required=False)


class MeasureOut(serializers.Serializer[RemediationMeasure]):
    """One measure and its evidence."""

    uuid = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=[(each.value, each.value) for each in MeasureKind])
    evidence = serializers.DictField()
    evidence_sha256 = serializers.CharField(source="digest")
    by = serializers.CharField(source="by.name")
    taken_at = serializers.DateTimeField()
    approved_by = serializers.CharField(
        source="second", allow_null=True,
        help_text="who stands for it besides, by a name that says nothing outside",
    )  # fmt: skip
    approved_at = serializers.DateTimeField(allow_null=True)
    ends_at = serializers.DateTimeField(allow_null=True)
    lapsed_at = serializers.DateTimeField(allow_null=True)
    lapsed_code = serializers.CharField()


class RemedyOut(serializers.Serializer[selectors.Remedied]):
    """One affected model version of one request, as it stands now."""

    uuid = serializers.UUIDField()
    request = serializers.UUIDField(source="remediation.request.uuid")
    model_version = serializers.UUIDField(source="model_version.uuid")
    namespace = serializers.CharField(source="model_version.model.dataset.namespace")
    name = serializers.CharField(source="model_version.model.dataset.name")
    certainty = serializers.CharField()
    state = serializers.ChoiceField(choices=[each.value for each in selectors.RemedyState])
    outstanding = serializers.SerializerMethodField(help_text="what keeps it open; empty if closed")
    outcome = serializers.ChoiceField(choices=Remediation.Outcome.choices, allow_blank=True)
    code = serializers.CharField()
    owner = serializers.CharField()
    opened_at = serializers.DateTimeField()
    due_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True)
    closed_by = serializers.UUIDField(source="closed_by.uuid", allow_null=True, default=None)
    measures = MeasureOut(many=True)

    def get_outstanding(self, each: selectors.Remedied) -> str:
        """Say it only while it is open."""
        return "" if each.outcome else each.outstanding


class RemediationAssignmentIn(serializers.Serializer[Any]):
    """Who makes it good, and by when if before the request is due."""

    owner = serializers.CharField(max_length=200, help_text="a team or a role")
    due_at = serializers.DateTimeField(required=False, allow_null=True, default=None)


@extend_schema_field({"type": "object", "additionalProperties": True})
class EvidenceField(serializers.Field[Any, Any, Any, Any]):
    """An object; `consent.measures` says of which shape."""

    def to_internal_value(self, data: Any) -> Any:
        """Leave it as it came."""
        return data

    def to_representation(self, value: Any) -> Any:
        """Leave it as it is."""
        return value


class MeasureIn(serializers.Serializer[Any]):
    """A measure and what it shows. `retrain` is refused: it is observed."""

    kind = serializers.ChoiceField(
        choices=[*((each.value, each.value) for each in MeasureKind), ("retrain", "retrain")]
    )
    evidence = EvidenceField(help_text=EVIDENCE)
    ends_at = serializers.DateTimeField(
        required=False, allow_null=True, default=None,
        help_text="for interim and legal ones: when the model version is open again",
    )  # fmt: skip


class Remediations(APIView):
    """Affected model versions."""

    scopes = {"GET": Scope.REQUESTS_READ}

    @operation("remediations", list_of(RemedyOut), query=RemediationsIn)
    def get(self, request: Request) -> Response:
        """List those that are open, or all; of an owner, or due before an instant."""
        asked = query_of(request, RemediationsIn)
        found = selectors.listed(
            state=asked["state"], owner=asked.get("owner", ""), due_before=asked.get("due_before")
        )
        page = pages.page(found, cursor=asked.get("cursor"), limit=asked["limit"])
        shown = RemedyOut(selectors.standings(page.results), many=True)  # type: ignore[arg-type]
        return Response({"results": shown.data, "next": page.next})


class RemediationOf(APIView):
    """One affected model version."""

    scopes = {"GET": Scope.REQUESTS_READ}

    @operation("remediation", RemedyOut)
    def get(self, request: Request, uuid: UUID) -> Response:
        """Show it with its measures and their evidence."""
        return _shown(uuid)


class RemediationAssignment(APIView):
    """Who makes a model version good."""

    scopes = {"POST": Scope.REQUESTS_WRITE}

    @operation("assign_remediation", RemedyOut, body=RemediationAssignmentIn)
    def post(self, request: Request, uuid: UUID) -> Response:
        """Give it to somebody."""
        body = RemediationAssignmentIn(data=request.data)
        body.is_valid(raise_exception=True)
        remedies.assign(remediation=selectors.remediation(uuid), **body.validated_data)
        return _shown(uuid)


class RemediationMeasures(APIView):
    """What is done about a model version."""

    scopes = {"POST": Scope.REQUESTS_WRITE}

    @extend_schema(
        operation_id="take_measure",
        request=MeasureIn,
        responses={201: RemedyOut},
        parameters=[OpenApiParameter(HEADER, UUID, OpenApiParameter.HEADER, required=True)],
    )
    def post(self, request: Request, uuid: UUID) -> Response:
        """Record a measure with its evidence; the same key again changes nothing."""
        body = MeasureIn(data=request.data)
        body.is_valid(raise_exception=True)
        remedies.take(
            remediation=selectors.remediation(uuid), key=key_of(request),
            by=authentication.key_of(request).client, **body.validated_data,
        )  # fmt: skip
        return Response(RemedyOut(selectors.remediation(uuid)).data, status=201)


class MeasureApproval(APIView):
    """A second word, which no key can give: it is a person's, at the desk."""

    scopes = {"POST": Scope.REQUESTS_WRITE}

    @operation("approve_measure", RemedyOut)
    def post(self, request: Request, uuid: UUID, measure: UUID) -> Response:
        """Answer 403: somebody of the staff stands for a measure, signed in at the desk."""
        found = selectors.measure(selectors.remediation(uuid), measure)
        remedies.approve(measure=found, by=caller_of(request))
        return _shown(uuid)


def _shown(uuid: UUID) -> Response:
    return Response(RemedyOut(selectors.remediation(uuid)).data)


urlpatterns = [
    path("remediations", Remediations.as_view()),
    path("remediations/<uuid:uuid>", RemediationOf.as_view()),
    path("remediations/<uuid:uuid>/assignment", RemediationAssignment.as_view()),
    path("remediations/<uuid:uuid>/measures", RemediationMeasures.as_view()),
    path("remediations/<uuid:uuid>/measures/<uuid:measure>/approval", MeasureApproval.as_view()),
]
