"""What operators decide about a rights request: its clock, its refusal, its end."""

from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from consent import grounds
from consent.api.requests import RequestOut
from consent.models import RightsRequest
from consent.selectors import requests
from consent.services import clock, refusing, restricting
from consent.services import requests as services
from governance.api.documents import operation
from governance.models import Scope

WRITE = {"POST": Scope.REQUESTS_WRITE}


class ExtensionIn(serializers.Serializer[Any]):
    """Why it takes longer."""

    code = serializers.ChoiceField(choices=[each.value for each in grounds.Extension])
    text = serializers.CharField(
        required=False, max_length=4000,
        help_text="what the person is told beyond the code's sentence, by mail alone",
    )  # fmt: skip


class RefusalIn(serializers.Serializer[Any]):
    """Why it is refused."""

    ground = serializers.ChoiceField(choices=[each.value for each in grounds.Refusal])
    text = serializers.CharField(
        required=False, max_length=4000,
        help_text="what the person is told beyond the ground's sentence, by mail alone",
    )  # fmt: skip


class ExplanationIn(serializers.Serializer[Any]):
    """A reason in words; kept under the person's own key."""

    reason = serializers.CharField(max_length=4000)


class Extension(APIView):
    """More time."""

    scopes = WRITE

    @operation("extend_request", RequestOut, body=ExtensionIn)
    def post(self, request: Request, uuid: UUID) -> Response:
        """Take longer, before the time is up, and tell the person why."""
        said = _checked(ExtensionIn, request)
        clock.extend(request=_request(uuid), **said)
        return _answer(uuid)


class Pause(APIView):
    """A clock that stands still."""

    scopes = WRITE

    @operation("pause_request", RequestOut)
    def post(self, request: Request, uuid: UUID) -> Response:
        """Let the clock stand still while the person is asked who they are."""
        clock.pause(request=_request(uuid))
        return _answer(uuid)


class Resume(APIView):
    """A clock that runs on."""

    scopes = WRITE

    @operation("resume_request", RequestOut)
    def post(self, request: Request, uuid: UUID) -> Response:
        """Let the clock run on; confirming the identity does so too."""
        clock.resume(request=_request(uuid))
        return _answer(uuid)


class Refusal(APIView):
    """A request that is not done."""

    scopes = WRITE

    @operation("refuse_request", RequestOut, body=RefusalIn)
    def post(self, request: Request, uuid: UUID) -> Response:
        """Refuse it on a ground that the law names, before anything was erased."""
        said = _checked(RefusalIn, request)
        refusing.refuse(request=_request(uuid), **said)
        return _answer(uuid)


class Correction(APIView):
    """A rectification that is done."""

    scopes = WRITE

    @operation("close_rectification", RequestOut, body=ExplanationIn)
    def post(self, request: Request, uuid: UUID) -> Response:
        """Close it, and say what was put right."""
        said = _checked(ExplanationIn, request)
        services.correct(request=_request(uuid), **said)
        return _answer(uuid)


class LiftingNotice(APIView):
    """A restriction that is going to be lifted."""

    scopes = WRITE

    @operation("announce_lifting", RequestOut, body=ExplanationIn)
    def post(self, request: Request, uuid: UUID) -> Response:
        """Tell the person, and why: Art. 18(3)."""
        said = _checked(ExplanationIn, request)
        restricting.announce_lifting(request=_request(uuid), **said)
        return _answer(uuid)


class Lifting(APIView):
    """A restriction that is lifted."""

    scopes = WRITE

    @operation("lift_restriction", RequestOut)
    def post(self, request: Request, uuid: UUID) -> Response:
        """Lift it, once the person was told."""
        restricting.lift(request=_request(uuid))
        return _answer(uuid)


def _checked(shape: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    said = shape(data=request.data)
    said.is_valid(raise_exception=True)
    checked: dict[str, Any] = said.validated_data
    return checked


def _request(uuid: UUID) -> RightsRequest:
    return requests.standing(uuid).request


def _answer(uuid: UUID) -> Response:
    return Response(RequestOut(requests.standing(uuid)).data)
