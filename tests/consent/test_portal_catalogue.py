"""The public pages: the rules as prose, no cookie, nobody counted."""

import re

import pytest
from django.template.loader import render_to_string
from django.test import Client, override_settings

from consent.portal import prose
from governance.services import rules
from tests.factories.governance import PurposeFactory
from tests.factories.portal import ANN, library, signed_in, text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def made(tmp_path):
    return library(tmp_path)


PUBLIC = ["/", "/policies", "/policies/loans", "/policies/loans/1", "/sign-in"]


def test_the_front_shows_purposes_with_what_they_rest_on_and_published_policies(made):
    page = text_of(Client().get("/").content)
    for words in (
        "Suggesting what to read next Rests on your permission (GDPR Art. 6(1)(a)).",
        "Lending books Rests on a contract with you (GDPR Art. 6(1)(b)).",
        "Planning which books to buy Part of: Lending books Rests on a legitimate interest of ours",
        "What we keep of your loans Version 2, published",
    ):
        assert words in page


def test_the_front_of_an_empty_service_says_that_there_is_nothing_yet():
    page = text_of(Client().get("/").content)
    assert "No purpose is registered yet." in page
    assert "No policy is published yet." in page


@pytest.mark.parametrize("address", PUBLIC[:-1])
def test_reading_sets_no_cookie(made, address):
    assert not Client().get(address).cookies


@pytest.mark.parametrize("address", PUBLIC)
def test_pages_allow_nothing_that_they_do_not_use(made, address):
    answer = Client().get(address)
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; img-src 'self';")
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["X-Frame-Options"] == "DENY"
    page = answer.content.decode()
    assert "<script" not in page
    assert "style=" not in page
    assert not re.search(r"(?:src|href)=\"//|<link[^>]+href=\"http", page)


@pytest.mark.parametrize("address", [*PUBLIC, "/me", "/requests/x", "/policies/none"])
def test_no_address_ends_with_a_slash_or_leads_to_one(made, address):
    if address != "/":
        assert Client().get(f"{address}/").status_code == 404
    for link in re.findall(r'(?:href|action)="(/[^"]+)"', Client().get(address).content.decode()):
        assert not link.endswith("/")


def test_a_policy_is_set_as_prose(made):
    page = Client().get("/policies/loans").content.decode()
    assert "<h2>What we never do</h2>" in page
    assert "<li>sell or lend the records</li>" in page
    assert "<p>We keep a record of a loan until the book is back, and two weeks longer in" in page
    assert "a newer text" not in page


def test_an_earlier_text_of_a_policy_can_still_be_read_and_says_that_it_is_one(made):
    page = text_of(Client().get("/policies/loans/1").content)
    assert "What we kept before." in page
    assert "There is a newer text" in page


def test_drafts_and_unknown_policies_are_not_found_alike(made):
    rules.draft_policy(key="loans", title="Next", text="Not yet.")
    rules.draft_policy(key="drafted", title="Drafted", text="Not yet.")
    answers = [
        Client().get(f"/policies/{each}") for each in ("drafted", "unknown", "loans/3", "loans/99")
    ]
    assert [each.status_code for each in answers] == [404] * 4
    assert len({each.content for each in answers}) == 1
    assert "Not yet." not in Client().get("/policies/loans").content.decode()


def test_what_is_published_cannot_become_markup():
    hostile = "# <script>alert(1)</script>\n\n- <img src=x onerror=alert(1)>\n\n[a](javascript:b)"
    draft = rules.draft_policy(key="hostile", title="<b>bold</b>", text=hostile)
    rules.publish_policy(policy=draft.policy)
    PurposeFactory(key="odd", title="<i>odd</i>", dpv_iri="javascript:alert(1)")
    for address in ("/", "/policies", "/policies/hostile"):
        page = Client().get(address).content.decode()
        assert not re.search(r"<(script|img|b|i)\b", page)
        assert 'href="javascript' not in page


def test_a_purpose_says_whose_definition_it_has():
    PurposeFactory(key="research", dpv_iri="https://w3id.org/dpv#ResearchAndDevelopment")
    PurposeFactory(key="loans", dpv_iri="https://words.example.org/purposes#Loans")
    PurposeFactory(key="shelving", dpv_iri="urn:example:shelving")
    page = text_of(Client().get("/").content)
    assert page.count("Its definition") == 2
    assert "Its definition in the W3C’s privacy vocabulary" in page
    assert "Its definition at words.example.org" in page


def test_signed_in_people_find_their_own_page_from_the_front(made):
    page = signed_in(ANN).get("/").content.decode()
    assert 'href="/me"' in page
    assert 'action="/sign-out"' in page
    assert 'href="/sign-in"' not in page


def test_blocks_are_headings_lists_and_paragraphs():
    found = prose.blocks("One\ntwo\r\n\r\n## Title ##x\nright below\n- a\n  b\n* c\n\n\n\nlast")
    assert [(each.kind, each.text or each.items) for each in found] == [
        ("paragraph", "One two"),
        ("heading", "Title ##x"),
        ("paragraph", "right below"),
        ("list", ["a b", "c"]),
        ("paragraph", "last"),
    ]
    assert prose.blocks("") == prose.blocks(" \n \n") == []
    assert prose.blocks("#no heading, - no list")[0].kind == "paragraph"


def test_a_page_that_is_not_there_says_so():
    answer = Client().get("/nowhere")
    assert answer.status_code == 404
    assert b"There is nothing here" in answer.content


def test_a_forged_form_is_refused_with_what_to_do():
    browser = Client(enforce_csrf_checks=True)
    answer = browser.post("/sign-in", {"address": ANN})
    assert answer.status_code == 403
    assert b"Please press it again" in answer.content
    assert b"load the page anew" in answer.content


@override_settings(ALLOWED_HOSTS=["elsewhere.example.org"])
def test_a_malformed_request_is_answered_with_a_page():
    answer = Client().get("/")
    assert answer.status_code == 400
    assert b"We did not understand that" in answer.content


def test_our_own_fault_is_owned_and_tells_nothing(monkeypatch):
    def break_down():
        raise RuntimeError("secret")

    monkeypatch.setattr("governance.selectors.rules.purposes", break_down)
    answer = Client(raise_request_exception=False).get("/")
    assert answer.status_code == 500
    assert b"The fault is ours" in answer.content
    assert b"secret" not in answer.content


@pytest.mark.parametrize("name", ["400", "403", "403_csrf", "404", "500"])
def test_error_pages_need_no_context(name):
    page = render_to_string(f"{name}.html")
    assert page.count("<h1") == 1
    assert "{%" not in page
