"""Transparency questions over REST."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance import pages
from governance.api.authentication import key_of
from governance.models import Scope
from lineage.models import InboxEvent, ModelVersion
from lineage.openlineage import RunState
from lineage.selectors import inbox, transparency


class DatasetQuestion(serializers.Serializer[Any]):
    """Which data set is asked about, and as of when."""

    namespace = serializers.CharField(max_length=1200, trim_whitespace=False)
    name = serializers.CharField(max_length=1200, trim_whitespace=False)
    as_of = serializers.DateTimeField(required=False)
    path = serializers.BooleanField(required=False, default=False)
    cursor = serializers.CharField(required=False)
    limit = serializers.IntegerField(required=False, min_value=1, max_value=pages.MOST)


class InstantQuestion(serializers.Serializer[Any]):
    """As of when; now, where it is left out."""

    as_of = serializers.DateTimeField(required=False)


class StepOut(serializers.Serializer[Any]):
    """One version on a path; ``run`` wrote it."""

    version = serializers.UUIDField()
    dataset = serializers.UUIDField()
    namespace = serializers.CharField()
    name = serializers.CharField()
    run = serializers.UUIDField(allow_null=True)


class ModelVersionOut(serializers.Serializer[ModelVersion]):
    """A model version, its run, and the digest of what it descends from."""

    id = serializers.UUIDField(source="uuid")
    model = serializers.UUIDField(source="model.uuid")
    namespace = serializers.CharField(source="model.dataset.namespace")
    name = serializers.CharField(source="model.dataset.name")
    version = serializers.CharField(source="version.declared")
    trained_at = serializers.DateTimeField(source="version.complete_at")
    run_id = serializers.CharField(source="version.run.run_id", allow_null=True, default=None)
    run_state = serializers.SerializerMethodField()
    provenance_digest = serializers.SerializerMethodField()

    def get_run_state(self, made: ModelVersion) -> str:
        """Return the run's state in OpenLineage's words."""
        run = made.version.run
        return RunState(run.state).name if run else RunState.HEARD_OF.name

    def get_provenance_digest(self, made: ModelVersion) -> str | None:
        """Return the frozen digest, or nothing before the first freeze."""
        frozen = getattr(made, "provenance", None)
        return bytes(frozen.digest).hex() if frozen else None


class UseOut(serializers.Serializer[transparency.ModelUse]):
    """One use, how it is known, and on demand how the data got there."""

    model_version = ModelVersionOut()
    certainty = serializers.CharField()
    path = StepOut(many=True, required=False)


class PendingOut(serializers.Serializer[transparency.Pending]):
    """What may still change the answer."""

    events = serializers.IntegerField()
    model_versions = serializers.IntegerField()


class UsesOut(serializers.Serializer[Any]):
    """The answer, a page of it, and what may still change it."""

    results = UseOut(many=True)
    total = serializers.IntegerField()
    next = serializers.CharField(allow_null=True)
    truncated = serializers.BooleanField()
    pending = PendingOut()


class MaterialOut(serializers.Serializer[Any]):
    """One data set in a model, and how that is known."""

    id = serializers.UUIDField()
    namespace = serializers.CharField()
    name = serializers.CharField()
    certainty = serializers.CharField()


class MaterialsOut(serializers.Serializer[Any]):
    """A model version's bill of materials."""

    model_version = ModelVersionOut()
    truncated = serializers.BooleanField()
    results = MaterialOut(many=True)
    pending = PendingOut()


class ModelsUsing(APIView):
    """Which models used this data set."""

    scopes = {"GET": Scope.AUDIT_READ}

    @extend_schema(parameters=[DatasetQuestion], responses=UsesOut)
    def get(self, request: Request) -> Response:
        """Answer from the frozen provenance; failed and running trainings are told with state."""
        asked = DatasetQuestion(data=request.query_params)
        asked.is_valid(raise_exception=True)
        question = asked.validated_data
        dataset = transparency.dataset_named(question["namespace"], question["name"])
        found = transparency.using(dataset, as_of=question.get("as_of"))
        keys, following = pages.page_of_keys(
            found.keys, cursor=question.get("cursor"), limit=question.get("limit"),
            question=f"{dataset.uuid}/{found.at}",
        )  # fmt: skip
        uses = transparency.uses(found, keys)
        shown = [dict(each) for each in UseOut(uses, many=True).data]  # type: ignore[arg-type]
        if question["path"]:
            for use, answer in zip(uses, shown, strict=True):
                way = transparency.evidence(use.model_version, dataset)
                answer["path"] = StepOut(way, many=True).data
        pending = PendingOut(transparency.pending()).data
        return Response(
            {"results": shown, "total": len(found.keys), "next": following,
             "truncated": transparency.any_cut(), "pending": pending}
        )  # fmt: skip


class DatasetsIn(APIView):
    """Which data made this model version."""

    scopes = {"GET": Scope.AUDIT_READ}

    @extend_schema(parameters=[InstantQuestion], responses=MaterialsOut)
    def get(self, request: Request, model_version: UUID) -> Response:
        """Answer from the frozen provenance, or as the graph stood at an instant."""
        asked = InstantQuestion(data=request.query_params)
        asked.is_valid(raise_exception=True)
        as_of = asked.validated_data.get("as_of")
        made = transparency.model_version(model_version)
        frozen = getattr(made, "provenance", None)
        materials = [
            {"id": each.uuid, "namespace": each.namespace, "name": each.name,
             "certainty": certainty}
            for each, certainty in transparency.datasets_in(made, as_of=as_of)
        ]  # fmt: skip
        answer = {
            "model_version": made, "truncated": bool(frozen and frozen.truncated),
            "results": materials, "pending": transparency.pending(),
        }  # fmt: skip
        return Response(MaterialsOut(answer).data)


class EventOut(serializers.ModelSerializer[InboxEvent]):
    """Where an event stands; its body is never shown here."""

    id = serializers.UUIDField(source="uuid")

    class Meta:
        model = InboxEvent
        fields = [
            "id", "state", "reason", "reason_code", "warnings", "received_at", "applied_at",
        ]  # fmt: skip


class EventState(APIView):
    """What became of an event that was sent."""

    scopes = {"GET": Scope.LINEAGE_WRITE}

    @extend_schema(responses=EventOut)
    def get(self, request: Request, event: UUID) -> Response:
        """Answer to the sender alone; another's event is not found."""
        return Response(EventOut(inbox.event_of(client=key_of(request).client, uuid=event)).data)
