"""Signing in over the pages: the same for everybody, and private."""

import re
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.core import mail
from django.db import connection
from django.db.models import F
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext

from consent.models import SignInCode, Subject
from consent.portal import visits
from consent.selectors.identifier_keys import current
from consent.services import sign_in
from tests.factories.consent import registered
from tests.factories.portal import ANN, STRANGER, code_sent, person, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def ann() -> Subject:
    return registered(("email", ANN))


def without_token(page: str) -> str:
    return re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", page)


def asked_for(address: str, browser: Client | None = None) -> Client:
    browser = browser or Client()
    browser.post("/sign-in", {"address": address})
    return browser


def test_known_and_unknown_addresses_get_the_same_answers(ann):
    for address in (ANN, STRANGER):
        answer = Client().post("/sign-in", {"address": address})
        assert (answer.status_code, answer.headers["Location"]) == (302, "/sign-in/code")
        assert answer.content == b""
    pages = [
        without_token(asked_for(address).get("/sign-in/code").content.decode()).replace(address, "")
        for address in (ANN, STRANGER)
    ]
    assert pages[0] == pages[1]
    assert [each.to for each in mail.outbox] == [[ANN], [STRANGER]] * 2


def test_the_database_is_asked_the_same_for_known_and_unknown_addresses(ann):
    asked = []
    for address in (ANN, STRANGER):
        with CaptureQueriesContext(connection) as queries:
            asked_for(address)
        asked.append([re.sub(r"'[^']*'|\s*-?\d+", "?", each["sql"]) for each in queries])
    assert asked[0] == asked[1]
    assert not any("subject" in sql or "tombstone" in sql for sql in asked[0])


def test_an_answer_over_the_limit_is_the_same(ann):
    answers = [Client().post("/sign-in", {"address": ANN}) for _ in range(7)]
    assert {(each.status_code, each.headers["Location"]) for each in answers} == {
        (302, "/sign-in/code")
    }
    assert {tuple(sorted(each.headers)) for each in answers} == {tuple(sorted(answers[0].headers))}
    assert len(mail.outbox) == 5


def test_the_right_code_lets_in_under_a_new_session_and_a_new_token(ann):
    browser = asked_for(ANN)
    browser.get("/sign-in/code")
    before, token = browser.session.session_key, browser.cookies["csrftoken"].value
    answer = browser.post("/sign-in/code", {"code": code_sent()})
    assert answer.headers["Location"] == "/me"
    assert browser.session.session_key != before
    assert browser.cookies["csrftoken"].value != token
    assert dict(browser.session) == {"portal.signed_in": True, "portal.person": str(ann.uuid)}


def test_a_code_may_be_typed_with_spaces(ann):
    browser, code = asked_for(ANN), code_sent()
    answer = browser.post("/sign-in/code", {"code": f" {code[:4]} {code[4:]}"})
    assert answer.headers["Location"] == "/me"


def test_a_code_of_one_browser_does_not_work_in_another(ann):
    asked_for(ANN)
    code = code_sent()
    other = asked_for(ANN)
    answer = other.post("/sign-in/code", {"code": code})
    assert answer.status_code == 400
    assert "portal.signed_in" not in other.session
    assert Client().post("/sign-in/code", {"code": code}).headers["Location"] == "/sign-in"


def test_a_second_code_in_the_same_browser_ends_the_first(ann):
    browser = asked_for(ANN)
    first = code_sent()
    asked_for(ANN, browser)
    assert browser.post("/sign-in/code", {"code": first}).status_code == 400
    assert browser.post("/sign-in/code", {"code": code_sent()}).headers["Location"] == "/me"


def test_wrong_used_and_old_codes_get_the_same_page(ann):
    wrong = asked_for(ANN)
    pages = [wrong.post("/sign-in/code", {"code": "1"}).content]
    old = asked_for(ANN)
    SignInCode.objects.update(
        created_at=F("created_at") - timedelta(minutes=10),
        expires_at=F("expires_at") - timedelta(minutes=10),
    )
    pages.append(old.post("/sign-in/code", {"code": code_sent()}).content)
    spent = asked_for(ANN)
    for _ in range(5):
        spent.post("/sign-in/code", {"code": "1"})
    pages.append(spent.post("/sign-in/code", {"code": code_sent()}).content)
    assert len({without_token(page.decode()) for page in pages}) == 1


