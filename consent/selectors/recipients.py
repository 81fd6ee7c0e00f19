"""Who received data and models, who of them is to be told of a request, and what they answered."""

import hmac
from base64 import urlsafe_b64encode
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from django.conf import settings
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from consent.models import (
    Disclosure,
    ErasureStep,
    NoticeAnswer,
    Recipient,
    RecipientNotice,
    RightsRequest,
    Subject,
)
from consent.selectors import membership
from governance.crypto import keyed_digest
from governance.errors import NotFoundError
from governance.keys import organisation_key, secret_for
from lineage.models import DatasetVersion
from lineage.selectors.identities import called

Answer = NoticeAnswer.Answer
Lapse = RecipientNotice.Lapse


class NoticeState(StrEnum):
    """Where a notice stands."""

    WAITING = "waiting"
    GIVEN_UP = "given_up"
    DELIVERED = "delivered"
    ACCEPTED = "accepted"
    LAPSED = "lapsed"
    ENDED = "ended"


_LINES = {
    NoticeState.WAITING: "not told yet",
    NoticeState.GIVEN_UP: "could not be told",
    NoticeState.DELIVERED: "told, has not answered",
    NoticeState.ACCEPTED: "accepted, not done yet",
}


@dataclass(frozen=True, slots=True)
class Notified:
    """A notice and what was answered last."""

    notice: RecipientNotice
    answer: NoticeAnswer | None

    @property
    def state(self) -> NoticeState:
        """Return where it stands; only an end closes it, or that the time for one ran out."""
        if self.answer is not None and self.answer.answer != Answer.ACCEPTED:
            return NoticeState.ENDED
        if self.notice.lapsed_at is not None:
            return NoticeState.LAPSED
        if self.answer is not None:
            return NoticeState.ACCEPTED
        if self.notice.delivered_at:
            return NoticeState.DELIVERED
        return NoticeState.GIVEN_UP if self.notice.gave_up_at else NoticeState.WAITING

    @property
    def outstanding(self) -> str:
        """Say what is missing, in a line; nothing once nobody waits for it."""
        if self.state in (NoticeState.ENDED, NoticeState.LAPSED):
            return ""
        why = self._why if self.state is NoticeState.GIVEN_UP else ""
        return f"recipient {self.notice.recipient}: {_LINES[self.state]}{why}"

    @property
    def unanswered(self) -> str:
        """Say what is not known though nobody waits for it any more, in a line."""
        notice = self.notice
        if self.state is not NoticeState.LAPSED or notice.lapse == Lapse.OVERTAKEN:
            return ""
        if notice.delivered_at is None:
            return f"recipient {notice.recipient}: could not be told{self._why}"
        told = f"{notice.delivered_at:%Y-%m-%d}"
        return f"recipient {notice.recipient}: told on {told}, has not answered"

    @property
    def _why(self) -> str:
        said = self.notice.last_code or self.notice.last_status
        return f" ({said})" if said else ""

    @property
    def ended_at(self) -> datetime | None:
        """Return since when nobody waits for it: what is answered later does not move that."""
        answered = self.answer.at if self.answer and self.state is NoticeState.ENDED else None
        return self.notice.lapsed_at or answered

    @property
    def lapses_at(self) -> datetime:
        """Return when it ends by itself, if nothing happens until then."""
        said = self.answer.at if self.answer else self.notice.delivered_at
        return (said or self.notice.opened_at) + term()


@dataclass(slots=True)
class Scope:
    """What of a request a recipient received, by key: data sets, and models."""

    datasets: set[int] = field(default_factory=set)
    models: set[int] = field(default_factory=set)


def recipients() -> "QuerySet[Recipient]":
    """Return everybody who is known to have received something."""
    return Recipient.objects.prefetch_related(
        "disclosures__dataset", "disclosures__model__dataset"
    ).order_by("uuid")


def recipient(uuid: UUID) -> Recipient:
    """Return one recipient, or raise `NotFoundError`."""
    found = recipients().filter(uuid=uuid).first()
    if found is None:
        raise NotFoundError("no such recipient is known")
    return found


def notices(*, request: UUID | None = None, open_only: bool = False) -> "QuerySet[RecipientNotice]":
    """Return notices; of one request, or those that have not ended."""
    found = RecipientNotice.objects.select_related("recipient", "request").order_by("uuid")
    if request is not None:
        found = found.filter(request__uuid=request)
    return found.filter(_open()) if open_only else found


def notice(uuid: UUID) -> Notified:
    """Return one notice with its answer, or raise `NotFoundError`."""
    found = notified(notices().filter(uuid=uuid))
    if not found:
        raise NotFoundError("no such notice is known")
    return found[0]


def of_requests(requests: Iterable[RightsRequest]) -> list[Notified]:
    """Return the notices of some requests, by the recipients' names."""
    found = RecipientNotice.objects.filter(request__in=requests).select_related("recipient")
    return notified(found.order_by("recipient__name", "pk"))


def notified(found: "QuerySet[RecipientNotice] | list[RecipientNotice]") -> list[Notified]:
    """Return notices with what was answered last."""
    rows = list(found)
    answers = NoticeAnswer.objects.filter(notice__in=[each.pk for each in rows]).order_by("pk")
    last = {each.notice_id: each for each in answers}
    return [Notified(each, last.get(each.pk)) for each in rows]


def unanswered() -> "QuerySet[RecipientNotice]":
    """Return the notices that have not ended."""
    return RecipientNotice.objects.filter(_open())


def untold(rows: Iterable[int]) -> set[int]:
    """Return those of some rows of people about whom a notice has neither arrived nor been settled.

    As long as there is one, the identifiers in it cannot be destroyed.
    """
    found = _untold().filter(request__subject__in=list(rows))
    return set(found.values_list("request__subject_id", flat=True))


