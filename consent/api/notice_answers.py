"""Where recipients answer: signed by their secret, at an address that nobody can guess."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.urls import path
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

from consent.models import RecipientNotice
from consent.selectors import recipients as selectors
from consent.services import notifying
from governance.api import problems
from governance.errors import BodyTooLargeError
from governance.strictjson import loads
from lineage import signatures
from lineage.signatures import Verifier


@csrf_exempt
def answers(request: HttpRequest, uuid: UUID, token: str) -> HttpResponse:
    """Keep an answer: ``{"status": "accepted" | "done" | "refused", "reason"}``; 204.

    It is signed as the message was (Standard Webhooks 1.0). Of an unknown notice, a wrong token
    and a wrong signature the answer is the same.
    """
    if request.method != "POST":
        return problems.problem(405, "method_not_allowed", "send a POST", {"Allow": "POST"})
    try:
        raw = request.read(notifying.MOST_ANSWER + 1)
        if len(raw) > notifying.MOST_ANSWER:
            raise BodyTooLargeError("the answer is too long", limit=notifying.MOST_ANSWER)
        notice = _recognised(request, uuid, token, raw)
        notifying.answered(notice=notice, said=loads(raw))
    except UnreadablePostError:
        return problems.problem(400, "body_unreadable", "the body broke off: send it again")
    except Exception as error:
        answer = problems.handle(error)
        if answer is None:
            raise
        return answer
    return HttpResponse(status=204)


def _recognised(request: HttpRequest, uuid: UUID, token: str, raw: bytes) -> RecipientNotice:
    claim = signatures.claim_of(
        request.headers.get("webhook-id", ""),
        request.headers.get("webhook-timestamp", ""),
        request.headers.get("webhook-signature", ""),
        now=timezone.now().timestamp(),
    )
    found = RecipientNotice.objects.select_related("recipient").filter(uuid=uuid).first()
    fits = found is not None and selectors.answer_token_fits(uuid, token)
    keys = selectors.secrets_of(found.recipient) if found and fits else []
    signatures.check(claim, raw, [Verifier("v1", key) for key in keys])
    assert found is not None  # without it there is no key
    return found


urlpatterns = [path("notices/<uuid:uuid>/answers/<str:token>", answers)]
