"""What was concluded about trainings, and settling those that were not permitted, over REST."""

from typing import Any
from uuid import UUID

from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from consent.api.requests import caller_of
from consent.models import UseAssessment, Violation
from consent.selectors import assessments as selectors
from consent.services import assessing
from governance import pages
from governance.api.documents import ListIn, list_of, listed, operation, query_of
from governance.models import Scope


class AssessmentsIn(ListIn):
    """Which conclusions to list."""

    verdict = serializers.ChoiceField(choices=UseAssessment.Verdict.choices, required=False)
    run = serializers.UUIDField(required=False, help_text="the run's own id in this service")


class AssessmentOut(serializers.Serializer[Any]):
    """The conclusion about one training that counts. Nobody is named."""

    uuid = serializers.UUIDField()
    run = serializers.UUIDField(source="run_uuid")
    number = serializers.IntegerField(help_text="from 1; earlier ones were superseded")
    model_version = serializers.UUIDField(
        source="model_version.uuid", allow_null=True, default=None
    )
    namespace = serializers.CharField(
        source="model_version.model.dataset.namespace", allow_null=True, default=None
    )
    name = serializers.CharField(
        source="model_version.model.dataset.name", allow_null=True, default=None
    )
    verdict = serializers.ChoiceField(choices=UseAssessment.Verdict.choices)
    reasons: Any = serializers.ListField(
        child=serializers.ChoiceField(choices=UseAssessment.Reason.choices)
    )
    purposes: Any = serializers.ListField(child=serializers.CharField())
    gate_decision = serializers.UUIDField(
        source="gate_decision.uuid", allow_null=True, default=None
    )
    without_permission = serializers.IntegerField(help_text="how many people had not permitted it")
    affected = serializers.SerializerMethodField(
        help_text="somebody whose data it used does not permit the use any more"
    )
    read_at = serializers.DateTimeField()
    assessed_at = serializers.DateTimeField()

    def get_affected(self, assessment: UseAssessment) -> bool:
        """Tell it from what was looked up for the whole page."""
        return assessment.pk in self.context["affected"]


class ViolationsIn(ListIn):
    """Which violations to list."""

    state = serializers.ChoiceField(choices=["open", "any"], default="open")


class ViolationOut(serializers.Serializer[Any]):
    """A use without permission, and what became of it."""

    uuid = serializers.UUIDField()
    run = serializers.UUIDField(source="assessment.run_uuid")
    assessment = serializers.UUIDField(source="assessment.uuid")
    model_version = serializers.UUIDField(
        source="assessment.model_version.uuid", allow_null=True, default=None
    )
    reasons: Any = serializers.ListField(
        source="assessment.reasons",
        child=serializers.ChoiceField(choices=UseAssessment.Reason.choices),
    )
    opened_at = serializers.DateTimeField()
    assigned_to = serializers.CharField()
    assigned_at = serializers.DateTimeField(allow_null=True)
    resolved_at = serializers.DateTimeField(allow_null=True)
    resolution = serializers.CharField()
    reason = serializers.CharField()
    withdrawn_by = serializers.UUIDField(
        source="withdrawn_by.uuid", allow_null=True, default=None,
        help_text="the later conclusion that it was none",
    )  # fmt: skip


class AssignmentIn(serializers.Serializer[Any]):
    """Who settles it."""

    to = serializers.CharField(max_length=200, help_text="a team or a role")


class ResolutionIn(serializers.Serializer[Any]):
    """How it was settled, and why so."""

    resolution = serializers.ChoiceField(choices=Violation.Resolution.choices)
    reason = serializers.CharField(max_length=2000)


class Assessments(APIView):
    """Conclusions about trainings."""

    scopes = {"GET": Scope.AUDIT_READ}

    @operation("assessments", list_of(AssessmentOut), query=AssessmentsIn)
    def get(self, request: Request) -> Response:
        """List the conclusions that count, one a training."""
        asked = query_of(request, AssessmentsIn)
        found = selectors.counting().order_by("uuid")
        if "verdict" in asked:
            found = found.filter(verdict=asked["verdict"])
        if "run" in asked:
            found = found.filter(run_uuid=asked["run"])
        page = pages.page(found, cursor=asked.get("cursor"), limit=asked["limit"])
        context = {"affected": selectors.affected(page.results)}
        shown = AssessmentOut(page.results, many=True, context=context).data
        return Response({"results": shown, "next": page.next})


class Violations(APIView):
    """Uses without permission."""

    scopes = {"GET": Scope.AUDIT_READ}

    @operation("violations", list_of(ViolationOut), query=ViolationsIn)
    def get(self, request: Request) -> Response:
        """List those that are open, or all."""
        asked = query_of(request, ViolationsIn)
        found = selectors.violations(open_only=asked["state"] == "open")
        return listed(found.order_by("uuid"), asked, ViolationOut)


class ViolationAssignment(APIView):
    """Who settles a violation."""

    scopes = {"POST": Scope.REQUESTS_WRITE}

    @operation("assign_violation", ViolationOut, body=AssignmentIn)
    def post(self, request: Request, uuid: UUID) -> Response:
        """Give it to somebody."""
        body = AssignmentIn(data=request.data)
        body.is_valid(raise_exception=True)
        found, by = selectors.violation(uuid), caller_of(request)
        assessing.assign(violation=found, by=by, **body.validated_data)
        return Response(ViolationOut(selectors.violation(uuid)).data)


class ViolationResolution(APIView):
    """How a violation was settled."""

    scopes = {"POST": Scope.REQUESTS_WRITE}

    @operation("resolve_violation", ViolationOut, body=ResolutionIn)
    def post(self, request: Request, uuid: UUID) -> Response:
        """Settle it, with the reason."""
        body = ResolutionIn(data=request.data)
        body.is_valid(raise_exception=True)
        found, by = selectors.violation(uuid), caller_of(request)
        assessing.resolve(violation=found, by=by, **body.validated_data)
        return Response(ViolationOut(selectors.violation(uuid)).data)


urlpatterns = [
    path("assessments", Assessments.as_view()),
    path("violations", Violations.as_view()),
    path("violations/<uuid:uuid>/assignment", ViolationAssignment.as_view()),
    path("violations/<uuid:uuid>/resolution", ViolationResolution.as_view()),
]
