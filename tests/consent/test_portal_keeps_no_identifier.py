"""After a visit no address is readable in the database, in a log, or in the address of a page."""

import base64
import hashlib
import logging
from uuid import uuid4

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client

from consent.models import RightsRequest, SignInCode
from tests.factories.portal import (
    ANN,
    BOB,
    STRANGER,
    carried_out,
    library,
    settled,
    signed_in,
)

PEOPLE = (ANN, BOB, STRANGER)


def everything_stored() -> str:
    """Return every row of every table as text, and what sessions hold once it is unpacked."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT quote_ident(table_name) FROM information_schema.tables"
            " WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
        )
        texts = []
        for (table,) in cursor.fetchall():
            cursor.execute(f"SELECT string_agg(t::text, chr(10)) FROM {table} AS t")
            texts.append(cursor.fetchone()[0] or "")
    texts += [str(each.get_decoded()) for each in Session.objects.all()]
    return "\n".join(texts)


def traces(text: str) -> list[str]:
    """Return whose address a text holds: plainly, in hexadecimal, base64, or a bare digest."""
    found = []
    for address in PEOPLE:
        for spelling in (address, address.upper(), address.partition("@")[0]):
            raw = spelling.encode()
            shapes = {
                spelling, raw.hex(), base64.b64encode(raw).decode().rstrip("="),
                hashlib.sha256(raw).hexdigest(), hashlib.sha1(raw).hexdigest(),
                hashlib.md5(raw).hexdigest(),
            }  # fmt: skip
            found += [spelling for shape in shapes if shape.casefold() in text.casefold()]
    return found


class Remembering(Client):
    """A browser that keeps every address that it asked for or was sent to."""

    def __init__(self, **more):
        super().__init__(**more)
        self.addresses: list[str] = []

    def request(self, **request):
        answer = super().request(**request)
        said = (request.get("PATH_INFO", ""), request.get("QUERY_STRING", ""))
        self.addresses += [*map(str, said), answer.headers.get("Location", "")]
        return answer


def visit(address: str) -> Remembering:
    browser = signed_in(address, Remembering())
    browser.post("/sign-in/code", {"code": "0"})
    browser.get("/me")
    browser.post(
        "/me/decisions", {"purpose": "suggestions", "kind": "refused", "key": str(uuid4())}
    )
    return browser


@pytest.fixture
def logged(caplog):
    caplog.set_level(logging.DEBUG)
    return caplog


@pytest.mark.django_db
def test_no_address_is_kept_logged_or_sent_in_the_address_of_a_page(tmp_path, logged):
    library(tmp_path)
    pending = Remembering()
    pending.post("/sign-in", {"address": BOB})
    pending.post("/sign-in", {"address": "not an address"})
    waiting = signed_in(STRANGER, Remembering())
    browsers = [pending, waiting, visit(ANN), visit(BOB)]
    browsers[2].post("/me/erase", {"key": uuid4()})
    asked = RightsRequest.objects.get()
    assert SignInCode.objects.exists()
    assert Session.objects.count() == 4
    assert traces(everything_stored()) == []
    carried_out(asked)
    settled(asked)
    browsers[2].get("/me")
    assert traces(everything_stored()) == []
    assert traces(logged.text) == []
    assert traces(" ".join(each for browser in browsers for each in browser.addresses)) == []


@pytest.mark.django_db
def test_the_search_itself_finds_what_it_looks_for(db):
    Session.objects.create(
        session_key="k" * 32, session_data=Session().get_session_store_class()().encode({"a": ANN}),
        expire_date="2100-01-01T00:00Z",
    )  # fmt: skip
    assert set(traces(everything_stored())) >= {ANN}
    assert traces(hashlib.sha256(BOB.encode()).hexdigest()) == [BOB]
    assert traces("nobody") == []


@pytest.mark.django_db
def test_a_code_leads_to_no_person_and_no_other_table(tmp_path):
    library(tmp_path)
    visit(ANN)
    fields = {each.name for each in SignInCode._meta.get_fields()}
    assert not any(each.is_relation for each in SignInCode._meta.get_fields())
    row = SignInCode.objects.values().get()
    digests = {bytes(row[name]).hex() for name in fields if name.endswith("_digest")}
    assert len(digests) == 4
    with connection.cursor() as cursor:
        cursor.execute("SELECT encode(digest, 'hex') FROM consent_subjectidentifier")
        assert digests.isdisjoint(each for (each,) in cursor.fetchall())
