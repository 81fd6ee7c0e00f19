"""Asking for deletion and following it: what is told, to whom, and that it is true."""

import json
import re
from datetime import timedelta
from itertools import chain
from uuid import uuid4

import pytest
from django.db.models import F
from django.test import Client
from django.utils import timezone

from consent.models import ConsentDecision, ErasureStep, RightsRequest, Subject
from consent.selectors import requests
from consent.services import planning
from consent.services.settling import settle_step
from governance.models import Dataset
from governance.services import ledger
from tests.factories.portal import (
    ANN,
    BOB,
    STRANGER,
    Library,
    carried_out,
    library,
    person,
    retrained,
    settled,
    signed_in,
    text_of,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def made(tmp_path) -> Library:
    return library(tmp_path)


@pytest.fixture
def ann(made) -> Client:
    return signed_in(ANN)


@pytest.fixture
def asked(ann) -> RightsRequest:
    ann.post("/me/erase", {"key": uuid4()})
    return RightsRequest.objects.get()


def read(asked: RightsRequest, more: str = "", browser: Client | None = None) -> str:
    answer = (browser or Client()).get(f"/requests/{asked.uuid}{more}")
    assert answer.status_code == 200
    return text_of(answer.content)


def test_the_page_before_says_what_will_happen_by_name_and_changes_nothing(ann):
    page = text_of(ann.get("/me/erase").content)
    for words in (
        "At once, every use stops",
        "These data sets name you, and each one that was made from them is searched too: public",
        "what-to-read-next 1.0 late-returns 1.0",
        "it cannot be undone",
        "A fingerprint of your address",
    ):
        assert words in page
    assert not RightsRequest.objects.exists()
    assert not ConsentDecision.objects.exists()


def test_one_confirmation_opens_a_verified_request_and_leads_to_it(ann):
    answer = ann.post("/me/erase", {"key": uuid4()})
    asked = RightsRequest.objects.get()
    assert answer.headers["Location"] == f"/requests/{asked.uuid}"
    assert (asked.subject, asked.kind) == (person(ANN), "erasure")
    assert asked.verified_at is not None
    assert set(asked.subject.decisions.values_list("kind", flat=True)) == {"withdrawn", "objected"}


def test_confirming_twice_opens_one_request(ann):
    key = uuid4()
    answers = [ann.post("/me/erase", {"key": each}) for each in (key, key, uuid4())]
    asked = RightsRequest.objects.get()
    assert {each.headers["Location"] for each in answers} == {f"/requests/{asked.uuid}"}
    assert ann.get("/me/erase").headers["Location"] == f"/requests/{asked.uuid}"


def test_a_confirmation_without_its_key_opens_nothing(ann):
    assert ann.post("/me/erase").status_code == 400
    assert not RightsRequest.objects.exists()


def test_somebody_unknown_can_ask_and_is_registered_by_it(made):
    browser = signed_in(STRANGER)
    assert "No data set names you now." in text_of(browser.get("/me/erase").content)
    browser.post("/me/erase", {"key": uuid4()})
    assert RightsRequest.objects.get().subject == person(STRANGER)


def test_somebody_known_from_a_list_only_can_ask(made):
    browser = signed_in(BOB)
    assert browser.post("/me/erase", {"key": uuid4()}).status_code == 302
    assert RightsRequest.objects.get().subject == person(BOB)


def test_the_link_alone_shows_the_request_and_does_not_say_who_asked(asked):
    page = read(asked)
    assert "Request for deletion" in page
    assert "Keep this link. Once your data is deleted you cannot sign in any more" in page
    assert f"http://testserver/requests/{asked.uuid}" in page
    for more in ("", "/certificate", "/certificate.json"):
        raw = Client().get(f"/requests/{asked.uuid}{more}").content.decode()
        assert ANN not in raw
        assert str(asked.subject.uuid) not in raw


def test_the_link_lets_nobody_do_anything(asked):
    stranger = Client()
    for more in ("", "/certificate", "/certificate.json"):
        assert stranger.post(f"/requests/{asked.uuid}{more}").status_code == 405
    assert stranger.get("/me").headers["Location"] == "/sign-in"
    assert "portal.signed_in" not in stranger.session


def test_a_link_that_was_not_copied_whole_is_not_found(asked):
    for wrong in (uuid4(), str(asked.uuid)[:-1], f"{asked.uuid}0"):
        for more in ("", "/certificate", "/certificate.json"):
            assert Client().get(f"/requests/{wrong}{more}").status_code == 404


def test_before_the_plan_the_stations_say_what_is_done_now_and_to_come(asked):
    page = read(asked)
    for words in (
        "Received (done)",
        "Identity confirmed (done)",
        "Planned (now)",
        "Erased and read again (still to come)",
        "Key destroyed (still to come)",
        "Models made good (still to come)",
        "Complete (still to come) Once nothing is outstanding.",
        f"Under way. It is due by {asked.due_at:%-d %B %Y}.",
        "What is outstanding The plan:",
    ):
        assert words in page
    assert "Certificate" not in page


def test_a_request_whose_identity_is_not_confirmed_says_that_nothing_happens_before(asked):
    RightsRequest.objects.update(verified_at=None)
    page = read(asked)
    assert "Identity confirmed (now)" in page
    assert "Nothing is erased before we do." in page


def test_what_stands_in_the_way_is_named(made, asked):
    carried_out(asked)
    page = read(asked)
    assert "Erased and read again (now) 1 of 2 data sets." in page
    assert "features/reading-history/2026: Nobody has told us yet where this data set lies." in page
    assert "what-to-read-next 1.0: Waits for a training without your data." in page
    assert "late-returns 1.0: Waits for a training without your data." in page
    assert "Your key: it is destroyed once nothing of yours is left to erase." in page
    assert "public.loans: " not in page
    assert "Erased. The place was read again, and nothing of you is left." in page


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("storage_disabled", "is switched off"),
        ("storage_read_only", "can only be read"),
        ("rows_remain", "rows about you were still there"),
        ("something_new", "is not as it was registered"),
    ],
)
def test_every_obstacle_has_words(asked, code, words):
    carried_out(asked)
    ErasureStep.objects.filter(state="blocked").update(code=code)
    page = read(asked)
    assert words in page
    assert code not in page


