"""A code lets in once, soon, in one browser, whoever it was that asked."""

import logging
import smtplib
import threading
from datetime import timedelta

import pytest
from django.core import mail
from django.db import IntegrityError, close_old_connections, connection, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.test import Client

from consent.identifiers import IdentifierMalformedError
from consent.models import SignInCode, Subject
from consent.services import sign_in
from consent.services.sign_in import CodeRefusedError, MailNotSentError
from tests.factories.portal import ANN, STRANGER, code_sent, signed_in

HERE = "192.0.2.7"


def asked(address: str = ANN, client: str = HERE) -> tuple[bytes, str]:
    browser = sign_in.start(address=address, client=client)
    return browser, code_sent()


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**8:08d}"


def grown_older(by: timedelta) -> None:
    SignInCode.objects.update(created_at=F("created_at") - by, expires_at=F("expires_at") - by)


@pytest.mark.django_db
def test_a_code_works_once():
    browser, code = asked()
    sign_in.redeem(browser=browser, code=code)
    with pytest.raises(CodeRefusedError):
        sign_in.redeem(browser=browser, code=code)
    row = SignInCode.objects.get()
    assert row.used_at is not None
    assert row.attempts == 1


@pytest.mark.django_db
def test_a_code_does_not_work_in_another_browser():
    _, code = asked()
    other, _ = asked(STRANGER)
    with pytest.raises(CodeRefusedError):
        sign_in.redeem(browser=other, code=code)
    with pytest.raises(CodeRefusedError):
        sign_in.redeem(browser=b"made up", code=code)


@pytest.mark.django_db
@pytest.mark.parametrize(("minutes", "works"), [(9, True), (10, False), (11, False)])
def test_a_code_works_for_ten_minutes(minutes, works):
    browser, code = asked()
    grown_older(timedelta(minutes=minutes))
    if works:
        sign_in.redeem(browser=browser, code=code)
    else:
        with pytest.raises(CodeRefusedError):
            sign_in.redeem(browser=browser, code=code)
    assert (SignInCode.objects.get().used_at is not None) is works


@pytest.mark.django_db
def test_four_wrong_tries_leave_one_and_the_fifth_ends_it():
    browser, code = asked()
    for _ in range(4):
        with pytest.raises(CodeRefusedError):
            sign_in.redeem(browser=browser, code=wrong(code))
    sign_in.redeem(browser=browser, code=code)
    browser, code = asked()
    for _ in range(5):
        with pytest.raises(CodeRefusedError):
            sign_in.redeem(browser=browser, code=wrong(code))
    with pytest.raises(CodeRefusedError):
        sign_in.redeem(browser=browser, code=code)
    assert SignInCode.objects.filter(used_at=None).get().attempts == 5


@pytest.mark.django_db
@pytest.mark.parametrize("typed", ["", "1", "not a number", "１２３４５６７８", "\x00", "9" * 40])
def test_anything_else_that_is_typed_is_just_wrong(typed):
    browser, _ = asked()
    with pytest.raises(CodeRefusedError):
        sign_in.redeem(browser=browser, code=typed)