def test_an_empty_code_uses_no_attempt_up(ann):
    browser = asked_for(ANN)
    for _ in range(6):
        assert browser.post("/sign-in/code", {"code": ""}).status_code == 400
    assert SignInCode.objects.get().attempts == 0


def test_what_is_no_address_is_said_beside_the_field():
    answer = Client().post("/sign-in", {"address": "ann"})
    assert answer.status_code == 400
    assert b'aria-describedby="address-error"' in answer.content
    assert b'value="ann"' in answer.content
    assert mail.outbox == []


def test_when_no_mail_can_be_sent_the_page_says_so(monkeypatch, ann):
    def refuse(*args):
        raise sign_in.MailNotSentError("we cannot send mail at the moment")

    monkeypatch.setattr(sign_in, "_send", refuse)
    pages = [Client().post("/sign-in", {"address": each}) for each in (ANN, STRANGER)]
    assert [page.status_code for page in pages] == [503, 503]
    assert b"We cannot send mail at the moment" in pages[0].content
    assert pages[0].content == pages[1].content


def test_the_session_of_somebody_unknown_holds_the_address_sealed():
    browser = signed_in(STRANGER)
    kept = dict(browser.session)
    assert set(kept) == {"portal.signed_in", "portal.address"}
    assert STRANGER not in str(kept)
    request = SimpleNamespace(session=browser.session)
    assert visits.address_of(request) == STRANGER


def test_a_session_whose_address_cannot_be_opened_is_nobodys():
    browser = signed_in(STRANGER)
    session = browser.session
    session["portal.address"] = "bm9uc2Vuc2U="
    session.save()
    assert browser.get("/me").headers["Location"] == "/sign-in"


def test_signing_out_leaves_nothing(ann):
    browser = signed_in(ANN)
    key = browser.session.session_key
    answer = browser.post("/sign-out")
    assert answer.headers["Location"] == "/"
    assert browser.cookies["sessionid"].value == ""
    assert not browser.session.exists(key)
    assert browser.get("/me").headers["Location"] == "/sign-in"


def test_signing_out_needs_a_press(ann):
    browser = signed_in(ANN)
    assert browser.get("/sign-out").status_code == 405
    assert browser.get("/me").status_code == 200


@pytest.mark.parametrize("address", ["/me", "/me/erase"])
def test_personal_pages_send_strangers_to_sign_in(address):
    answer = Client().get(address)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/sign-in")


def test_somebody_known_from_a_list_only_is_let_in_and_shown_their_data():
    subject = Subject.objects.create()
    [digest] = current().digests("email", [ANN]).newest
    subject.identifiers.create(scheme="email", digest=digest)
    browser = signed_in(ANN)
    assert browser.get("/me").status_code == 200
    assert person(ANN) == subject
    assert not hasattr(subject, "key")


@pytest.mark.parametrize(
    ("told", "forwarded", "proxies", "client"),
    [
        ("192.0.2.1", "", 0, "192.0.2.1"),
        ("192.0.2.1", "198.51.100.9", 0, "192.0.2.1"),
        ("127.0.0.1", "203.0.113.5, 198.51.100.9", 1, "198.51.100.9"),
        ("127.0.0.1", "203.0.113.5, 198.51.100.9", 2, "203.0.113.5"),
        ("127.0.0.1", "198.51.100.9", 2, "127.0.0.1"),
        ("2001:db8:1:2:3:4:5:6", "", 0, "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "", 0, "192.0.2.1"),
        ("", "", 0, ""),
        ("unix:", "", 0, ""),
    ],
)
def test_the_limits_count_by_the_address_that_cannot_be_made_up(
    settings, told, forwarded, proxies, client
):
    settings.COLOPHON_TRUSTED_PROXIES = proxies
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    request = RequestFactory().get("/", REMOTE_ADDR=told, headers=headers)
    assert visits.client_of(request) == client
