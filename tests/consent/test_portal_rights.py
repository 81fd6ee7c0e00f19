"""Choosing among one's rights in the portal, and following what was asked."""

import re
from datetime import timedelta
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from consent.models import ConsentDecision, RequestKind, Restriction, RightsRequest, Subject
from consent.selectors import request_texts
from consent.services import clock, refusing, restricting
from consent.services import requests as services
from governance.models import LegalBasis
from tests.factories.consent import registered
from tests.factories.governance import PurposeFactory
from tests.factories.portal import (
    ANN,
    BOB,
    STRANGER,
    carried_out,
    library,
    person,
    settled,
    signed_in,
    text_of,
)
from tests.factories.rights import ask, mailed

pytestmark = pytest.mark.django_db

RIGHTS = "/me/rights"


@pytest.fixture
def ann(db) -> Client:
    registered(("email", ANN))
    return signed_in(ANN)


def presses(browser: Client, kind: str, **said) -> RightsRequest:
    """Press a button; return the request to whose page that leads."""
    answer = browser.post(RIGHTS, {"kind": kind, "key": uuid4()} | said)
    assert answer.status_code == 302, answer.content
    uuid = answer.headers["Location"].removeprefix("/requests/")
    return RightsRequest.objects.get(uuid=uuid)


def read(asked: RightsRequest | str, browser: Client | None = None) -> str:
    path = asked if isinstance(asked, str) else f"/requests/{asked.uuid}"
    answer = (browser or Client()).get(path)
    assert answer.status_code == 200
    return text_of(answer.content)


def test_the_page_offers_each_right_and_changes_nothing(ann):
    PurposeFactory(title="Planning", legal_basis=LegalBasis.LEGITIMATE_INTERESTS)
    PurposeFactory(title="Suggesting", legal_basis=LegalBasis.CONSENT)
    raw = ann.get(RIGHTS).content.decode()
    offered = set(re.findall(r'name="kind" value="(\w+)"', raw))
    assert offered == set(RequestKind.values) - {"erasure"}
    keys = re.findall(r'name="key" value="([\w-]+)"', raw)
    assert len(set(keys)) == len(keys) == 5
    assert ('href="/me/erase"' in raw, "Planning" in raw, "Suggesting" in raw) == (
        True,
        True,
        False,
    )
    assert not RightsRequest.objects.exists()


@pytest.mark.parametrize(
    ("kind", "said", "words"),
    [
        ("access", {}, "Prepared (now) Everything that is on record about you is put together"),
        ("portability", {}, "Prepared (now) What you gave us is put together"),
        ("rectification", {"details": "my name is Ann"}, "Looked at (now) A person looks at"),
    ],
)
def test_one_press_asks_and_leads_to_a_page_that_follows(ann, kind, said, words):
    asked = presses(ann, kind, **said)
    assert (asked.subject, asked.kind, asked.source) == (person(ANN), kind, "person")
    assert asked.verified_at is not None
    page = read(asked)
    assert "Identity confirmed (done)" in page
    assert words in page
    assert f"It is due by {asked.due_at:%-d %B %Y}" in page
    assert "my name" not in page
    assert "Certificate" not in page
    if kind == "rectification":
        services.correct(request=asked, reason="Ann it is")
    else:
        services.answer(request=asked)
    assert "Complete since" in read(asked)
    assert "(now)" not in read(asked)


def test_what_is_wrong_is_kept_sealed(ann):
    asked = presses(ann, "rectification", details="my name is Ann")
    assert request_texts.details_of(asked) == ["my name is Ann"]


@pytest.mark.parametrize(
    "said",
    [
        {"kind": "rectification"},
        {"kind": "rectification", "details": " "},
        {"kind": "objection"},
        {"kind": "objection", "purposes": "nothing"},
        {"kind": "erasure"},
        {"kind": "wish"},
        {"kind": "access", "key": "x"},
        {},
    ],
)
def test_a_press_that_says_too_little_asks_for_nothing(ann, said):
    PurposeFactory(legal_basis=LegalBasis.PUBLIC_TASK)
    assert ann.post(RIGHTS, {"key": uuid4()} | said).status_code == 400
    assert not RightsRequest.objects.exists()


