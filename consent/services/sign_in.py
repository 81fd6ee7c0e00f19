"""Let a person in by a code that is sent to their address; nobody has an account.

Nothing here asks whether the address is known, so nothing in the answer, nor in the time it takes,
can tell. The address itself goes into the mail and nowhere else: not into a row, not into a log.
"""

import logging
import secrets
from datetime import timedelta
from hmac import compare_digest
from smtplib import SMTPException, SMTPRecipientsRefused
from typing import ClassVar

from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.mail import EmailMessage
from django.db import connection, transaction
from django.db.models import ExpressionWrapper
from django.db.models.fields import DateTimeField
from django.db.models.functions import Now

from consent import identifiers
from consent.identifiers import EMAIL
from consent.models.sign_in import ATTEMPTS, SignInCode
from governance.crypto import keyed_digest
from governance.errors import ColophonError
from governance.keys import secret_for
from governance.locks import Lock

logger = logging.getLogger(__name__)

DIGITS = 8
BROWSER_BYTES = 32
LIFE = timedelta(minutes=10)
WINDOW = timedelta(hours=1)
PER_ADDRESS = 5
PER_CLIENT = 30

SUBJECT = "Your code"
TEXT = """\
The code to sign in at {site}:

    {code}

Type it on the page that is still open in your browser. It works there only, once, and for ten
minutes. Nobody from here will ever ask you for it.

If you did not ask for a code, do nothing: without it nobody gets in.
"""


class CodeRefusedError(ColophonError):
    """Wrong, used, too old, tried too often, or of another browser: the answer is the same."""

    code: ClassVar[str] = "sign_in_code_refused"
    status: ClassVar[int] = 400


class MailNotSentError(ColophonError):
    """The mail server cannot be reached; whose address it was makes no difference."""

    code: ClassVar[str] = "sign_in_mail_not_sent"
    status: ClassVar[int] = 503


def start(*, address: str, client: str) -> bytes:
    """Send a code, and return the secret that binds it to the browser that asked.

    ``client`` is the network address that asked. Over a limit nothing is sent, and the answer is
    the same: a secret, for which there is then no code. Raises `IdentifierMalformedError` and
    `MailNotSentError`.
    """
    # The mail goes to the very spelling that is digested: two spellings may be two mailboxes.
    to = identifiers.normalised(EMAIL, address)
    browser = secrets.token_bytes(BROWSER_BYTES)
    code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}"
    forget_old()
    if _admit(browser=browser, code=code, address=to, client=client):
        _send(to, code)
    return browser


def redeem(*, browser: bytes, code: str) -> None:
    """Use a code up, or raise `CodeRefusedError`; either way the attempt counts."""
    if not _redeem(browser, code):
        raise CodeRefusedError("this code does not let you in")


def forget_old() -> None:
    """Delete what no limit counts any more, and ended sessions: they hold sealed addresses."""
    SignInCode.objects.filter(created_at__lte=Now() - WINDOW).delete()
    Session.objects.filter(expire_date__lte=Now()).delete()


@transaction.atomic
def _admit(*, browser: bytes, code: str, address: str, client: str) -> bool:
    """Write the code down unless a limit is reached; say whether it was."""
    of_address = identifiers.digest(_key(), EMAIL, address)
    of_client = _digest("client", client.encode())
    _take_turns(of_address, of_client)
    recent = SignInCode.objects.filter(created_at__gt=Now() - WINDOW)
    if recent.filter(address_digest=of_address).count() >= PER_ADDRESS:
        return False
    if recent.filter(client_digest=of_client).count() >= PER_CLIENT:
        return False
    SignInCode.objects.create(
        browser_digest=_digest("browser", browser),
        code_digest=_digest("code", browser + code.encode()),
        address_digest=of_address,
        client_digest=of_client,
        expires_at=ExpressionWrapper(Now() + LIFE, output_field=DateTimeField()),
    )
    return True


def _take_turns(*digests: bytes) -> None:
    """Let nobody count for the same address or client at the same time: both would be the fifth.

    In one order, so that two callers cannot wait for each other.
    """
    with connection.cursor() as cursor:
        for each in sorted(int.from_bytes(digest[:4], signed=True) for digest in digests):
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", [Lock.SIGN_IN, each])


def _send(to: str, code: str) -> None:
    text = TEXT.format(site=settings.PUBLIC_URL, code=code)
    mail = EmailMessage(SUBJECT, text, to=[to], headers={"Auto-Submitted": "auto-generated"})
    try:
        mail.send()
    except SMTPRecipientsRefused:
        logger.info("a mail server refused the address of somebody who wants to sign in")
    except (SMTPException, OSError, ValueError) as error:
        # The error's text can quote the address; its type cannot.
        logger.error("a sign-in code was not sent: %s", type(error).__name__)
        raise MailNotSentError("we cannot send mail at the moment") from None


@transaction.atomic
def _redeem(browser: bytes, code: str) -> bool:
    """Count the attempt and compare, while nobody else can use the same code."""
    usable = SignInCode.objects.select_for_update().annotate(now=Now())
    row = usable.filter(
        browser_digest=_digest("browser", browser),
        expires_at__gt=Now(),
        attempts__lt=ATTEMPTS,
        used_at=None,
    ).first()
    if row is None:
        return False
    right = compare_digest(bytes(row.code_digest), _digest("code", browser + code.encode()))
    row.attempts += 1
    row.used_at = row.now if right else None
    row.save(update_fields=["attempts", "used_at"])
    return right


def _digest(what: str, value: bytes) -> bytes:
    return keyed_digest(_key(), what.encode() + b"\0" + value)


def _key() -> bytes:
    return secret_for("sign-in-v1")
