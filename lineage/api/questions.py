"""Further transparency questions: by job, owner, tag, column, version; changes; impact; search."""

from typing import Any, ClassVar
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance import pages
from governance.models import Dataset, Scope
from lineage.api.graph import GraphOut, rendered
from lineage.api.transparency import ModelVersionOut, UseOut
from lineage.models import ModelVersion
from lineage.selectors import (
    columns,
    comparing,
    models_by,
    neighbours,
    searching,
    transparency,
    versions,
)

MOST = 500


class Paged(serializers.Serializer[Any]):
    """Which part of a long list."""

    cursor = serializers.CharField(required=False, default=None)
    limit = serializers.IntegerField(required=False, default=50, min_value=1, max_value=pages.MOST)


class Named(serializers.Serializer[Any]):
    """A data set or a job, by its OpenLineage name."""

    namespace = serializers.CharField(trim_whitespace=False)
    name = serializers.CharField(trim_whitespace=False)


class ByNameIn(Named, Paged):
    """Models by a name."""


class ByFieldIn(Named, Paged):
    """Models by a column."""

    field = serializers.CharField(trim_whitespace=False)


class ByOwnerIn(Paged):
    """Models by an owner's name, as ownership facets have it."""

    owner = serializers.CharField(trim_whitespace=False)


class ByTagIn(Paged):
    """Models by a tag, with any value unless one is named."""

    key = serializers.CharField()
    value = serializers.CharField(required=False, default="", allow_blank=True)


class ByVersionIn(Paged):
    """Models by one version of a data set."""

    version = serializers.UUIDField()


class ModelsOut(serializers.Serializer[Any]):
    """A page of model versions, the last known first."""

    results = ModelVersionOut(many=True)
    total = serializers.IntegerField()
    next = serializers.CharField(allow_null=True)


class _ModelsBy(APIView):
    """Answers with model versions; what is asked by is a subclass's own."""

    scopes = {"GET": Scope.AUDIT_READ}
    asked: ClassVar[type[serializers.Serializer[Any]]]

    def keys(self, wanted: dict[str, Any]) -> list[int]:
        """Return the keys of the model versions."""
        raise NotImplementedError

    def answer(self, request: Request) -> Response:
        """Find them, and show a page."""
        body = self.asked(data=request.query_params)
        body.is_valid(raise_exception=True)
        wanted = dict(body.validated_data)
        cursor, limit = wanted.pop("cursor"), wanted.pop("limit")
        keys = self.keys(wanted)
        question = f"{self.__class__.__name__}/{sorted(wanted.items())}"
        shown, following = pages.page_of_keys(keys, cursor=cursor, limit=limit, question=question)
        found = transparency.described(shown)
        answer = {"results": found, "total": len(keys), "next": following}
        return Response(ModelsOut(answer).data)


class ModelsByJob(_ModelsBy):
    """Which models a job made, or helped to make."""

    asked = ByNameIn

    @extend_schema(parameters=[ByNameIn], responses=ModelsOut)
    def get(self, request: Request) -> Response:
        """Answer from the frozen provenance."""
        return self.answer(request)

    def keys(self, wanted: dict[str, Any]) -> list[int]:
        """Return them by the job's name."""
        return models_by.job(neighbours.job_named(wanted["namespace"], wanted["name"]))


class ModelsByField(_ModelsBy):
    """Which models a column may have flowed into."""

    asked = ByFieldIn

    @extend_schema(parameters=[ByFieldIn], responses=ModelsOut)
    def get(self, request: Request) -> Response:
        """Answer from the columns' lineage, within the frozen provenance."""
        return self.answer(request)

    def keys(self, wanted: dict[str, Any]) -> list[int]:
        """Return them by data set and column."""
        dataset = transparency.dataset_named(wanted["namespace"], wanted["name"])
        return models_by.field(dataset, wanted["field"])


