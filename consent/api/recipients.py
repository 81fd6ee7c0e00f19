"""Who received data and models, and what they were told of requests, over REST."""

from typing import Any
from uuid import UUID

from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from consent.api.gate import DatasetField
from consent.models import NoticeAnswer, Recipient, RecipientNotice
from consent.selectors import recipients as selectors
from consent.services import notifying, recipients
from governance import pages
from governance.api.authentication import key_of
from governance.api.documents import ListIn, list_of, listed, operation, query_of
from governance.models import Dataset, Model, Scope

MOST_RECEIVED = 1_000


class RecipientIn(serializers.Serializer[Any]):
    """A recipient, and what they received."""

    name = serializers.CharField(max_length=200, help_text="people are shown it")
    url = serializers.CharField(max_length=2000, help_text="https; it is never shown again")
    scheme = serializers.CharField(
        max_length=32, help_text="the kind of identifier by which they know people, as `email`"
    )
    datasets: Any = serializers.ListField(
        child=DatasetField(), required=False, default=list, max_length=MOST_RECEIVED
    )
    models: Any = serializers.ListField(
        child=DatasetField(), required=False, default=list, max_length=MOST_RECEIVED,
        help_text="models, each by the data set that its versions are written to",
    )  # fmt: skip

    def validate_models(self, said: list[Dataset]) -> list[Model]:
        """Find the models of these names."""
        found = Model.objects.filter(dataset__in=said)
        if len(found) != len({each.pk for each in said}):
            raise serializers.ValidationError("One of these is no model.")
        return list(found)


class RecipientOut(serializers.Serializer[Recipient]):
    """A recipient, without the address and the secret."""

    uuid = serializers.UUIDField()
    name = serializers.CharField()
    host = serializers.CharField()
    scheme = serializers.CharField()
    created_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    datasets: Any = serializers.SerializerMethodField()
    models: Any = serializers.SerializerMethodField()

    def get_datasets(self, recipient: Recipient) -> list[UUID]:
        """Return the data sets that were received."""
        received = recipient.disclosures.all()
        return sorted(each.dataset.uuid for each in received if each.dataset is not None)

    def get_models(self, recipient: Recipient) -> list[UUID]:
        """Return the models that were received."""
        received = recipient.disclosures.all()
        return sorted(each.model.uuid for each in received if each.model is not None)


class RecipientSecretOut(RecipientOut):
    """A recipient; where the secret is new it is shown, this once."""

    secret = serializers.CharField(allow_blank=True, help_text="`whsec_` and base64, or empty")


class RecipientNoticesIn(ListIn):
    """Which notices to list."""

    request = serializers.UUIDField(required=False)
    state = serializers.ChoiceField(choices=["open", "any"], default="open")


class RecipientNoticeOut(serializers.Serializer[selectors.Notified]):
    """What a recipient was told of, and what they answered. Nobody is named."""

    uuid = serializers.UUIDField(source="notice.uuid", help_text="the `webhook-id`")
    request = serializers.UUIDField(source="notice.request.uuid")
    recipient = serializers.UUIDField(source="notice.recipient.uuid")
    name = serializers.CharField(source="notice.recipient.name")
    names_person = serializers.BooleanField(source="notice.names_person")
    told_of = serializers.ChoiceField(
        choices=RecipientNotice.Of.choices, source="notice.told_of", help_text="what is told"
    )
    state = serializers.ChoiceField(choices=[each.value for each in selectors.NoticeState])
    opened_at = serializers.DateTimeField(source="notice.opened_at")
    attempt = serializers.IntegerField(source="notice.attempt")
    retry_at = serializers.DateTimeField(source="notice.retry_at")
    last_status = serializers.IntegerField(source="notice.last_status", allow_null=True)
    last_code = serializers.CharField(source="notice.last_code")
    delivered_at = serializers.DateTimeField(source="notice.delivered_at", allow_null=True)
    gave_up_at = serializers.DateTimeField(source="notice.gave_up_at", allow_null=True)
    answer = serializers.ChoiceField(
        choices=NoticeAnswer.Answer.choices, source="answer.answer", allow_null=True, default=None
    )
    code = serializers.CharField(source="answer.code", default="")
    reason = serializers.CharField(source="answer.reason", default="")
    answered_at = serializers.DateTimeField(source="answer.at", allow_null=True, default=None)
    lapse = serializers.ChoiceField(
        choices=["", *RecipientNotice.Lapse.values], source="notice.lapse",
        help_text="how it ended without an answer",
    )  # fmt: skip
    lapsed_at = serializers.DateTimeField(source="notice.lapsed_at", allow_null=True)