@pytest.mark.django_db(transaction=True)
def test_of_two_who_use_a_code_at_once_one_gets_in():
    browser, code = asked()
    together, outcomes = threading.Barrier(2), []

    def use() -> None:
        together.wait()
        try:
            sign_in.redeem(browser=browser, code=code)
            outcomes.append("in")
        except CodeRefusedError:
            outcomes.append("out")
        finally:
            connection.close()

    threads = [threading.Thread(target=use) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["in", "out"]


@pytest.mark.django_db
def test_codes_are_eight_digits_and_differ():
    codes = {asked(f"somebody{n}@example.org", f"192.0.2.{n}")[1] for n in range(20)}
    assert len(codes) == 20
    assert all(len(code) == 8 and code.isdigit() for code in codes)


@pytest.mark.django_db
def test_at_most_five_codes_an_hour_go_to_one_address_however_it_is_spelled():
    for spelling in (ANN, ANN.upper(), f"  {ANN} ", ANN.title(), ANN, ANN, ANN):
        assert len(sign_in.start(address=spelling, client=HERE)) == 32
    assert len(mail.outbox) == 5
    assert SignInCode.objects.count() == 5
    sign_in.start(address=STRANGER, client=HERE)
    assert len(mail.outbox) == 6


@pytest.mark.django_db
def test_at_most_thirty_codes_an_hour_go_out_for_one_client():
    for n in range(33):
        sign_in.start(address=f"somebody{n}@example.org", client=HERE)
    assert len(mail.outbox) == 30
    sign_in.start(address=ANN, client="192.0.2.8")
    assert len(mail.outbox) == 31


@pytest.mark.django_db
def test_the_hour_slides():
    for _ in range(6):
        sign_in.start(address=ANN, client=HERE)
    grown_older(timedelta(minutes=59))
    sign_in.start(address=ANN, client=HERE)
    assert len(mail.outbox) == 5
    grown_older(timedelta(minutes=1))
    sign_in.start(address=ANN, client=HERE)
    assert len(mail.outbox) == 6


@pytest.mark.django_db(transaction=True)
def test_many_at_once_do_not_get_more_codes_than_one_after_the_other():
    together = threading.Barrier(8)

    def ask() -> None:
        together.wait()
        sign_in.start(address=ANN, client=HERE)
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    close_old_connections()
    assert SignInCode.objects.count() == 5


@pytest.mark.django_db
def test_what_no_limit_counts_any_more_is_deleted():
    asked()
    browser = Client()
    browser.post("/sign-in", {"address": STRANGER})
    session = browser.session
    grown_older(timedelta(hours=1))
    session.model.objects.update(expire_date=Now() - timedelta(seconds=1))
    asked(ANN)
    assert SignInCode.objects.count() == 1
    assert not session.model.objects.exists()


@pytest.mark.django_db
def test_the_mail_goes_to_the_very_address_that_is_looked_up():
    # Two spellings can be two mailboxes: whoever owns the second must not get the first one's code.
    asked("Ann.Reader@Example.ORG")
    assert mail.outbox[-1].to == [ANN]
    asked("ann.reader@ｅxample.org")
    assert mail.outbox[-1].to == [ANN]


@pytest.mark.django_db
def test_the_mail_says_what_to_do_and_not_who_holds_what():
    _, code = asked()
    sent = mail.outbox[-1]
    assert code in sent.body
    assert code not in sent.subject
    assert sent.extra_headers["Auto-Submitted"] == "auto-generated"
    assert (sent.to, sent.cc, sent.bcc) == ([ANN], [], [])


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["", "ann", "a@b@c", "ann@example.org\nBcc: eve@example.org"])
def test_what_is_no_address_is_refused_and_nothing_is_sent(address):
    with pytest.raises(IdentifierMalformedError):
        sign_in.start(address=address, client=HERE)
    assert mail.outbox == []
    assert not SignInCode.objects.exists()


@pytest.mark.django_db
def test_asking_and_signing_in_register_nobody():
    browser, code = asked(STRANGER)
    sign_in.redeem(browser=browser, code=code)
    signed_in(STRANGER).get("/me")
    assert not Subject.objects.exists()


class Failing:
    """A mail server in trouble, whose errors quote the address as real ones do."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __call__(self, *args: object) -> int:
        raise self.error


@pytest.mark.django_db
@pytest.mark.parametrize(
    "error",
    [
        smtplib.SMTPServerDisconnected(f"while sending to {ANN}"),
        ConnectionRefusedError(ANN),
        UnicodeEncodeError("ascii", ANN, 0, 1, "no"),
    ],
)
def test_a_mail_server_in_trouble_is_told_and_the_log_names_nobody(error, monkeypatch, caplog):
    monkeypatch.setattr("django.core.mail.EmailMessage.send", Failing(error))
    with caplog.at_level(logging.DEBUG), pytest.raises(MailNotSentError) as refusal:
        sign_in.start(address=ANN, client=HERE)
    assert refusal.value.__cause__ is None
    assert type(error).__name__ in caplog.text
    assert "ann.reader" not in caplog.text.lower()


@pytest.mark.django_db
def test_an_address_that_the_mail_server_refuses_looks_like_any_other(monkeypatch, caplog):
    refused = smtplib.SMTPRecipientsRefused({ANN: (550, b"no such user")})
    monkeypatch.setattr("django.core.mail.EmailMessage.send", Failing(refused))
    with caplog.at_level(logging.DEBUG):
        assert len(sign_in.start(address=ANN, client=HERE)) == 32
    assert "ann.reader" not in caplog.text.lower()


DIGESTS = ["browser_digest", "code_digest", "address_digest", "client_digest"]


def row(**facts):
    made = {name: name.encode().ljust(32) for name in DIGESTS}
    return SignInCode(**made | {"expires_at": Now() + timedelta(minutes=10)} | facts)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("facts", "constraint"),
    [
        *(({name: b"short"}, "consent_signincode_holds_digests") for name in DIGESTS),
        ({"attempts": 6}, "consent_signincode_few_attempts"),
        ({"expires_at": Now() - timedelta(seconds=1)}, "consent_signincode_expires"),
        ({"used_at": Now()}, "consent_signincode_used_while_valid"),
        (
            {"attempts": 1, "used_at": Now() + timedelta(minutes=10)},
            "consent_signincode_used_while_valid",
        ),
    ],
)
def test_the_database_refuses_a_row_that_cannot_be(facts, constraint):
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        row(**facts).save()
    assert not SignInCode.objects.exists()
