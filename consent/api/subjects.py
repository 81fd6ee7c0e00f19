"""Registering and finding people over REST. Identifiers come in bodies, never in addresses."""

from typing import Any

from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from consent.identifiers import MAX_LENGTH
from consent.selectors import subjects as selectors
from consent.services import subjects
from governance.api.documents import operation
from governance.errors import NotFoundError
from governance.models import Scope

MOST_IDENTIFIERS = 20


class IdentifierIn(serializers.Serializer[Any]):
    """How a person is named somewhere."""

    scheme = serializers.CharField(
        max_length=32, help_text="`email`, or the name that a data set gives to its own scheme"
    )
    value = serializers.CharField(max_length=MAX_LENGTH, trim_whitespace=False)


class SubjectIn(serializers.Serializer[Any]):
    """A person to register."""

    identifiers: Any = serializers.ListField(
        child=IdentifierIn(), min_length=1, max_length=MOST_IDENTIFIERS
    )
    again = serializers.BooleanField(
        default=False, help_text="the person was erased and asks to come back"
    )


class SubjectOut(serializers.Serializer[Any]):
    """A person, as a pseudonym."""

    uuid = serializers.UUIDField()
    created_at = serializers.DateTimeField()


class Subjects(APIView):
    """People."""

    scopes = {"POST": Scope.CONSENT_WRITE}

    @operation("register_subject", SubjectOut, body=SubjectIn, upsert=True)
    def post(self, request: Request) -> Response:
        """Register a person, or add identifiers to one who is known by the others."""
        body = SubjectIn(data=request.data)
        body.is_valid(raise_exception=True)
        given = [(each["scheme"], each["value"]) for each in body.validated_data["identifiers"]]
        made = subjects.register(identifiers=given, again=body.validated_data["again"])
        return Response(SubjectOut(made.subject).data, status=201 if made.created else 200)


class SubjectLookup(APIView):
    """Finding a person by an identifier that the caller has."""

    scopes = {"POST": Scope.CONSENT_READ}

    @operation("look_up_subject", SubjectOut, body=IdentifierIn)
    def post(self, request: Request) -> Response:
        """Show the person with this identifier; one who was erased is not found."""
        body = IdentifierIn(data=request.data)
        body.is_valid(raise_exception=True)
        found = selectors.by_identifier(**body.validated_data)
        if found is None:
            raise NotFoundError("nobody is known by this identifier")
        return Response(SubjectOut(found).data)


urlpatterns = [
    path("subjects", Subjects.as_view()),
    path("subjects/lookup", SubjectLookup.as_view()),
]
