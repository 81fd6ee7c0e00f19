"""Tell recipients of a request (Art. 19 GDPR), and keep what they answer.

Who the person is leaves here in the message alone. The message is put together at each attempt
from what is sealed under the person's own key, so there is no second copy to destroy; forgetting
waits until nobody is left to be told. At least once, under one id: whoever acted and answered too
late is told again, and recognises it.
"""

import json
from datetime import UTC
from typing import Any, ClassVar
from uuid import UUID

import httpx
from django.conf import settings
from django.db import transaction
from django.db.models.functions import Coalesce, Now
from django.utils import timezone

from consent.measures import LEGAL_GROUNDS
from consent.models import (
    NoticeAnswer,
    RecipientNotice,
    RequestKind,
    RequestSource,
    RightsRequest,
    Subject,
)
from consent.selectors import recipients as known
from consent.selectors import subjects
from consent.selectors.persons import rows_of
from consent.selectors.request_texts import details_of
from consent.services.telling import record
from governance import outbound
from governance.errors import ColophonError
from governance.models import ApiClient, Dataset, Model
from governance.outbound import Answer
from governance.services.delivering import SCHEDULE, claim, pause_after
from governance.strictjson import MalformedJSONError, loads

TIMEOUT = httpx.Timeout(15.0, connect=5.0)
MOST_ANSWER = 64 * 1024
TOLD_OF = frozenset({RequestKind.ERASURE, RequestKind.RECTIFICATION, RequestKind.RESTRICTION})
REFUSALS = (*LEGAL_GROUNDS, "person_not_identified", "own_obligation")
"""Why a recipient may refuse; a closed list, so that no answer brings an identifier back."""

Answered = NoticeAnswer.Answer
OWN = (Answered.ACCEPTED, Answered.DONE, Answered.REFUSED)
BY_OPERATOR = (Answered.IMPOSSIBLE, Answered.DISPROPORTIONATE)


class AnswerUnusableError(ColophonError):
    """The answer says none of what can be said."""

    code: ClassVar[str] = "answer_unusable"
    status: ClassVar[int] = 422


class NoticeEndedError(ColophonError):
    """The notice was answered or settled already, in another way."""

    code: ClassVar[str] = "notice_ended"
    status: ClassVar[int] = 409


class NoticeNotGivenUpError(ColophonError):
    """It has arrived, or it is still being tried by itself."""

    code: ClassVar[str] = "notice_not_given_up"
    status: ClassVar[int] = 409


class _CannotTellError(Exception):
    """There is nothing to send as things are; the code says why."""


def open_for(*requests: RightsRequest) -> int:
    """Open a notice for each recipient in scope of requests that has none; return how many.

    It belongs into the caller's transaction. Who received a model only is told of the model; as
    soon as they turn out to hold the person's data, they are told of the person as well. Once the
    person is forgotten nobody can be named any more, and who becomes known as a recipient then is
    told of models only. Nobody is told before it is known that it was the person who asked, and
    that the plan is approved. Of data that merely came back they were told before.
    """
    if not known.anybody():
        return 0
    return sum(_open_for(each) for each in requests)


def _open_for(request: RightsRequest) -> int:
    waits = request.verified_at is None or request.steps.filter(released_at=None).exists()
    if request.kind not in TOLD_OF or waits:
        return 0
    nameable = request.forgotten_at is None and request.source != RequestSource.AUTOMATIC
    there = set(request.notices.values_list("recipient_id", "names_person"))
    opened = 0
    for recipient, scope in sorted(known.in_scope(request).items()):
        names = bool(scope.datasets) and nameable
        told = (recipient, names) in there or (recipient, True) in there
        if told or not (names or scope.models):
            continue
        notice, created = RecipientNotice.objects.get_or_create(
            request=request, recipient_id=recipient, names_person=names
        )
        if created:
            opened += 1
            record(request, "notice.opened", _facts(notice))
    return opened


