"""Storages, data sets and models over REST."""

from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.api.authentication import key_of
from governance.api.documents import ListIn, list_of, listed, operation, query_of
from governance.errors import NotFoundError
from governance.models import Scope, Storage
from governance.selectors import registry as selectors
from governance.services import registry
from governance.services.clients import require_namespace


class StorageIn(serializers.Serializer[Any]):
    """A storage to register."""

    name = serializers.CharField(max_length=200)
    kind = serializers.ChoiceField(choices=Storage.Kind.choices)
    address = serializers.CharField(
        max_length=4000, write_only=True, help_text="kept sealed, never shown again"
    )
    enabled = serializers.BooleanField(default=True)


class StorageOut(serializers.Serializer[Any]):
    """A storage, without its address."""

    uuid = serializers.UUIDField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=Storage.Kind.choices)
    enabled = serializers.BooleanField()
    created_at = serializers.DateTimeField()


class DatasetIn(serializers.Serializer[Any]):
    """The facts of a data set; what is left out is empty."""

    namespace = serializers.CharField(trim_whitespace=False)
    name = serializers.CharField(trim_whitespace=False)
    description = serializers.CharField(max_length=10_000, default="", allow_blank=True)
    categories = serializers.ListField(
        child=serializers.CharField(max_length=200), max_length=100, default=list
    )
    storage = serializers.CharField(
        max_length=200, default=None, allow_null=True, help_text="the name of a storage"
    )
    location = serializers.CharField(max_length=2000, default="", allow_blank=True)
    subject_column = serializers.CharField(max_length=200, default="", allow_blank=True)
    subject_scheme = serializers.CharField(max_length=200, default="", allow_blank=True)
    erasure_options = serializers.DictField(
        default=dict, help_text="what the storage's kind lets its owner choose, such as masks"
    )

    def validate_storage(self, name: str | None) -> Storage | None:
        """Find the storage by its name."""
        try:
            return None if name is None else selectors.storage_named(name)
        except NotFoundError as error:
            raise serializers.ValidationError(error.message) from None


class DatasetOut(serializers.Serializer[Any]):
    """A data set."""

    uuid = serializers.UUIDField()
    namespace = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField()
    categories = serializers.ListField(child=serializers.CharField())
    storage = serializers.CharField(source="storage.name", allow_null=True, default=None)
    location = serializers.CharField()
    subject_column = serializers.CharField()
    subject_scheme = serializers.CharField()
    erasure_options = serializers.DictField()
    registered_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


class DatasetsIn(ListIn):
    """Which data sets to list."""

    namespace = serializers.CharField(required=False)
    name = serializers.CharField(required=False)


class ModelIn(serializers.Serializer[Any]):
    """A model to register, by the name of its data set."""

    namespace = serializers.CharField(trim_whitespace=False)
    name = serializers.CharField(trim_whitespace=False)
    description = serializers.CharField(max_length=10_000, default="", allow_blank=True)


class ModelOut(serializers.Serializer[Any]):
    """A model and the data set that its versions are written to."""

    uuid = serializers.UUIDField()
    dataset = serializers.UUIDField(source="dataset.uuid")
    namespace = serializers.CharField(source="dataset.namespace")
    name = serializers.CharField(source="dataset.name")
    description = serializers.CharField()
    created_at = serializers.DateTimeField()


def status_of(registered: registry.Registered[Any]) -> int:
    """Return 201 for what came into being, 200 for what was there."""
    return 201 if registered.created else 200


class Storages(APIView):
    """Where data sets lie."""

    scopes = {"GET": Scope.REGISTRY_READ, "POST": Scope.REGISTRY_WRITE}

    @operation("storages", list_of(StorageOut), query=ListIn)
    def get(self, request: Request) -> Response:
        """List storages, without their addresses."""
        return listed(selectors.storages(), query_of(request, ListIn), StorageOut)

    @operation("register_storage", StorageOut, body=StorageIn, upsert=True)
    def post(self, request: Request) -> Response:
        """Register a storage, or give the one of this name a new address."""
        body = StorageIn(data=request.data)
        body.is_valid(raise_exception=True)
        registered = registry.register_storage(**body.validated_data)
        return Response(StorageOut(registered.thing).data, status=status_of(registered))


class Datasets(APIView):
    """Named collections."""

    scopes = {"GET": Scope.REGISTRY_READ, "POST": Scope.REGISTRY_WRITE}

    @operation("datasets", list_of(DatasetOut), query=DatasetsIn)
    def get(self, request: Request) -> Response:
        """List data sets; of one namespace or name where given."""
        asked = query_of(request, DatasetsIn)
        named = {each: asked[each] for each in ("namespace", "name") if each in asked}
        return listed(selectors.datasets(**named), asked, DatasetOut)

    @operation("register_dataset", DatasetOut, body=DatasetIn, upsert=True)
    def post(self, request: Request) -> Response:
        """Register a data set, or state all its facts anew."""
        body = DatasetIn(data=request.data)
        body.is_valid(raise_exception=True)
        require_namespace(key_of(request), body.validated_data["namespace"])
        registered = registry.register_dataset(**body.validated_data)
        return Response(DatasetOut(registered.thing).data, status=status_of(registered))


class Dataset(APIView):
    """One data set."""

    scopes = {"GET": Scope.REGISTRY_READ}

    @operation("dataset", DatasetOut)
    def get(self, request: Request, uuid: UUID) -> Response:
        """Show one data set."""
        return Response(DatasetOut(selectors.dataset(uuid)).data)


class Models(APIView):
    """Things that training produces."""

    scopes = {"GET": Scope.REGISTRY_READ, "POST": Scope.REGISTRY_WRITE}

    @operation("models", list_of(ModelOut), query=ListIn)
    def get(self, request: Request) -> Response:
        """List models."""
        return listed(selectors.models(), query_of(request, ListIn), ModelOut)

    @operation("register_model", ModelOut, body=ModelIn, upsert=True)
    def post(self, request: Request) -> Response:
        """Register a model, and the data set that its versions are written to."""
        body = ModelIn(data=request.data)
        body.is_valid(raise_exception=True)
        require_namespace(key_of(request), body.validated_data["namespace"])
        registered = registry.register_model(**body.validated_data)
        return Response(ModelOut(registered.thing).data, status=status_of(registered))


class Model(APIView):
    """One model."""

    scopes = {"GET": Scope.REGISTRY_READ}

    @operation("model", ModelOut)
    def get(self, request: Request, uuid: UUID) -> Response:
        """Show one model."""
        return Response(ModelOut(selectors.model(uuid)).data)
