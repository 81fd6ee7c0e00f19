"""Upstream and downstream of anything, as JSON, as a picture or as W3C PROV."""

from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.models import Scope
from lineage.drawing.prov import prov_json
from lineage.drawing.svg import draw
from lineage.graphs import Graph
from lineage.openlineage import RunState
from lineage.selectors import neighbours, transparency
from lineage.selectors.neighbours import Direction, Question

MOST_DEPTH, MOST_NODES = 50, 5000


class GraphIn(serializers.Serializer[Any]):
    """What is asked about: a data set or a job by name, a run by id; and how far to look."""

    node = serializers.ChoiceField(choices=["dataset", "job", "run"])
    namespace = serializers.CharField(required=False, trim_whitespace=False)
    name = serializers.CharField(required=False, trim_whitespace=False)
    id = serializers.UUIDField(required=False)
    direction = serializers.ChoiceField(
        choices=[each.value for each in Direction], required=False, default="both"
    )
    depth = serializers.IntegerField(required=False, default=5, min_value=1, max_value=MOST_DEPTH)
    most = serializers.IntegerField(required=False, default=500, min_value=1, max_value=MOST_NODES)
    state = serializers.MultipleChoiceField(
        choices=[each.name for each in RunState], required=False
    )
    as_of = serializers.DateTimeField(required=False, default=None)
    format = serializers.ChoiceField(
        choices=["json", "svg", "prov"], required=False, default="json"
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Ask for what tells the thing apart."""
        needed = {"id"} if attrs["node"] == "run" else {"namespace", "name"}
        missing = sorted(needed - attrs.keys())
        if missing:
            raise serializers.ValidationError(dict.fromkeys(missing, "this is needed"))
        return attrs


class NodeOut(serializers.Serializer[Any]):
    """One node; ``depth`` counts edges from what was asked about."""

    key = serializers.CharField()
    kind = serializers.CharField()
    id = serializers.UUIDField(source="uuid", allow_null=True)
    namespace = serializers.CharField()
    name = serializers.CharField()
    note = serializers.CharField()
    depth = serializers.IntegerField()


class EdgeOut(serializers.Serializer[Any]):
    """Data flowed from one node to another."""

    source = serializers.CharField()  # type: ignore[assignment]
    target = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    masked = serializers.BooleanField()
    first_at = serializers.DateTimeField(allow_null=True)
    last_at = serializers.DateTimeField(allow_null=True)


class GraphOut(serializers.Serializer[Graph]):
    """Nodes, edges, and whether a bound cut the walk."""

    nodes = NodeOut(many=True)
    edges = EdgeOut(many=True)
    truncated = serializers.BooleanField()


class LineageGraph(APIView):
    """What lies around a data set, a job or a run."""

    scopes = {"GET": Scope.AUDIT_READ}

    @extend_schema(parameters=[GraphIn], responses=GraphOut)
    def get(self, request: Request) -> HttpResponse:
        """Walk by bounded steps; a cut answer says that it is one."""
        asked = GraphIn(data=request.query_params)
        asked.is_valid(raise_exception=True)
        wanted = asked.validated_data
        found, title = _walked(wanted)
        return rendered(request, found, wanted["format"], title)


def rendered(request: Request, found: Graph, wanted: str, title: str) -> HttpResponse:
    """Return a graph as JSON, as an SVG picture or as PROV-JSON."""
    if wanted == "svg":
        return HttpResponse(draw(found, title=title), "image/svg+xml; charset=utf-8")
    if wanted == "prov":
        return Response(prov_json(found, base=request.build_absolute_uri("/")))
    return Response(GraphOut(found).data)


def _walked(wanted: dict[str, Any]) -> tuple[Graph, str]:
    question = Question(
        Direction(wanted["direction"]), wanted["depth"], wanted["most"],
        frozenset(RunState[each] for each in wanted.get("state", ())), wanted["as_of"],
    )  # fmt: skip
    if wanted["node"] == "run":
        run = neighbours.run_of(wanted["id"])
        return neighbours.around_run(run, question), f"Around run {run.run_id}"
    title = f"Around {wanted['name']}"
    if wanted["node"] == "job":
        job = neighbours.job_named(wanted["namespace"], wanted["name"])
        return neighbours.around_job(job, question), title
    dataset = transparency.dataset_named(wanted["namespace"], wanted["name"])
    return neighbours.around_dataset(dataset, question), title
