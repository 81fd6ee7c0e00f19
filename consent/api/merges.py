"""Which rows are one person, over REST, for operators."""

from typing import Any
from uuid import UUID

from django.urls import path
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from consent.api.idempotency import key_of, keyed
from consent.models import SubjectMerge
from consent.selectors import persons, subjects
from consent.services import merging
from governance.api.authentication import key_of as api_key_of
from governance.api.documents import ListIn, list_of, listed, operation, query_of
from governance.models import Scope


class ReasonIn(serializers.Serializer[Any]):
    """Why it is said."""

    reason = serializers.CharField(
        max_length=1000, help_text="how it is known; kept under the person's own key, never shown"
    )


class MergeIn(ReasonIn):
    """Who is the same person."""

    other = serializers.UUIDField(help_text="the other subject, who is registered too")


class MergeOut(serializers.Serializer[Any]):
    """Two subjects that are one person, or were said to be."""

    uuid = serializers.UUIDField()
    subjects = serializers.SerializerMethodField()
    merged_at = serializers.DateTimeField()
    merged_by = serializers.CharField(
        source="merged_by.name", allow_null=True, default=None, help_text="the client that said so"
    )
    undone_at = serializers.DateTimeField(allow_null=True)
    undone_by = serializers.CharField(source="undone_by.name", allow_null=True, default=None)

    @extend_schema_field({"type": "array", "items": {"type": "string", "format": "uuid"}})
    def get_subjects(self, merge: SubjectMerge) -> list[str]:
        """Return both, by their public names."""
        return [str(merge.one.uuid), str(merge.other.uuid)]


class Merges(APIView):
    """What was said of who is the same person."""

    scopes = {"GET": Scope.CONSENT_READ, "POST": Scope.CONSENT_WRITE}

    @operation("merges", list_of(MergeOut), query=ListIn)
    def get(self, request: Request, uuid: UUID) -> Response:
        """List every merge of the person's subjects, those that were undone too."""
        found = persons.merges_of(subjects.get(uuid))
        return listed(found, query_of(request, ListIn), MergeOut)

    @keyed
    @operation("merge_subjects", MergeOut, body=MergeIn, upsert=True)
    def post(self, request: Request, uuid: UUID) -> Response:
        """Say that another subject is the same person: from now on, and for all time before."""
        key = key_of(request)
        subject = subjects.get(uuid)
        body = MergeIn(data=request.data)
        body.is_valid(raise_exception=True)
        merged = merging.merge(
            subject=subject,
            other=subjects.get(body.validated_data["other"]),
            key=key,
            reason=body.validated_data["reason"],
            client=api_key_of(request).client,
        )
        return Response(MergeOut(merged.merge).data, status=200 if merged.replayed else 201)


class MergeUndoing(APIView):
    """A merge that was wrong."""

    scopes = {"POST": Scope.CONSENT_WRITE}

    @operation("undo_merge", MergeOut, body=ReasonIn)
    def post(self, request: Request, uuid: UUID, merge: UUID) -> Response:
        """Say that the two never were the same person; once it is undone, it stays so."""
        found = persons.merge_of(subjects.get(uuid), merge)
        body = ReasonIn(data=request.data)
        body.is_valid(raise_exception=True)
        undone = merging.undo(
            merge=found,
            reason=body.validated_data["reason"],
            client=api_key_of(request).client,
        )
        return Response(MergeOut(undone.merge).data)


urlpatterns = [
    path("subjects/<uuid:uuid>/merges", Merges.as_view()),
    path("subjects/<uuid:uuid>/merges/<uuid:merge>/undo", MergeUndoing.as_view()),
]