def somebody_untold(subject: str) -> Exists:
    """Return the same as a condition on rows that name one of a person's rows in ``subject``."""
    return Exists(_untold().filter(request__subject=OuterRef(subject)))


def answered_since(request: str, instant: str) -> Q:
    """Return whether a request's notices ended after an instant, as a condition on rows."""
    later = NoticeAnswer.objects.filter(notice__request=OuterRef(request), at__gt=OuterRef(instant))
    mine = RecipientNotice.objects.filter(request=OuterRef(request))
    return Q(Exists(later)) | Q(Exists(mine.filter(lapsed_at__gt=OuterRef(instant))))


def term() -> timedelta:
    """Return how long an answer is waited for, or delivery tried, before it ends without."""
    return timedelta(days=settings.COLOPHON_RECIPIENT_DAYS)


def to_lapse() -> "QuerySet[RecipientNotice]":
    """Return the notices whose time ran out: told and not answered for good, or not to be told.

    Who accepted has the time anew. What is still being tried by itself is none of them.
    """
    since = Now() - term()
    accepted = NoticeAnswer.objects.filter(notice=OuterRef("pk"), at__gt=since)
    silent = Q(delivered_at__lte=since) & ~Exists(accepted)
    unreached = Q(delivered_at=None, gave_up_at__isnull=False, opened_at__lte=since)
    return unanswered().filter(silent | unreached, request__refused_at=None).order_by("pk")


def lapsed() -> "QuerySet[RecipientNotice]":
    """Return the notices that ended without an answer and have none yet."""
    ended = RecipientNotice.objects.filter(~Exists(_end_of()), lapsed_at__isnull=False)
    return ended.exclude(lapse=Lapse.OVERTAKEN)


def to_tell() -> "QuerySet[RecipientNotice]":
    """Return the notices that can be claimed now, the requests due first at the front."""
    free = Q(lease_until=None) | Q(lease_until__lt=Now())
    waiting = RecipientNotice.objects.filter(free, delivered_at=None, gave_up_at=None)
    waiting = waiting.filter(request__refused_at=None)
    return waiting.filter(retry_at__lte=Now()).order_by("request__due_at", "pk")


def anybody() -> bool:
    """Say whether anybody is known to have received anything."""
    return Disclosure.objects.exists()


def in_scope(request: RightsRequest) -> dict[int, Scope]:
    """Return which recipients received data that holds the person, or a model made of it.

    A data set counts if the person is or was ever on record in it, or if rows were found there;
    one in which nothing was found tells nobody who the person is.
    """
    held = membership.versions_holding(request.subject)
    datasets = set(DatasetVersion.objects.filter(pk__in=held).values_list("dataset_id", flat=True))
    found = Q(located_rows__gt=0) | Q(
        outcome__in=[ErasureStep.Outcome.BY_HAND, ErasureStep.Outcome.EXEMPT]
    )
    datasets |= set(request.steps.filter(found).values_list("dataset_id", flat=True))
    models = set(request.remediations.values_list("model_version__model_id", flat=True))
    scopes: defaultdict[int, Scope] = defaultdict(Scope)
    received = Disclosure.objects.filter(Q(dataset__in=called(datasets)) | Q(model__in=models))
    for each in received:
        scope = scopes[each.recipient_id]
        if each.dataset_id is not None:
            scope.datasets.add(each.dataset_id)
        if each.model_id is not None:
            scope.models.add(each.model_id)
    return dict(scopes)


def holding_data_of(subject: Subject) -> "QuerySet[Recipient]":
    """Return who received data that holds a person, or did: what Art. 15(1)(c) lets them know."""
    held = DatasetVersion.objects.filter(pk__in=membership.versions_holding(subject))
    received = Disclosure.objects.filter(
        dataset__in=called(set(held.values_list("dataset_id", flat=True)))
    )
    return Recipient.objects.filter(pk__in=received.values("recipient_id")).order_by("name")


def url_of(recipient: Recipient) -> str:
    """Return a recipient's address, which may hold a secret."""
    return organisation_key().open(bytes(recipient.url_sealed), url_place(recipient)).decode()


def secrets_of(recipient: Recipient) -> list[bytes]:
    """Return what to sign with now, the newest first."""
    alive = recipient.secrets.filter(Q(ends_at=None) | Q(ends_at__gt=Now())).order_by("-pk")
    place = secret_place(recipient)
    return [organisation_key().open(bytes(each.sealed), place) for each in alive]


def url_place(recipient: Recipient) -> str:
    """Return the place that a sealed address is bound to."""
    return f"consent_recipient/{recipient.uuid}/url"


def secret_place(recipient: Recipient) -> str:
    """Return the place that a sealed secret is bound to."""
    return f"consent_recipient/{recipient.uuid}/secret"


def answer_token(notice: UUID) -> str:
    """Return what nobody can guess of the address that an answer goes to."""
    digest = keyed_digest(secret_for("recipient-answer-v1"), notice.bytes)
    return urlsafe_b64encode(digest).decode().rstrip("=")


def answer_token_fits(notice: UUID, token: str) -> bool:
    """Say whether a token is the one of a notice."""
    return hmac.compare_digest(answer_token(notice).encode(), token.encode())


def _end_of() -> "QuerySet[NoticeAnswer]":
    return NoticeAnswer.objects.filter(notice=OuterRef("pk")).exclude(answer=Answer.ACCEPTED)


def _open() -> Q:
    return Q(~Exists(_end_of()), lapsed_at=None)


def _untold() -> "QuerySet[RecipientNotice]":
    return unanswered().filter(request__refused_at=None, delivered_at=None)
