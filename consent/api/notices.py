"""The texts that people see before they decide, over REST."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from consent.models import NoticeVersion
from consent.models.decisions import LANGUAGE
from consent.selectors import notices as selectors
from consent.services import notices
from governance.api.authentication import PUBLIC
from governance.api.documents import ListIn, list_of, listed, operation, query_of
from governance.errors import NotFoundError
from governance.models import Purpose, Scope
from governance.selectors import rules


class NoticeIn(serializers.Serializer[Any]):
    """The draft of a text."""

    key = serializers.SlugField(max_length=50)
    language = serializers.RegexField(LANGUAGE, max_length=35, help_text="BCP 47, such as `en`")
    title = serializers.CharField(max_length=200)
    text = serializers.CharField(max_length=200_000, trim_whitespace=False)
    purposes: Any = serializers.ListField(
        child=serializers.SlugField(max_length=50), min_length=1, max_length=100,
        help_text="the keys of the purposes that the text names",
    )  # fmt: skip

    def validate_purposes(self, keys: Sequence[str]) -> list[Purpose]:
        """Find the purposes by their keys."""
        try:
            return [rules.purpose(key) for key in keys]
        except NotFoundError as error:
            raise serializers.ValidationError(error.message) from None


class NoticeOut(serializers.Serializer[Any]):
    """One version of a text."""

    uuid = serializers.UUIDField()
    key = serializers.CharField(source="notice.key")
    number = serializers.IntegerField()
    language = serializers.CharField()
    title = serializers.CharField()
    text = serializers.CharField()
    purposes = serializers.SerializerMethodField()
    published_at = serializers.DateTimeField(allow_null=True)

    def get_purposes(self, version: NoticeVersion) -> list[str]:
        """Return the keys of the purposes."""
        return sorted(each.key for each in version.purposes.all())


class Notices(APIView):
    """What people were told."""

    scopes = {"GET": PUBLIC, "POST": Scope.REGISTRY_WRITE}

    @operation("notices", list_of(NoticeOut), query=ListIn, public=True)
    def get(self, request: Request) -> Response:
        """List published texts."""
        return listed(selectors.published(), query_of(request, ListIn), NoticeOut)

    @operation("draft_notice", NoticeOut, body=NoticeIn)
    def post(self, request: Request) -> Response:
        """Write the next version of a notice in one language, or rewrite its draft."""
        body = NoticeIn(data=request.data)
        body.is_valid(raise_exception=True)
        return Response(NoticeOut(notices.draft(**body.validated_data)).data)


class NoticePublication(APIView):
    """The moment from which a text can no longer change."""

    scopes = {"POST": Scope.REGISTRY_WRITE}

    @operation("publish_notice", NoticeOut)
    def post(self, request: Request, uuid: UUID) -> Response:
        """Publish a draft; publishing it again changes nothing."""
        return Response(NoticeOut(notices.publish(uuid=uuid)).data)


urlpatterns = [
    path("notices", Notices.as_view()),
    path("notices/<uuid:uuid>/publish", NoticePublication.as_view()),
]
