"""Purposes and policies over REST; reading them needs no key."""

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance.api.authentication import PUBLIC
from governance.api.documents import ListIn, list_of, listed, operation, query_of
from governance.errors import NotFoundError
from governance.legal import LegalBasis, SpecialBasis
from governance.models import Purpose, Scope
from governance.selectors import rules as selectors
from governance.services import rules


class PurposeIn(serializers.Serializer[Any]):
    """A purpose to create."""

    key = serializers.SlugField(max_length=50)
    title = serializers.CharField(max_length=200)
    dpv_iri = serializers.CharField(
        max_length=200,
        help_text="the whole address of what is meant, in the W3C's DPV or beside it",
    )
    legal_basis = serializers.ChoiceField(choices=LegalBasis.choices)
    special_basis = serializers.ChoiceField(
        choices=SpecialBasis.choices, required=False,
        help_text="the letter of Art. 9(2) by which special categories may be used without a yes",
    )  # fmt: skip
    parent = serializers.SlugField(  # type: ignore[assignment]
        default=None, allow_null=True, help_text="the key of the purpose that this one is part of"
    )

    def validate_parent(self, key: str | None) -> Purpose | None:
        """Find the parent by its key."""
        try:
            return None if key is None else selectors.purpose(key)
        except NotFoundError as error:
            raise serializers.ValidationError(error.message) from None


class PurposeOut(serializers.Serializer[Any]):
    """A purpose; `parent` is the key of what it is part of."""

    uuid = serializers.UUIDField()
    key = serializers.CharField()
    title = serializers.CharField()
    dpv_iri = serializers.CharField()
    legal_basis = serializers.ChoiceField(choices=LegalBasis.choices)
    special_basis = serializers.CharField()
    parent = serializers.CharField(  # type: ignore[assignment]
        source="parent.key", allow_null=True, default=None
    )
    created_at = serializers.DateTimeField()


class PolicyIn(serializers.Serializer[Any]):
    """The text of a draft."""

    key = serializers.SlugField(max_length=50)
    title = serializers.CharField(max_length=200)
    text = serializers.CharField(max_length=200_000, trim_whitespace=False)
    rules = serializers.DictField(default=dict)


class PolicyVersionOut(serializers.Serializer[Any]):
    """One text of a policy."""

    uuid = serializers.UUIDField()
    policy = serializers.CharField(source="policy.key")
    number = serializers.IntegerField()
    title = serializers.CharField()
    text = serializers.CharField()
    rules = serializers.DictField()
    published_at = serializers.DateTimeField(allow_null=True)


class PolicyOut(serializers.Serializer[Any]):
    """A policy with its published texts."""

    uuid = serializers.UUIDField()
    key = serializers.CharField()
    versions = PolicyVersionOut(
        source="versions.all", many=True, help_text="published ones, the newest first"
    )


class Purposes(APIView):
    """What data may be used for."""

    scopes = {"GET": PUBLIC, "POST": Scope.REGISTRY_WRITE}

    @operation("purposes", list_of(PurposeOut), query=ListIn, public=True)
    def get(self, request: Request) -> Response:
        """List purposes."""
        return listed(selectors.purposes(), query_of(request, ListIn), PurposeOut)

    @operation("create_purpose", PurposeOut, body=PurposeIn, upsert=True)
    def post(self, request: Request) -> Response:
        """Create a purpose; the same facts again are answered with the first one."""
        body = PurposeIn(data=request.data)
        body.is_valid(raise_exception=True)
        made = rules.create_purpose(**body.validated_data)
        return Response(PurposeOut(made.thing).data, status=201 if made.created else 200)


class Policies(APIView):
    """Rules that people can read."""

    scopes = {"GET": PUBLIC, "POST": Scope.REGISTRY_WRITE}

    @operation("policies", list_of(PolicyOut), query=ListIn, public=True)
    def get(self, request: Request) -> Response:
        """List policies with their published versions."""
        return listed(selectors.published_policies(), query_of(request, ListIn), PolicyOut)

    @operation("draft_policy", PolicyVersionOut, body=PolicyIn)
    def post(self, request: Request) -> Response:
        """Write the next version of a policy, or rewrite its draft."""
        body = PolicyIn(data=request.data)
        body.is_valid(raise_exception=True)
        return Response(PolicyVersionOut(rules.draft_policy(**body.validated_data)).data)


class Policy(APIView):
    """One policy."""

    scopes = {"GET": PUBLIC}

    @operation("policy", PolicyOut, public=True)
    def get(self, request: Request, key: str) -> Response:
        """Show one policy with its published versions."""
        return Response(PolicyOut(selectors.published_policy(key)).data)


class PolicyPublication(APIView):
    """The moment from which a version can no longer change."""

    scopes = {"POST": Scope.REGISTRY_WRITE}

    @operation("publish_policy", PolicyVersionOut)
    def post(self, request: Request, key: str) -> Response:
        """Publish the draft of a policy."""
        version = rules.publish_policy(policy=selectors.policy(key))
        return Response(PolicyVersionOut(version).data)
