"""Plans of erasures and the operators' queues, for machines.

A key's client counts as one who approves, however many people stand behind it. Where two people
have to, it counts as none: they approve at the desk.
"""

from typing import Any
from uuid import UUID

from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from consent.api.requests import RequestOut, caller_of
from consent.models import DryRun, PlanApproval, PlanRejection, RightsRequest
from consent.selectors import planned, queues, requests
from consent.selectors.planned import Planned
from consent.services import approving, looking, retrying
from governance.api.documents import operation
from governance.models import Scope


class DryRunOut(serializers.Serializer[DryRun]):
    """What a look at one data set found; nothing was touched."""

    asked_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    rows = serializers.IntegerField(allow_null=True)
    parts = serializers.ListField(child=serializers.CharField())
    code = serializers.CharField(help_text="what stood in the way, or empty")


class PlannedStepOut(serializers.Serializer[Any]):
    """A data set to erase from."""

    dataset = serializers.UUIDField()
    namespace = serializers.CharField()
    name = serializers.CharField()
    certainty = serializers.CharField()
    code = serializers.CharField(help_text="what stands in the way as things are, or empty")
    storage = serializers.CharField()
    kind = serializers.CharField()
    location = serializers.CharField()
    subject_column = serializers.CharField()
    dry_run = DryRunOut(allow_null=True)


class UntouchedOut(serializers.Serializer[Any]):
    """A data set in sight that is left as it is, and the code of why."""

    dataset = serializers.UUIDField()
    namespace = serializers.CharField()
    name = serializers.CharField()
    certainty = serializers.CharField()
    code = serializers.CharField()


class AffectedModelOut(serializers.Serializer[Any]):
    """A model version that is affected; of a model's latest, the way that the data took."""

    model_version = serializers.UUIDField()
    namespace = serializers.CharField()
    name = serializers.CharField()
    version = serializers.CharField()
    certainty = serializers.CharField()
    way = serializers.ListField(child=serializers.CharField())


class PlanApprovalOut(serializers.Serializer[PlanApproval]):
    """Who approved, by a name that says nothing outside."""

    by = serializers.CharField()
    at = serializers.DateTimeField()


class PlanRejectionOut(serializers.Serializer[PlanRejection]):
    """An earlier plan that was not carried out."""

    number = serializers.IntegerField(source="plan.number")
    by = serializers.CharField()
    at = serializers.DateTimeField()
    reason = serializers.CharField()


class PlanOut(serializers.Serializer[Planned]):
    """A plan as people read it, with what was said about it."""

    id = serializers.UUIDField(source="plan.uuid")
    request = serializers.UUIDField(source="plan.request.uuid")
    number = serializers.IntegerField(source="plan.number")
    digest = serializers.CharField(source="plan.digest", help_text="name it when you approve")
    made_at = serializers.DateTimeField(source="plan.made_at")
    waits = serializers.BooleanField(help_text="it has to be approved before anything is touched")
    approvals_needed = serializers.IntegerField(source="plan.approvals")
    policies = serializers.ListField(
        child=serializers.CharField(), source="plan.content.policies", help_text="that ask for it"
    )
    approvals = PlanApprovalOut(many=True)
    rejected = PlanRejectionOut(many=True)
    truncated = serializers.BooleanField(source="plan.content.truncated")
    steps = PlannedStepOut(many=True)
    untouched = UntouchedOut(many=True, source="plan.content.untouched")
    models = AffectedModelOut(many=True, source="plan.content.models")


class ApprovalIn(serializers.Serializer[Any]):
    """Which plan was read."""

    digest = serializers.CharField(max_length=64)


class RejectionIn(ApprovalIn):
    """Which plan was read, and why another is to be made."""

    reason = serializers.CharField(max_length=2000)


class QueueOut(serializers.Serializer[queues.Queue]):
    """One queue."""

    kind = serializers.CharField()
    name = serializers.CharField()
    count = serializers.IntegerField()
    oldest_at = serializers.DateTimeField(allow_null=True)
    due_at = serializers.DateTimeField(allow_null=True)


class QueuesOut(serializers.Serializer[Any]):
    """Every queue."""

    queues = QueueOut(many=True)


def _shown(asked: RightsRequest) -> Response:
    return Response(PlanOut(planned.planned(asked)).data)


class RequestPlan(APIView):
    """The plan of an erasure."""

    scopes = {"GET": Scope.REQUESTS_READ}

    @operation("plan", PlanOut)
    def get(self, request: Request, uuid: UUID) -> Response:
        """Tell what will be touched, what will not and why, and which models are affected."""
        return _shown(requests.standing(uuid).request)


class PlanDryRun(APIView):
    """A look that touches nothing."""

    scopes = {"POST": Scope.REQUESTS_WRITE}

    @operation("dry_run", PlanOut)
    def post(self, request: Request, uuid: UUID) -> Response:
        """Ask for it; what it finds is on the plan when the workers have looked."""
        asked = requests.standing(uuid).request
        looking.ask(request=asked, by=caller_of(request))
        return _shown(asked)


class PlanApprovals(APIView):
    """Approvals of the plan that waits."""

    scopes = {"POST": Scope.REQUESTS_WRITE}

    @operation("approve_plan", PlanOut, body=ApprovalIn)
    def post(self, request: Request, uuid: UUID) -> Response:
        """Approve what was read, where one approval is asked for; it begins the erasure."""
        said = ApprovalIn(data=request.data)
        said.is_valid(raise_exception=True)
        asked = requests.standing(uuid).request
        approving.approve(request=asked, by=caller_of(request), **said.validated_data)
        return _shown(asked)


class PlanRejections(APIView):
    """Rejections of the plan that waits."""

    scopes = {"POST": Scope.REQUESTS_WRITE}

    @operation("reject_plan", PlanOut, body=RejectionIn)
    def post(self, request: Request, uuid: UUID) -> Response:
        """Put it aside with a reason; the answer is the plan that is made in its place."""
        said = RejectionIn(data=request.data)
        said.is_valid(raise_exception=True)
        asked = requests.standing(uuid).request
        approving.reject(request=asked, by=caller_of(request), **said.validated_data)
        return _shown(asked)


class StepRetry(APIView):
    """A step in whose way something stands."""

    scopes = {"POST": Scope.REQUESTS_WRITE}

    @operation("retry_step", RequestOut)
    def post(self, request: Request, uuid: UUID, step: UUID) -> Response:
        """Have it tried again at once."""
        found = requests.step_of(requests.standing(uuid), step)
        retrying.retry_step(step=found, by=caller_of(request))
        return Response(RequestOut(requests.standing(uuid)).data)


class Queues(APIView):
    """What waits for whom."""

    scopes = {"GET": Scope.REQUESTS_READ}

    @operation("queues", QueuesOut)
    def get(self, request: Request) -> Response:
        """Count what waits, with the oldest and the nearest due date."""
        return Response(QueuesOut({"queues": queues.queues()}).data)


urlpatterns = [
    path("requests/<uuid:uuid>/plan", RequestPlan.as_view()),
    path("requests/<uuid:uuid>/plan/dry-run", PlanDryRun.as_view()),
    path("requests/<uuid:uuid>/plan/approvals", PlanApprovals.as_view()),
    path("requests/<uuid:uuid>/plan/rejections", PlanRejections.as_view()),
    path("requests/<uuid:uuid>/steps/<uuid:step>/retry", StepRetry.as_view()),
    path("queues", Queues.as_view()),
]
