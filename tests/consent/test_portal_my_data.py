"""A person's own page: what is on record, and every decision in one press."""

import re
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from consent.models import ConsentDecision, RightsRequest, Subject
from consent.rules import Standing
from consent.selectors import decisions, portal
from consent.services import notices
from governance.models import LegalBasis, Purpose
from tests.factories.consent import registered
from tests.factories.events import run
from tests.factories.governance import PurposeFactory
from tests.factories.portal import (
    ANN,
    BOB,
    STRANGER,
    Library,
    carried_out,
    learn,
    library,
    named,
    person,
    settled,
    signed_in,
    text_of,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def made(tmp_path) -> Library:
    return library(tmp_path)


def forms_for(browser: Client, purpose: str) -> dict[str, dict[str, str]]:
    """Return what each button about a purpose would send, by its label."""
    page = browser.get("/me").content.decode()
    found = {}
    for form in re.findall(r'<form method="post" action="/me/decisions">(.*?)</form>', page, re.S):
        sent = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))
        if sent["purpose"] == purpose:
            label = re.search(r"<button[^>]*>([^<]+)</button>", form)
            found[label[1]] = sent
    return found


def press(browser: Client, purpose: str, label: str):
    return browser.post("/me/decisions", forms_for(browser, purpose)[label])


def standing_of(address: str, purpose: str) -> Standing:
    now = timezone.now()
    return decisions.standing(person(address), Purpose.objects.get(key=purpose), now)


def test_a_person_sees_the_data_sets_that_hold_them_with_kinds_and_since_when(made):
    page = text_of(signed_in(ANN).get("/me").content)
    assert (
        "public.loans postgres://lending What was borrowed, and when it came back. "
        "Kinds of data loans, contact Since 1 June 2026" in page
    )


def test_a_person_sees_the_models_with_certainty_and_the_way(made):
    page = text_of(signed_in(ANN).get("/me").content)
    assert (
        "what-to-read-next 1.0 models Suggests the next book. Trained 1 June 2026, 12:29 UTC"
        in page
    )
    assert "How sure Inferred. Data that names you flowed here." in page
    assert (
        "public.loans holds your data features/reading-history/2026 written by "
        "nightly.build_features what-to-read-next written by train.suggestions" in page
    )
    assert (
        "late-returns 1.0 models Trained 1 June 2026, 12:06 UTC How sure Proven. A list of" in page
    )


def test_a_failed_training_is_shown_as_one_that_has_read(made):
    model = named("models", "abandoned", model=True)
    reads = [named("postgres://lending", "public.loans")]
    learn(run("train.abandoned", 30, 31, reads=reads, writes=[model], kind="FAIL"))
    page = text_of(signed_in(ANN).get("/me").content)
    assert "12:31 UTC. This training failed. It had read the data." in page


def test_somebody_unknown_is_told_that_nothing_holds_their_data_and_is_not_written_down(made):
    before = Subject.objects.count()
    page = text_of(signed_in(STRANGER).get("/me").content)
    assert "Nothing here holds your data." in page
    assert "No data set holds your data now." in page
    assert "No model on record was made of your data." in page
    assert "public.loans" not in page
    assert Subject.objects.count() == before


def test_one_press_gives_and_one_press_withdraws(made):
    browser = signed_in(ANN)
    assert set(forms_for(browser, "suggestions")) == {"Give permission", "Say no"}
    answer = press(browser, "suggestions", "Give permission")
    assert answer.headers["Location"] == "/me#purpose-suggestions"
    assert standing_of(ANN, "suggestions") == Standing.GIVEN
    assert set(forms_for(browser, "suggestions")) == {"Withdraw permission"}
    press(browser, "suggestions", "Withdraw permission")
    assert standing_of(ANN, "suggestions") == Standing.WITHDRAWN
    assert set(forms_for(browser, "suggestions")) == {"Give permission"}
    said = ConsentDecision.objects.order_by("pk")
    assert [(each.kind, each.notice_version, each.source) for each in said] == [
        ("given", made.notice, "person"),
        ("withdrawn", made.notice, "person"),
    ]


