"""Write down what somebody has to be told of a request, and mail it.

A person is told by mail where an address is known, and on the request's page in any case. What an
operator explains stands in the mail alone: whoever has the page's link can read the page. Neither
an address nor a text is ever logged.
"""

import logging
from datetime import datetime
from smtplib import SMTPException, SMTPRecipientsRefused

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import connection
from django.db.models.functions import Now

from consent import grounds
from consent.deadlines import Law
from consent.models import RequestKind, RequestLetter, RightsRequest
from consent.selectors.letters import addresses_for
from consent.selectors.request_texts import opened, sealed
from consent.selectors.requests import day_of

logger = logging.getLogger(__name__)

Kind, Outcome = RequestLetter.Kind, RequestLetter.Outcome

# Between two attempts, in seconds; a claim lasts as long, so a mail has to be sent within it.
SCHEDULE = [60, 300, 1800, 7200, 18_000, 36_000, 86_400, 86_400]

SUBJECT = "About your request"
SUBJECT_TO_OPERATORS = "A rights request: {words}"
TEXT = """\
{told}{explained}

You can follow your request here, without signing in:

    {link}

Whoever has this link can read that page; it does not say who you are.
"""
LIFTING = """\
The restriction on the use of your data is going to be lifted. From then on, what you allow and
what you do not allow counts again."""
TO_OPERATORS = """\
A request ({kind}) is due by {due:%d %B %Y, %H:%M} UTC: {words}.

    {link}
"""


def write(
    request: RightsRequest,
    kind: RequestLetter.Kind,
    *,
    code: str = "",
    text: str = "",
    due_at: datetime | None = None,
) -> RequestLetter:
    """Write down, in the caller's transaction, what is to be told.

    Raises `SubjectErasedError` and `SubjectUnregisteredError` where a text cannot be sealed.
    """
    return RequestLetter.objects.create(
        request=request, kind=kind, code=code, due_at=due_at,
        text_sealed=sealed(request, str(kind), text),
    )  # fmt: skip


def send(*, letter_id: int) -> bool:
    """Mail a letter, if it still waits; say whether the mail server took it."""
    if not _claimed(letter_id):
        return False
    found = RequestLetter.objects.select_related("request__subject")
    letter = found.get(pk=letter_id)
    addresses = addresses_for(letter)
    outcome = _mailed(letter, addresses) if addresses else Outcome.NO_ADDRESS
    if outcome is None and letter.attempt >= len(SCHEDULE):
        outcome = Outcome.GIVEN_UP
    if outcome is not None:
        waiting = RequestLetter.objects.filter(pk=letter_id, ended_at=None)
        waiting.update(ended_at=Now(), outcome=outcome)
    return outcome is Outcome.SENT


def _claimed(letter_id: int) -> bool:
    """Take it in one statement, by the database's clock, by putting the next attempt off."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE consent_requestletter
               SET attempt = attempt + 1,
                   retry_at = clock_timestamp() + make_interval(
                       secs => (%(pauses)s::int[])[least(attempt + 1, %(most)s)])
             WHERE id = %(id)s AND ended_at IS NULL AND retry_at <= clock_timestamp()
            """,
            {"pauses": SCHEDULE, "most": len(SCHEDULE), "id": letter_id},
        )
        return bool(cursor.rowcount)


def _mailed(letter: RequestLetter, addresses: list[str]) -> RequestLetter.Outcome | None:
    """Hand it over; return how that ended, or nothing if it is worth another attempt."""
    subject, text = _words_of(letter)
    headers = {"Auto-Submitted": "auto-generated"}
    try:
        EmailMessage(subject, text, to=addresses, headers=headers).send()
    except SMTPRecipientsRefused:
        logger.info("a mail server refused an address to which a letter goes")
        return Outcome.GIVEN_UP
    except (SMTPException, OSError, ValueError) as error:
        # The error's text can quote the address; its type cannot.
        logger.warning("a letter was not sent: %s", type(error).__name__)
        return None
    return Outcome.SENT


def _words_of(letter: RequestLetter) -> tuple[str, str]:
    request = letter.request
    link = f"{settings.PUBLIC_URL}/requests/{request.uuid}"
    words = Kind(letter.kind).label
    if letter.due_at is not None:
        kind = RequestKind(request.kind).label
        text = TO_OPERATORS.format(words=words, kind=kind, due=letter.due_at, link=link)
        return SUBJECT_TO_OPERATORS.format(words=words), text
    text = opened(request, letter.kind, letter.text_sealed)
    explained = f"\n\nWhat we want to add:\n\n{text}" if text else ""
    return SUBJECT, TEXT.format(told=_told(letter), explained=explained, link=link)


def _told(letter: RequestLetter) -> str:
    request, complaint = letter.request, grounds.COMPLAINT[Law(letter.request.law)]
    if letter.kind == Kind.REFUSED:
        why = grounds.REFUSED[grounds.Refusal(letter.code)]
        return f"We do not do what you asked for. {why}\n\n{complaint}"
    if letter.kind == Kind.EXTENDED:
        why = grounds.EXTENDED[grounds.Extension(letter.code)]
        until = f"{day_of(request.due_at):%d %B %Y}"
        return f"Your request takes longer: until {until}. {why}\n\n{complaint}"
    return LIFTING