def test_after_the_erasure_the_models_are_still_outstanding(asked):
    carried_out(asked)
    settled(asked)
    page = read(asked)
    assert "Erased and read again (done) 2 of 2 data sets." in page
    assert "Key destroyed (done)" in page
    assert "Models made good (now) 0 of 2 model versions." in page
    assert (
        "Erased by a person, who put that on record. It rests on their word: the place was not "
        "read again. Reason on record: by_hand."
    ) in page
    assert "Complete since" not in page


def test_a_later_training_without_the_data_completes_the_request(asked):
    carried_out(asked)
    settled(asked)
    retrained()
    carried_out(asked)
    assert requests.standing(asked.uuid).completed_at is not None
    page = read(asked)
    assert "Complete since" in page
    assert "Complete (done) Nothing is outstanding." in page
    assert "Made good: a later version was trained without your data. Version 2.0." in page
    assert "What is outstanding" not in page
    assert "(now)" not in page


def test_what_lawfully_stays_is_told_and_keeps_the_key(asked):
    carried_out(asked)
    for step in asked.steps.filter(state="blocked"):
        settle_step(step=step, outcome=ErasureStep.Outcome.EXEMPT, code="art_17_3_b", reason="tax")
    carried_out(asked)
    page = read(asked)
    assert "Kept, because a law says so. Reason on record: art_17_3_b." in page
    assert "Key destroyed (done) Kept, because some of your data lawfully stays" in page
    assert Subject.objects.get(pk=asked.subject_id).erased_at is None