def test_the_page_tells_what_was_said_when_and_on_which_text(made):
    browser = signed_in(ANN)
    press(browser, "suggestions", "Give permission")
    page = text_of(browser.get("/me").content)
    assert "Your decision is recorded. It counts from now on." in page
    assert re.search(r"You gave your permission on \d+ \w+ \d{4}, \d\d:\d\d UTC", page)
    assert "You had read: “Suggestions from your loans”, version 1, published" in page


def test_pressing_twice_records_once(made):
    browser = signed_in(ANN)
    sent = forms_for(browser, "suggestions")["Give permission"]
    for _ in range(2):
        assert browser.post("/me/decisions", sent).status_code == 302
    assert ConsentDecision.objects.get().idempotency_key == UUID(sent["key"])


def test_a_key_that_stands_for_another_decision_changes_nothing(made):
    browser = signed_in(ANN)
    sent = forms_for(browser, "suggestions")["Give permission"]
    browser.post("/me/decisions", sent)
    answer = browser.post("/me/decisions", sent | {"kind": "withdrawn"})
    assert answer.status_code == 409
    assert b"Nothing was changed" in answer.content
    assert ConsentDecision.objects.get().kind == "given"


def test_pressing_withdraw_late_still_withdraws(made):
    first, second = signed_in(ANN), signed_in(ANN)
    press(first, "suggestions", "Give permission")
    kept = forms_for(second, "suggestions")["Withdraw permission"]
    press(first, "suggestions", "Withdraw permission")
    assert second.post("/me/decisions", kept).status_code == 302
    assert standing_of(ANN, "suggestions") == Standing.WITHDRAWN


def test_a_yes_counts_only_for_the_text_that_was_shown(made):
    browser = signed_in(ANN)
    old = forms_for(browser, "suggestions")["Give permission"]
    draft = notices.draft(
        key="suggestions", language="en", title="Another text", text="We do more now.",
        purposes=[made.suggest],
    )  # fmt: skip
    notices.publish(uuid=draft.uuid)
    assert browser.post("/me/decisions", old).status_code == 409
    assert not ConsentDecision.objects.exists()
    press(browser, "suggestions", "Give permission")
    assert ConsentDecision.objects.get().notice_version == draft


def test_without_a_text_there_is_nothing_to_agree_to_and_one_can_still_say_no(made):
    PurposeFactory(key="untold", title="Something untold")
    browser = signed_in(ANN)
    assert set(forms_for(browser, "untold")) == {"Say no"}
    sent = forms_for(browser, "untold")["Say no"]
    assert browser.post("/me/decisions", sent | {"kind": "given"}).status_code == 409
    press(browser, "untold", "Say no")
    assert standing_of(ANN, "untold") == Standing.REFUSED


def test_one_can_object_to_a_legitimate_interest_and_take_it_back(made):
    browser = signed_in(ANN)
    assert set(forms_for(browser, "planning")) == {"Object"}
    press(browser, "planning", "Object")
    assert standing_of(ANN, "planning") == Standing.OBJECTED
    assert "You objected on" in text_of(browser.get("/me").content)
    press(browser, "planning", "Take back my objection")
    assert standing_of(ANN, "planning") == Standing.GIVEN


@pytest.mark.parametrize("kind", ["given", "withdrawn", "objected", "refused"])
def test_what_rests_on_a_contract_has_no_button_and_takes_no_decision(made, kind):
    browser = signed_in(ANN)
    assert forms_for(browser, "lending") == {}
    sent = {"purpose": "lending", "kind": kind, "key": str(uuid4())}
    assert browser.post("/me/decisions", sent).status_code == 409
    assert not ConsentDecision.objects.exists()


@pytest.mark.parametrize(
    "change",
    [{"purpose": "unknown"}, {"purpose": ""}, {"kind": "maybe"}, {"key": "1"}, {"notice": "x"}],
)
def test_a_form_that_we_did_not_write_changes_nothing(made, change):
    browser = signed_in(ANN)
    sent = forms_for(browser, "suggestions")["Give permission"] | change
    assert browser.post("/me/decisions", sent).status_code == 409
    assert not ConsentDecision.objects.exists()