def tell_of_lifting(request: RightsRequest) -> int:
    """Open a notice that a restriction has ended for whoever heard of it; return how many.

    It belongs into the caller's transaction. To whom nothing was sent yet is told neither: that
    somebody is restricted is not so any more. An attempt in vain may have arrived all the same,
    so whoever was tried is told, and after what is on its way to them.
    """
    asked = request.notices.filter(told_of=RecipientNotice.Of.REQUESTED)
    asked = asked.exclude(answers__answer__in=BY_OPERATOR).order_by("pk")
    held = list(asked.select_for_update(of=("self",)).select_related("recipient"))
    late = known.unanswered().filter(pk__in=[each.pk for each in held], delivered_at=None)
    late.update(
        lapsed_at=Now(), lapse=RecipientNotice.Lapse.OVERTAKEN,
        gave_up_at=Coalesce("gave_up_at", Now()),
    )  # fmt: skip
    if request.subject.erased_at is not None:
        return 0  # nobody can be named any more, and whoever had to was told of the erasure
    tried = [each for each in held if each.token]
    for each in tried:
        notice = request.notices.create(
            recipient=each.recipient, names_person=each.names_person,
            told_of=RecipientNotice.Of.LIFTED, retry_at=each.lease_until or Now(),
        )  # fmt: skip
        record(request, "notice.opened", _facts(notice))
    return len(tried)


def deliver(*, notice_id: int) -> bool:
    """Send one notice if it is due and free; return whether it arrived."""
    token = claim(RecipientNotice, notice_id)
    if token is None:
        return False
    found = RecipientNotice.objects.select_related("recipient", "request__subject")
    notice = found.get(pk=notice_id)
    try:
        body = _message(notice)
    except _CannotTellError as error:
        _give_up(notice, token, str(error))
        return False
    headers = outbound.signed(
        body, message_id=str(notice.uuid), keys=known.secrets_of(notice.recipient)
    )
    answer = outbound.post(
        known.url_of(notice.recipient), body, headers, timeout=TIMEOUT, read=MOST_ANSWER,
        private=settings.COLOPHON_PRIVATE_WEBHOOKS,
    )  # fmt: skip
    _finish(notice, token, answer)
    return answer.arrived


def answered(*, notice: RecipientNotice, said: Any) -> None:
    """Keep what a recipient says: ``{"status": "accepted" | "done" | "refused", "reason"?}``.

    Saying it again changes nothing. Raises `AnswerUnusableError` and `NoticeEndedError`.
    """
    status, code = _read(said)
    _keep(notice, status, code=code)


def settle(*, notice: RecipientNotice, answer: str, reason: str, by: ApiClient | str) -> None:
    """Settle what cannot be answered, on the word of a client or of a colleague at the desk.

    Raises `NoticeEndedError`.
    """
    if answer not in BY_OPERATOR:
        raise AnswerUnusableError("an operator settles what is impossible or disproportionate")
    _keep(notice, Answered(answer), reason=reason, by=by)


@transaction.atomic
def retry(*, notice: RecipientNotice) -> None:
    """Try what was given up once more, from the beginning. Raises `NoticeNotGivenUpError`."""
    found = RecipientNotice.objects.filter(pk=notice.pk)
    found.select_for_update().get()
    if known.notice(notice.uuid).state is not known.NoticeState.GIVEN_UP:
        raise NoticeNotGivenUpError("only what was given up can be sent again")
    found.update(gave_up_at=None, attempt=0, retry_at=Now())


@transaction.atomic
def _keep(
    notice: RecipientNotice,
    answer: NoticeAnswer.Answer,
    *,
    code: str = "",
    reason: str = "",
    by: ApiClient | str = "",
) -> None:
    held = RecipientNotice.objects.select_for_update().select_related("request").get(pk=notice.pk)
    there = list(held.answers.order_by("pk"))
    if any(each.answer == answer and each.code == code for each in there):
        return
    ended = [each for each in there if each.answer != Answered.ACCEPTED]
    if ended and answer == Answered.ACCEPTED:
        return  # it was overtaken by what was done
    if ended:
        raise NoticeEndedError("the notice was answered or settled already")
    whose: dict[str, Any] = {"by_staff": by} if isinstance(by, str) else {"by": by}
    NoticeAnswer.objects.create(notice=held, answer=answer, code=code, reason=reason, **whose)
    if by:
        unsent = RecipientNotice.objects.filter(pk=held.pk, delivered_at=None)
        unsent.update(gave_up_at=timezone.now(), last_code=answer)
    facts = {**_facts(held), "answer": answer.value, "code": code}
    record(held.request, "notice.answered", facts)


def _read(said: Any) -> tuple[NoticeAnswer.Answer, str]:
    status = said.get("status") if isinstance(said, dict) else None
    if not isinstance(status, str) or status not in OWN:
        raise AnswerUnusableError("the status is accepted, done or refused")
    if status != Answered.REFUSED:
        return Answered(status), ""
    reason = said.get("reason")
    if not isinstance(reason, str) or reason not in REFUSALS:
        raise AnswerUnusableError(f"a refusal's reason is one of {', '.join(REFUSALS)}")
    return Answered.REFUSED, reason