def test_what_is_missing_is_said_beside_the_field(ann):
    page = ann.post(RIGHTS, {"kind": "rectification", "key": uuid4()}).content.decode()
    assert "Please say what is wrong, and what would be right." in page
    assert 'aria-describedby="details-hint details-error" aria-invalid="true"' in page


def test_pressing_twice_asks_once(ann):
    key = uuid4()
    assert presses(ann, "access", key=key) == presses(ann, "access", key=key)
    assert RightsRequest.objects.count() == 1


def test_asking_again_is_joined_and_its_page_follows_the_first(ann):
    first, second = presses(ann, "access"), presses(ann, "access")
    page = read(second)
    assert "You had asked for this before" in page
    assert f"http://testserver/requests/{second.uuid}" in page
    assert "Prepared (now)" in page
    services.answer(request=first)
    assert "Complete since" in read(second)
    mine = read(RIGHTS, ann)
    assert "joined to your earlier request" in mine
    assert ": complete" in mine


def test_one_press_objects_to_the_uses_that_are_chosen(ann):
    planning, counting = PurposeFactory.create_batch(2, legal_basis=LegalBasis.PUBLIC_TASK)
    PurposeFactory(legal_basis=LegalBasis.CONTRACT)
    asked = presses(ann, "objection", purposes=[planning.key])
    said = ConsentDecision.objects.values_list("purpose__key", "kind")
    assert list(said) == [(planning.key, "objected")]
    page = read(asked)
    assert "Objected (done)" in page
    assert "Complete since" in page
    presses(ann, "objection", purposes=[planning.key, counting.key])
    assert ConsentDecision.objects.filter(purpose=counting).count() == 1


def test_one_press_restricts_and_one_lifts(ann):
    purpose = PurposeFactory(legal_basis=LegalBasis.CONTRACT)
    asked = presses(ann, "restriction")
    assert "In force since" in read(asked)
    assert "Your data is restricted since" in read(RIGHTS, ann)
    mine = read("/me", ann)
    assert "Your data is restricted. It is kept, and may be used for nothing." in mine
    assert f"{purpose.title} Your data may not be used for this." in mine
    assert ": in force" in mine
    for _ in range(2):
        assert ann.post(f"{RIGHTS}/lift").headers["Location"] == RIGHTS
    assert Restriction.objects.get().lifted_by == "person"
    page = read(asked)
    assert "Lifted on" in page
    assert "You lifted it. What you allow counts again." in page
    assert "Your data is restricted" not in read("/me", ann)
    assert ": lifted" in read("/me", ann)


def test_a_lifting_by_others_is_told_before(ann):
    asked = presses(ann, "restriction")
    restricting.announce_lifting(request=asked, reason="a private word")
    page = read(asked)
    assert "Going to be lifted (done) We told you so beforehand." in page
    assert "private word" not in page
    mailed(asked)
    restricting.lift(request=asked)
    assert "We lifted it. What you allow counts again." in read(asked)


def test_nobody_lifts_for_somebody_else(ann):
    presses(ann, "restriction")
    signed_in(BOB).post(f"{RIGHTS}/lift")
    assert Client().post(f"{RIGHTS}/lift").headers["Location"] == "/sign-in"
    assert Restriction.objects.get().until is None


def test_somebody_unknown_is_registered_by_asking_and_by_nothing_else(db):
    browser = signed_in(STRANGER)
    browser.get(RIGHTS)
    browser.post(f"{RIGHTS}/lift")
    assert not Subject.objects.exists()
    assert presses(browser, "restriction").subject == person(STRANGER)


