"""Where a person's data is, and which models used it; whoever asks is put on record first."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from consent.selectors import subjects, uses
from consent.services import asking
from governance.api.authentication import key_of
from governance.models import Dataset, Scope
from lineage.selectors import walk


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


class SubjectUses(APIView):
    """Which models used this person's data."""

    scopes = {"GET": Scope.CONSENT_READ}

    @extend_schema(responses=MyUsesOut)
    def get(self, request: Request, uuid: UUID) -> Response:
        """Answer with certainty and path."""
        subject = subjects.get(uuid)
        asking.put_on_record(subject=subject, client=key_of(request).client, question="uses")
        found = uses.traced(subject)
        datasets = Dataset.objects.filter(pk__in=found.datasets).order_by("namespace", "name")
        answer = {"datasets": datasets, "models": _shown(found.models)}
        return Response(MyUsesOut(answer).data)


def _shown(found: Sequence[uses.Use]) -> list[dict[str, Any]]:
    ways = [use.way for use in found]
    passed = sorted({version for way in ways for version in way})
    names = dict(zip(passed, (step.name for step in walk.described(passed)), strict=True))
    return [
        {
            "model_version": use.model_version.uuid,
            "namespace": use.model_version.model.dataset.namespace,
            "name": use.model_version.model.dataset.name,
            "version": use.model_version.version.declared,
            "trained_at": use.model_version.version.complete_at,
            "certainty": use.certainty,
            "path": [names[version] for version in way],
        }
        for use, way in zip(found, ways, strict=True)
    ]


urlpatterns = [path("subjects/<uuid:uuid>/uses", SubjectUses.as_view())]