class ModelsByOwner(_ModelsBy):
    """Which models descend from an owner's data."""

    asked = ByOwnerIn

    @extend_schema(parameters=[ByOwnerIn], responses=ModelsOut)
    def get(self, request: Request) -> Response:
        """Answer from ownership facets and the frozen provenance."""
        return self.answer(request)

    def keys(self, wanted: dict[str, Any]) -> list[int]:
        """Return them by the owner's name."""
        return models_by.owner(wanted["owner"])


class ModelsByTag(_ModelsBy):
    """Which models descend from data that carries a tag."""

    asked = ByTagIn

    @extend_schema(parameters=[ByTagIn], responses=ModelsOut)
    def get(self, request: Request) -> Response:
        """Answer from tags facets and the frozen provenance."""
        return self.answer(request)

    def keys(self, wanted: dict[str, Any]) -> list[int]:
        """Return them by the tag's key, and value if one is named."""
        return models_by.tag(wanted["key"], wanted["value"])


class ModelsByVersion(_ModelsBy):
    """Which models descend from exactly one version of a data set."""

    asked = ByVersionIn

    @extend_schema(parameters=[ByVersionIn], responses=ModelsOut)
    def get(self, request: Request) -> Response:
        """Answer from the frozen provenance."""
        return self.answer(request)

    def keys(self, wanted: dict[str, Any]) -> list[int]:
        """Return them by the version's public id."""
        return models_by.version(versions.by_id(wanted["version"]))


class DatasetBrief(serializers.Serializer[Dataset]):
    """A data set by its names."""

    id = serializers.UUIDField(source="uuid")
    namespace = serializers.CharField()
    name = serializers.CharField()


class SinceIn(serializers.Serializer[Any]):
    """Which earlier model version to compare with."""

    since = serializers.UUIDField()


class ChangesOut(serializers.Serializer[comparing.Changes]):
    """What changed. A parameter is told as [before, after]."""

    datasets_added = DatasetBrief(many=True)
    datasets_removed = DatasetBrief(many=True)
    versions_added = serializers.IntegerField()
    versions_removed = serializers.IntegerField()
    parameters = serializers.JSONField()
    code = serializers.JSONField()


class ChangesSince(APIView):
    """What changed between two model versions."""

    scopes = {"GET": Scope.AUDIT_READ}

    @extend_schema(parameters=[SinceIn], responses=ChangesOut)
    def get(self, request: Request, model_version: UUID) -> Response:
        """Compare data, parameters and code."""
        asked = SinceIn(data=request.query_params)
        asked.is_valid(raise_exception=True)
        before = transparency.model_version(asked.validated_data["since"])
        after: ModelVersion = transparency.model_version(model_version)
        return Response(ChangesOut(comparing.changes(before, after)).data)


class ImpactOut(serializers.Serializer[comparing.Impact]):
    """What would be concerned if the data set went."""

    datasets = DatasetBrief(many=True)
    models = UseOut(many=True)
    owners = serializers.ListField(child=serializers.CharField())
    truncated = serializers.BooleanField()


class ImpactOf(APIView):
    """What hangs on a data set."""

    scopes = {"GET": Scope.AUDIT_READ}

    @extend_schema(parameters=[Named], responses=ImpactOut)
    def get(self, request: Request) -> Response:
        """Answer with data sets and models downstream, and whom to tell."""
        asked = Named(data=request.query_params)
        asked.is_valid(raise_exception=True)
        dataset = transparency.dataset_named(**asked.validated_data)
        return Response(ImpactOut(comparing.impact(dataset, most=MOST)).data)


class ColumnsIn(Named):
    """A column, which way to go, and how far."""

    field = serializers.CharField(trim_whitespace=False)
    direction = serializers.ChoiceField(choices=["up", "down"])
    depth = serializers.IntegerField(required=False, default=10, min_value=1, max_value=50)
    format = serializers.ChoiceField(
        choices=["json", "svg", "prov"], required=False, default="json"
    )