def test_only_ones_own_requests_are_shown(ann):
    asked = presses(ann, "access")
    assert str(asked.uuid) in ann.get(RIGHTS).content.decode()
    assert "/requests/" not in signed_in(BOB).get(RIGHTS).content.decode()


def test_requests_are_listed_with_state_and_due_date(ann):
    asked = presses(ann, "access")
    assert (
        f"Request for a copy of your data Received {asked.received_at:%-d %B %Y}: being prepared; "
        f"due by {asked.due_at:%-d %B %Y}"
    ) in read(RIGHTS, ann)


def test_a_clock_that_stands_still_or_takes_longer_says_so(ann):
    asked = ask("access", person(ANN), verified=False)
    clock.pause(request=asked)
    page = read(asked)
    assert "The clock has stood still since" in page
    assert "due by" not in page
    assert "not confirmed yet; due by" not in read(RIGHTS, ann)
    assert "We do not know yet that it was you who asked." in page
    clock.resume(request=asked)
    clock.extend(request=asked, code="number_of_requests", text="a private word")
    page = read(asked)
    asked.refresh_from_db()
    assert f"It is due by {asked.due_at:%-d %B %Y}" in page
    assert "It takes longer than usual. We have to answer many requests." in page
    assert "You have the right to complain to a data protection authority" in page
    assert "private word" not in page


def test_a_refusal_tells_the_ground_and_where_to_complain(ann):
    asked = presses(ann, "access")
    refusing.refuse(request=asked, ground="art_12_5_excessive", text="a private word")
    page = read(asked)
    assert "Refused. The request is manifestly excessive" in page
    assert "Refused The request is manifestly excessive" in page
    assert "You have the right to complain to a data protection authority" in page
    assert "private word" not in page
    assert ": refused" in read(RIGHTS, ann)


def test_a_deletion_that_somebody_else_asked_for_is_confirmed_by_pressing_oneself(ann):
    first = ask("erasure", person(ANN), verified=False)
    assert "Yes, delete my data" in read("/me/erase", ann)
    answer = ann.post("/me/erase", {"key": uuid4()})
    second = RightsRequest.objects.latest("pk")
    assert answer.headers["Location"] == f"/requests/{second.uuid}"
    first.refresh_from_db()
    assert (second.duplicate_of, first.verified_at is None) == (first, False)
    assert ann.get("/me/erase").headers["Location"] == f"/requests/{first.uuid}"


def test_the_certificate_of_a_joined_erasure_is_that_of_the_first(tmp_path):
    made = library(tmp_path)
    browser = signed_in(ANN)
    browser.post("/me/erase", {"key": uuid4()})
    first = RightsRequest.objects.get()
    second = ask("erasure", person(ANN))
    carried_out(first)
    settled(first)
    assert made.loans.name in read(second)
    told = [Client().get(f"/requests/{each.uuid}/certificate.json") for each in (first, second)]
    mine, theirs = (each.json()["certificate"] for each in told)
    assert mine == theirs
    assert mine["request"] == str(first.uuid)


def test_after_the_erasure_the_page_of_rights_says_so_and_nothing_else(ann):
    ann.post("/me/erase", {"key": uuid4()})
    carried_out(RightsRequest.objects.get())
    for answer in (ann.get(RIGHTS), ann.post(RIGHTS, {"kind": "access", "key": uuid4()})):
        assert "Your data was erased" in text_of(answer.content)
    assert RightsRequest.objects.count() == 1


def test_a_late_copy_says_that_it_is_late(ann):
    asked = presses(ann, "access")
    past = timezone.now() - timedelta(days=1)
    RightsRequest.objects.update(received_at=past - timedelta(days=31), due_at=past)
    assert "and it is late" in read(asked)


@pytest.mark.parametrize("path", [RIGHTS, f"{RIGHTS}/lift"])
def test_nobody_keeps_or_lists_a_page_of_rights(ann, path):
    for browser in (ann, Client()):
        answer = browser.post(path)
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Robots-Tag"] == "noindex, nofollow"