def test_a_late_request_says_that_it_is_late(asked):
    RightsRequest.objects.update(
        received_at=F("received_at") - timedelta(days=90), due_at=F("due_at") - timedelta(days=90)
    )
    assert "and it is late" in read(asked)


def test_a_refusal_says_so_with_its_reason(asked):
    RightsRequest.objects.update(refused_at=timezone.now(), refusal_code="art_17_3_e")
    page = read(asked)
    assert "Refused. Your data is kept because legal claims depend on it" in page
    assert "You have the right to complain to a data protection authority" in page
    assert "Refused Your data is kept because legal claims depend on it" in page
    assert "still to come" not in page


def test_a_request_that_concerns_nothing_says_that(made):
    signed_in(STRANGER).post("/me/erase", {"key": uuid4()})
    asked = RightsRequest.objects.get()
    carried_out(asked)
    page = read(asked)
    assert "No data set is concerned." in page
    assert "No model version is concerned." in page
    assert "Complete since" in page


def test_the_certificate_says_in_words_what_the_one_for_machines_says(asked):
    carried_out(asked)
    page = read(asked, "/certificate")
    issued = json.loads(Client().get(f"/requests/{asked.uuid}/certificate.json").content)
    told = issued["certificate"]
    assert "Not complete. It states how far the erasure is." in page
    assert told["state"] == "erasing"
    assert told["request"] == str(asked.uuid)
    assert len(told["ledger"]) >= 5
    for each in told["ledger"]:
        assert each["record"] in page
        entry = f"{each['kind']} entry {each['proof']['index']} of {each['proof']['size']}"
        assert entry in page
    for each in told["datasets"] + told["models"]:
        assert each["name"] in page


def test_a_record_without_a_number_is_said_to_wait_for_it(asked):
    planning.plan(asked.pk)
    assert "waits for its number" in read(asked, "/certificate")
    while ledger.sequence():
        pass
    assert "waits for its number" not in read(asked, "/certificate")


@pytest.mark.parametrize("more", ["", "/certificate", "/certificate.json"])
def test_nobody_keeps_or_lists_a_page_about_a_request(asked, more):
    answer = Client().get(f"/requests/{asked.uuid}{more}")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Robots-Tag"] == "noindex, nofollow"
    assert answer.headers["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize("address", ["/sign-in", "/sign-in/code", "/me", "/me/erase"])
def test_nobody_keeps_or_lists_a_page_about_a_person(made, address):
    for browser in (Client(), signed_in(ANN)):
        answer = browser.get(address)
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Robots-Tag"] == "noindex, nofollow"


def test_what_thousands_of_data_sets_were_made_of_is_read_by_pages(asked):
    planning.plan(asked.pk)
    before = asked.steps.count()
    many = Dataset.objects.bulk_create(
        Dataset(namespace="lake", name=f"derived {n:03}") for n in range(100)
    )
    ErasureStep.objects.bulk_create(
        ErasureStep(request=asked, dataset=each, position=9, certainty="inferred") for each in many
    )
    assert asked.steps.count() == before + 100

    def names(more: str) -> list[str]:
        return re.findall(r"derived \d{3} lake", read(asked, more))

    told = [names(f"?datasets={n}") for n in (1, 2, 3)]
    assert [len(each) for each in told] == [50 - before, 50, before]
    assert sorted(chain(*told)) == [f"{each.name} lake" for each in many]
    assert (names(""), names("?datasets=x"), names("?datasets=99")) == (told[0], told[0], told[2])
    assert "Page 1 of 3" in read(asked)
    assert "derived 099: " not in read(asked)
    assert "derived 099: " in read(asked, "?outstanding=3")
    assert len(json.loads(Client().get(f"/requests/{asked.uuid}/certificate.json").content)
               ["certificate"]["datasets"]) == before + 100  # fmt: skip
