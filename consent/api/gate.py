"""The gate over REST. No answer holds a list of people."""

from typing import Any
from uuid import UUID

from django.urls import path
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from consent.identifiers import MAX_LENGTH
from consent.models import GateDecision
from consent.selectors import gate as selectors
from consent.services import gate
from governance.api.authentication import key_of
from governance.api.documents import operation
from governance.errors import NotFoundError
from governance.models import Dataset, Purpose, Scope
from governance.selectors import registry, rules
from lineage.selectors.transparency import dataset_named

MOST_DATASETS = 100


@extend_schema_field(
    {
        "oneOf": [
            {"type": "string", "format": "uuid"},
            {
                "type": "object",
                "properties": {"namespace": {"type": "string"}, "name": {"type": "string"}},
                "required": ["namespace", "name"],
                "additionalProperties": False,
            },
        ]
    }
)
class DatasetField(serializers.Field[Dataset, Any, Any, Any]):
    """A data set by its uuid, or by its OpenLineage namespace and name."""

    default_error_messages = {
        "malformed": "This is neither a uuid nor an object with a namespace and a name.",
        "unknown": "There is no such data set.",
    }

    def to_internal_value(self, data: Any) -> Dataset:
        """Find the data set."""
        try:
            return _dataset(data)
        except NotFoundError:
            self.fail("unknown")
        except ValueError:
            self.fail("malformed")

    def to_representation(self, value: Dataset) -> str:
        """Return the public name."""
        return str(value.uuid)


class ModelName(serializers.Serializer[Any]):
    """The name of the model to be trained, as its run will say it; it need not exist yet."""

    namespace = serializers.CharField(max_length=1200, trim_whitespace=False)
    name = serializers.CharField(max_length=1200, trim_whitespace=False)


class GateIn(serializers.Serializer[Any]):
    """What is to be used, and for what."""

    datasets: Any = serializers.ListField(
        child=DatasetField(), min_length=1, max_length=MOST_DATASETS
    )
    purpose = serializers.CharField(max_length=50, help_text="the key of the purpose")
    mechanism = serializers.DictField(
        required=False, help_text="how the training protects people, as facts: never an epsilon"
    )
    model = ModelName(
        required=False, allow_null=True, help_text="which model it is for; any, if left out"
    )


class GateInputOut(serializers.Serializer[Any]):
    """A data set that was asked about, and its version at that moment."""

    uuid = serializers.UUIDField(source="dataset.uuid")
    namespace = serializers.CharField(source="dataset.namespace")
    name = serializers.CharField(source="dataset.name")
    version = serializers.UUIDField(source="version.uuid")


class GateOut(serializers.Serializer[Any]):
    """The gate's answer."""

    uuid = serializers.UUIDField()
    outcome = serializers.ChoiceField(choices=GateDecision.Outcome.choices)
    reasons: Any = serializers.ListField(
        child=serializers.ChoiceField(choices=GateDecision.Reason.choices)
    )
    purpose = serializers.CharField(source="purpose.key", allow_null=True, default=None)
    datasets = GateInputOut(source="inputs", many=True)
    policies: Any = serializers.ListField(
        child=serializers.CharField(), help_text="the versions of policies that ask for something"
    )
    excluded_count = serializers.IntegerField()
    model = serializers.SerializerMethodField()
    decided_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    token = serializers.SerializerMethodField(
        help_text="the same answer signed (JWS, EdDSA); the keys are at /.well-known/jwks.json"
    )

    @extend_schema_field(ModelName(allow_null=True))
    def get_model(self, decision: GateDecision) -> dict[str, str] | None:
        """Return the model's names, or nothing if none was named."""
        if not decision.model_name:
            return None
        return {"namespace": decision.model_namespace, "name": decision.model_name}

    def get_token(self, decision: GateDecision) -> str:
        """Sign the answer."""
        return gate.token_of(decision)


class PersonIn(serializers.Serializer[Any]):
    """A person whom the caller knows, and what is to be done with this person's data."""

    purpose = serializers.CharField(max_length=50, help_text="the key of the purpose")
    scheme = serializers.CharField(max_length=32)
    identifier = serializers.CharField(max_length=MAX_LENGTH, trim_whitespace=False)
    datasets: Any = serializers.ListField(
        child=DatasetField(),
        required=False,
        max_length=MOST_DATASETS,
        help_text="where the data is from: what they and what they come from ask for counts too",
    )
    mechanism = serializers.DictField(
        required=False, help_text="how the use protects people, as facts: never an epsilon"
    )


class PersonOut(serializers.Serializer[Any]):
    """Whether the data may be used; never why not."""

    permitted = serializers.BooleanField()


class GateDecisions(APIView):
    """Questions to the gate."""

    scopes = {"POST": Scope.GATE_ASK}

    @operation("ask_the_gate", GateOut, body=GateIn, upsert=True)
    def post(self, request: Request) -> Response:
        """Ask whether data sets may be used for a purpose; the answer is good for an hour."""
        body = GateIn(data=request.data)
        body.is_valid(raise_exception=True)
        client = key_of(request).client
        model = body.validated_data.get("model")
        decision = gate.decide(
            datasets=body.validated_data["datasets"],
            purpose=_purpose(body.validated_data["purpose"]),
            model=(model["namespace"], model["name"]) if model else None,
            mechanism=body.validated_data.get("mechanism"),
            client=client,
        )
        shown = selectors.decision_of(client=client, uuid=decision.uuid)
        return Response(GateOut(shown).data, status=201)


class GateAnswer(APIView):
    """One answer of the gate, for the client that asked."""

    scopes = {"GET": Scope.GATE_ASK}

    @operation("gate_decision", GateOut)
    def get(self, request: Request, uuid: UUID) -> Response:
        """Show the answer as it was given."""
        found = selectors.decision_of(client=key_of(request).client, uuid=uuid)
        return Response(GateOut(found).data)


class GateSubjects(APIView):
    """One person at a time, before something is done with this person's data."""

    scopes = {"POST": Scope.GATE_ASK}

    @operation("ask_the_gate_about_one_person", PersonOut, body=PersonIn)
    def post(self, request: Request) -> Response:
        """Ask whether one person's data may be used for a purpose now; it never says why not."""
        body = PersonIn(data=request.data)
        body.is_valid(raise_exception=True)
        permitted = gate.may(
            purpose=_purpose(body.validated_data["purpose"]),
            scheme=body.validated_data["scheme"],
            value=body.validated_data["identifier"],
            datasets=body.validated_data.get("datasets", ()),
            mechanism=body.validated_data.get("mechanism"),
        )
        return Response({"permitted": permitted})


def _dataset(said: Any) -> Dataset:
    match said:
        case str():
            return registry.dataset(UUID(said))
        case {"namespace": str(namespace), "name": str(name), **rest} if not rest:
            return dataset_named(namespace, name)
    raise ValueError("neither a uuid nor a name")


def _purpose(key: str) -> Purpose | None:
    try:
        return rules.purpose(key)
    except NotFoundError:
        return None


urlpatterns = [
    path("gate/decisions", GateDecisions.as_view()),
    path("gate/decisions/<uuid:uuid>", GateAnswer.as_view()),
    path("gate/subjects", GateSubjects.as_view()),
]