def test_deciding_needs_the_token_of_the_page(made):
    browser = signed_in(ANN, Client())
    sent = forms_for(browser, "suggestions")["Give permission"]
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = browser.cookies
    assert strict.post("/me/decisions", sent | {"csrfmiddlewaretoken": "x" * 64}).status_code == 403
    assert strict.post("/me/decisions", sent).status_code == 302
    assert ConsentDecision.objects.count() == 1


def test_deciding_registers_somebody_who_was_unknown(made):
    browser = signed_in(STRANGER)
    press(browser, "suggestions", "Say no")
    subject = person(STRANGER)
    assert standing_of(STRANGER, "suggestions") == Standing.REFUSED
    assert dict(browser.session)["portal.person"] == str(subject.uuid)
    assert "portal.address" not in browser.session


def test_deciding_gives_a_key_to_somebody_known_from_a_list_only(made):
    browser = signed_in(BOB)
    assert not portal.is_registered(person(BOB))
    press(browser, "suggestions", "Say no")
    assert portal.is_registered(person(BOB))
    assert "public.loans" in text_of(browser.get("/me").content)


def test_a_wider_no_is_told_with_the_purpose_it_was_about(made):
    research = PurposeFactory(key="research", title="Research", legal_basis=LegalBasis.PUBLIC_TASK)
    PurposeFactory(
        key="study", title="One study", legal_basis=LegalBasis.PUBLIC_TASK, parent=research
    )
    browser = signed_in(ANN)
    press(browser, "research", "Object")
    page = text_of(browser.get("/me").content)
    study = page[page.index("One study Part of: Research") :]
    assert study.startswith("One study Part of: Research Your data may not be used for this.")
    assert "for the whole of “Research”" in study


def test_only_ones_own_decisions_and_requests_are_shown(made):
    ann, bob = signed_in(ANN), signed_in(BOB)
    press(ann, "suggestions", "Give permission")
    ann.post("/me/erase", {"key": uuid4()})
    request = RightsRequest.objects.get()
    assert str(request.uuid) in ann.get("/me").content.decode()
    page = bob.get("/me").content.decode()
    assert str(request.uuid) not in page
    assert "You gave your permission" not in page
    assert "/requests/" not in page


def test_once_deletion_is_asked_for_no_permission_can_be_given(made):
    browser = signed_in(ANN)
    before = forms_for(browser, "suggestions")["Give permission"]
    browser.post("/me/erase", {"key": uuid4()})
    assert forms_for(browser, "suggestions") == {}
    assert browser.post("/me/decisions", before).status_code == 409
    assert standing_of(ANN, "suggestions") == Standing.WITHDRAWN


def test_after_the_erasure_the_open_session_and_a_new_one_show_the_same_and_nothing_else(made):
    open_since_before = signed_in(ANN)
    open_since_before.post("/me/erase", {"key": uuid4()})
    request = RightsRequest.objects.get()
    carried_out(request)
    settled(request)
    assert RightsRequest.objects.get().forgotten_at is not None
    for browser in (open_since_before, signed_in(ANN)):
        for address in ("/me", "/me/erase"):
            page = text_of(browser.get(address).content)
            assert "Your data was erased" in page
            assert f"It was erased on {timezone.now():%-d %B %Y}" in page
            assert "public.loans" not in page
            assert "suggestions" not in page
        sent = {"purpose": "suggestions", "kind": "refused", "key": str(uuid4())}
        assert "Your data was erased" in text_of(browser.post("/me/decisions", sent).content)


def test_a_person_without_anything_reads_the_page_in_a_bounded_number_of_queries(
    made, django_assert_max_num_queries
):
    browser = signed_in(STRANGER)
    with django_assert_max_num_queries(20):
        browser.get("/me")


def test_further_purposes_cost_no_further_queries(made):
    registered(("email", STRANGER))
    browser = signed_in(STRANGER)
    with CaptureQueriesContext(connection) as few:
        browser.get("/me")
    PurposeFactory.create_batch(20)
    with CaptureQueriesContext(connection) as many:
        browser.get("/me")
    assert len(few) == len(many)
