"""What events say, for the people who work on the pipelines."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.models import Scope
from lineage.selectors import facets


class FacetsIn(serializers.Serializer[Any]):
    """Whose facets: a data set's or a job's by name, or a run's by id."""

    of = serializers.ChoiceField(choices=["dataset", "job", "run"])
    namespace = serializers.CharField(required=False, trim_whitespace=False)
    name = serializers.CharField(required=False, trim_whitespace=False)
    id = serializers.UUIDField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Ask for what tells the thing apart."""
        needed = {"id"} if attrs["of"] == "run" else {"namespace", "name"}
        missing = sorted(needed - attrs.keys())
        if missing:
            raise serializers.ValidationError(dict.fromkeys(missing, "this is needed"))
        return attrs


class FacetOut(serializers.Serializer[facets.Shown]):
    """A facet. Of a run's use of a data set, ``dataset`` and ``written`` say which."""

    name = serializers.CharField()
    event_at = serializers.DateTimeField()
    value = serializers.JSONField()
    dataset = serializers.CharField()
    written = serializers.BooleanField(allow_null=True)


class FacetsOut(serializers.Serializer[Any]):
    """All facets of one thing."""

    results = FacetOut(many=True)


class Facets(APIView):
    """What the last events say of a run, a job or a data set."""

    scopes = {"GET": Scope.LINEAGE_READ}

    @extend_schema(parameters=[FacetsIn], responses=FacetsOut)
    def get(self, request: Request) -> Response:
        """Show all of it, what nobody standardised and what is kept sealed included."""
        asked = FacetsIn(data=request.query_params)
        asked.is_valid(raise_exception=True)
        wanted = asked.validated_data
        if wanted["of"] == "run":
            found = facets.of_run(wanted["id"], opened=True)
        else:
            ask = facets.of_job if wanted["of"] == "job" else facets.of_dataset
            found = ask(wanted["namespace"], wanted["name"], opened=True)
        return Response(FacetsOut({"results": found}).data)