class ColumnsAround(APIView):
    """Where a column comes from, or goes to."""

    scopes = {"GET": Scope.AUDIT_READ}

    @extend_schema(parameters=[ColumnsIn], responses=GraphOut)
    def get(self, request: Request) -> HttpResponse:
        """Walk the columns' lineage, with the transformation at each hop."""
        asked = ColumnsIn(data=request.query_params)
        asked.is_valid(raise_exception=True)
        wanted = asked.validated_data
        dataset = transparency.dataset_named(wanted["namespace"], wanted["name"])
        found = columns.around(
            dataset, wanted["field"], up=wanted["direction"] == "up", depth=wanted["depth"],
            most=MOST,
        )  # fmt: skip
        return rendered(request, found, wanted["format"], f"Around column {wanted['field']}")


class TagIn(serializers.Serializer[Any]):
    """Which tag to follow."""

    key = serializers.CharField()


class ColumnOut(serializers.Serializer[columns.Named]):
    """A column by its names; ``field`` is empty for the data set as a whole."""

    namespace = serializers.CharField()
    name = serializers.CharField()
    field = serializers.CharField()


class ArrivalOut(serializers.Serializer[columns.NamedArrival]):
    """A column that a tag reached along unmasked columns, and the way, its origin first."""

    value = serializers.CharField()
    way = ColumnOut(many=True)


class ArrivalsOut(serializers.Serializer[Any]):
    """Where a tag arrived."""

    results = ArrivalOut(many=True)
    truncated = serializers.BooleanField()


class TagArrivals(APIView):
    """Where columns with a tag, such as personal ones, arrive, and why."""

    scopes = {"GET": Scope.AUDIT_READ}

    @extend_schema(parameters=[TagIn], responses=ArrivalsOut)
    def get(self, request: Request) -> Response:
        """Follow unmasked columns from every column that carries the tag."""
        asked = TagIn(data=request.query_params)
        asked.is_valid(raise_exception=True)
        found = columns.arrivals(asked.validated_data["key"], most=MOST)
        answer = {"results": columns.named(found), "truncated": len(found) == MOST}
        return Response(ArrivalsOut(answer).data)


class SearchIn(serializers.Serializer[Any]):
    """What to look for."""

    q = serializers.CharField(max_length=searching.LONGEST)
    kind = serializers.ChoiceField(choices=[each.value for each in searching.Kind], required=False)
    cursor = serializers.CharField(required=False, default=None)
    limit = serializers.IntegerField(
        required=False, default=20, min_value=1, max_value=searching.MOST
    )


class HitOut(serializers.Serializer[searching.Hit]):
    """One thing found."""

    kind = serializers.CharField()
    id = serializers.UUIDField()
    namespace = serializers.CharField()
    name = serializers.CharField()
    field = serializers.CharField()
    description = serializers.CharField()


class HitsOut(serializers.Serializer[Any]):
    """What was found, the best first."""

    results = HitOut(many=True)
    next = serializers.CharField(allow_null=True)


class Search(APIView):
    """Find data sets, models, jobs and columns."""

    scopes = {"GET": Scope.AUDIT_READ}

    @extend_schema(parameters=[SearchIn], responses=HitsOut)
    def get(self, request: Request) -> Response:
        """Look for words and for parts of names."""
        asked = SearchIn(data=request.query_params)
        asked.is_valid(raise_exception=True)
        wanted = asked.validated_data
        limit, cursor = wanted["limit"], wanted["cursor"]
        kind = wanted.get("kind", "")
        question = f"search/{kind}/{wanted['q']}"
        offset = pages.place_in(cursor, question) if cursor else 0
        found = searching.search(wanted["q"], kind=kind, offset=offset, limit=limit)
        following = pages.cursor_at(offset + limit, question) if len(found) > limit else None
        return Response(HitsOut({"results": found[:limit], "next": following}).data)