class SettlementIn(serializers.Serializer[Any]):
    """How an operator settles what cannot be answered, and why."""

    answer = serializers.ChoiceField(choices=[each.value for each in notifying.BY_OPERATOR])
    reason = serializers.CharField(max_length=2000)


class Recipients(APIView):
    """Who received data and models."""

    scopes = {"GET": Scope.REGISTRY_READ, "POST": Scope.REGISTRY_WRITE}

    @operation("recipients", list_of(RecipientOut), query=ListIn)
    def get(self, request: Request) -> Response:
        """List them, the ended ones too."""
        return listed(selectors.recipients(), query_of(request, ListIn), RecipientOut)

    @operation("register_recipient", RecipientSecretOut, body=RecipientIn, upsert=True)
    def post(self, request: Request) -> Response:
        """Register one, or state the facts anew; what was received only grows."""
        body = RecipientIn(data=request.data)
        body.is_valid(raise_exception=True)
        made = recipients.register(**body.validated_data)
        return Response(_with_secret(made), status=201 if made.created else 200)


class RecipientOne(APIView):
    """One recipient."""

    scopes = {"GET": Scope.REGISTRY_READ, "DELETE": Scope.REGISTRY_WRITE}

    @operation("recipient", RecipientOut)
    def get(self, request: Request, uuid: UUID) -> Response:
        """Show one."""
        return Response(RecipientOut(selectors.recipient(uuid)).data)

    @operation("end_recipient", RecipientOut)
    def delete(self, request: Request, uuid: UUID) -> Response:
        """Send nothing there any more; what they received stays on record."""
        recipients.end(recipient=selectors.recipient(uuid))
        return Response(RecipientOut(selectors.recipient(uuid)).data)


class RecipientSecrets(APIView):
    """What messages to a recipient, and the answers, are signed with."""

    scopes = {"POST": Scope.REGISTRY_WRITE}

    @operation("renew_recipient_secret", RecipientSecretOut)
    def post(self, request: Request, uuid: UUID) -> Response:
        """Make a new secret; for a day the one before is good as well."""
        return Response(_with_secret(recipients.renew_secret(recipient=selectors.recipient(uuid))))


class Notices(APIView):
    """What recipients are told."""

    scopes = {"GET": Scope.REQUESTS_READ}

    @operation("notices_to_recipients", list_of(RecipientNoticeOut), query=RecipientNoticesIn)
    def get(self, request: Request) -> Response:
        """List those that have not ended, or all; of one request where it is given."""
        asked = query_of(request, RecipientNoticesIn)
        found = selectors.notices(request=asked.get("request"), open_only=asked["state"] == "open")
        page = pages.page(found, cursor=asked.get("cursor"), limit=asked["limit"])
        shown = RecipientNoticeOut(selectors.notified(page.results), many=True)  # type: ignore[arg-type]
        return Response({"results": shown.data, "next": page.next})


class NoticeSettlement(APIView):
    """What cannot be answered."""

    scopes = {"POST": Scope.REQUESTS_WRITE}

    @operation("settle_notice", RecipientNoticeOut, body=SettlementIn)
    def post(self, request: Request, uuid: UUID) -> Response:
        """Settle it as impossible or disproportionate, with the reason."""
        body = SettlementIn(data=request.data)
        body.is_valid(raise_exception=True)
        found = selectors.notice(uuid).notice
        notifying.settle(notice=found, by=key_of(request).client, **body.validated_data)
        return Response(RecipientNoticeOut(selectors.notice(uuid)).data)


class NoticeRetry(APIView):
    """Another try for what was given up."""

    scopes = {"POST": Scope.REQUESTS_WRITE}

    @operation("retry_notice", RecipientNoticeOut)
    def post(self, request: Request, uuid: UUID) -> Response:
        """Send it again, from the first attempt on."""
        notifying.retry(notice=selectors.notice(uuid).notice)
        return Response(RecipientNoticeOut(selectors.notice(uuid)).data)


def _with_secret(made: recipients.Registered) -> dict[str, Any]:
    shown = RecipientOut(selectors.recipient(made.recipient.uuid)).data
    return {**shown, "secret": made.secret}


urlpatterns = [
    path("recipients", Recipients.as_view()),
    path("recipients/<uuid:uuid>", RecipientOne.as_view()),
    path("recipients/<uuid:uuid>/secret", RecipientSecrets.as_view()),
    path("recipients/notices", Notices.as_view()),
    path("recipients/notices/<uuid:uuid>/settlement", NoticeSettlement.as_view()),
    path("recipients/notices/<uuid:uuid>/retry", NoticeRetry.as_view()),
]