def _message(notice: RecipientNotice) -> bytes:
    """Put together what is told. The request's own name stays here: it leads to its page."""
    if notice.recipient.ended_at is not None:
        raise _CannotTellError("recipient_ended")
    scope = known.in_scope(notice.request).get(notice.recipient_id) or known.Scope()
    datasets = Dataset.objects.filter(pk__in=scope.datasets).order_by("namespace", "name")
    models = Model.objects.filter(pk__in=scope.models).select_related("dataset")
    told = {
        "notice": str(notice.uuid),
        "law": "GDPR Art. 19",
        "asked": notice.request.kind,
        "identifiers": _identifiers(notice) if notice.names_person else [],
        "details": details_of(notice.request) if notice.names_person else [],
        "datasets": [_name(each) for each in datasets] if notice.names_person else [],
        "models": [
            {**_name(each.dataset), "versions": _versions(notice.request, each)}
            for each in models.order_by("dataset__namespace", "dataset__name")
        ],
        "answer_to": answer_address(notice.uuid),
    }
    said = {
        "type": f"{notice.request.kind}.{notice.told_of}",
        "timestamp": notice.opened_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "data": told,
    }
    return json.dumps(said, separators=(",", ":")).encode()


def answer_address(notice: UUID) -> str:
    """Return where a recipient's signed answer to a notice goes."""
    path = f"/api/v1/notices/{notice}/answers/{known.answer_token(notice)}"
    return f"{settings.PUBLIC_URL.rstrip('/')}{path}"


def _identifiers(notice: RecipientNotice) -> list[dict[str, str]]:
    """Unseal the identifiers, on all rows of the person, by which the recipient knows people."""
    wanted = notice.recipient.scheme
    found = []
    for row in Subject.objects.filter(pk__in=rows_of(notice.request.subject)).order_by("pk"):
        try:
            kept = subjects.clear_identifiers(row)
        except (subjects.SubjectErasedError, subjects.SubjectUnregisteredError):
            continue
        found += [{"scheme": scheme, "value": value} for scheme, value in kept if scheme == wanted]
    if not found:
        raise _CannotTellError("identifier_missing")
    return found


def _versions(request: RightsRequest, model: Model) -> list[str]:
    affected = request.remediations.filter(model_version__model=model)
    named = affected.values_list("model_version__version__declared", "model_version__uuid")
    return sorted(declared or str(uuid) for declared, uuid in named)


def _name(dataset: Dataset) -> dict[str, str]:
    return {"namespace": dataset.namespace, "name": dataset.name}


@transaction.atomic
def _finish(notice: RecipientNotice, token: int, answer: Answer) -> None:
    """Note how it went, if nobody has taken it over since, and what was answered."""
    ours = RecipientNotice.objects.filter(pk=notice.pk, token=token, delivered_at=None)
    noted = {"lease_until": None, "last_status": answer.status, "last_code": answer.code}
    if not answer.arrived:
        if notice.attempt > len(SCHEDULE) or answer.status == outbound.GONE:
            ours.filter(gave_up_at=None).update(**noted, gave_up_at=Now())
        else:
            ours.update(**noted, retry_at=Now() + pause_after(notice.attempt, answer))
        return
    if not ours.update(**noted, delivered_at=Now(), gave_up_at=None):
        return
    record(notice.request, "notice.delivered", _facts(notice))
    try:
        said = loads(answer.body) if answer.body.strip() else None
        if said is not None:
            answered(notice=notice, said=said)
    except (MalformedJSONError, AnswerUnusableError, NoticeEndedError) as error:
        ours = RecipientNotice.objects.filter(pk=notice.pk)
        ours.update(last_code=error.code)


def _give_up(notice: RecipientNotice, token: int, code: str) -> None:
    ours = RecipientNotice.objects.filter(pk=notice.pk, token=token, delivered_at=None)
    ours.update(lease_until=None, last_status=None, last_code=code, gave_up_at=Now())


def _facts(notice: RecipientNotice) -> dict[str, str]:
    return {
        "notice": str(notice.uuid), "recipient": str(notice.recipient.uuid),
        "told_of": notice.told_of,
    }  # fmt: skip
