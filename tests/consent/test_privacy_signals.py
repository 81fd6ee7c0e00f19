"""A browser's Global Privacy Control objects for whoever uses it, where a policy says so."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from consent.models import ConsentDecision, Subject, SubjectKey
from consent.rules import DecisionKind, DecisionSource, Standing
from consent.selectors import decisions as selectors
from consent.services import decisions, signals
from governance.models import LedgerRecord, LegalBasis, Purpose
from governance.services import rules
from tests.consent.test_portal_my_data import forms_for, press, standing_of
from tests.factories.consent import registered
from tests.factories.governance import PurposeFactory
from tests.factories.portal import ANN, STRANGER, Library, library, person, signed_in, text_of

pytestmark = pytest.mark.django_db

GPC = {"Sec-GPC": "1"}
INTERESTS = LegalBasis.LEGITIMATE_INTERESTS


@pytest.fixture
def made(tmp_path) -> Library:
    return library(tmp_path)


def publish(*purposes: str, key: str = "signals", heeds: bool = True) -> None:
    need = {"purposes": list(purposes)} if purposes else {}
    needs = [need | {"privacy_signal": True}] if heeds else []
    draft = rules.draft_policy(key=key, title="Signals", text="We listen.", rules={"needs": needs})
    rules.publish_policy(policy=draft.policy)


def page(browser: Client, **headers: str) -> str:
    return text_of(browser.get("/me", headers=headers or GPC).content)


def said() -> list[tuple[str, str, str]]:
    found = ConsentDecision.objects.order_by("pk")
    return list(found.values_list("purpose__key", "kind", "source"))


def says(subject: Subject, purpose: Purpose, kind: str, source: str = "person", **more) -> None:
    decisions.record(
        subject=subject, purpose=purpose, kind=DecisionKind(kind), source=DecisionSource(source),
        decided_at=more.pop("at", timezone.now()), key=uuid4(), **more,
    )  # fmt: skip


def test_the_signal_is_recorded_once_as_an_objection_and_said_in_plain_words(made):
    publish("planning")
    browser = signed_in(ANN)
    assert said() == []
    first = page(browser)
    assert "Your browser sends Global Privacy Control, and by our policies that is" in first
    assert "your objection to: Planning which books to buy It is recorded, once." in first
    assert re.search(
        r"Your browser objected for you, by Global Privacy Control, on \d+ \w+ \d{4}, \d\d:\d\d",
        first,
    )
    for _ in range(2):
        assert page(browser) == page(browser)
    assert said() == [("planning", "objected", "signal")]
    assert standing_of(ANN, "planning") == Standing.OBJECTED
    assert list(LedgerRecord.objects.values_list("kind", flat=True)).count("decision.recorded") == 1


def test_one_press_takes_it_back_for_good(made):
    publish("planning")
    browser = signed_in(ANN)
    page(browser)
    press(browser, "planning", "Take back my objection")
    told = page(browser)
    assert "There is nothing left here for it to stop." in told
    assert said() == [("planning", "objected", "signal"), ("planning", "given", "person")]
    assert standing_of(ANN, "planning") == Standing.GIVEN
    assert set(forms_for(browser, "planning")) == {"Object"}


def test_a_yes_that_has_run_out_is_no_word_against_the_signal(made):
    publish("planning")
    ann, now = registered(("email", ANN)), timezone.now()
    day = timedelta(days=1)
    planning = Purpose.objects.get(key="planning")
    says(ann, planning, "given", at=now - 2 * day, valid_until=now - day)
    browser = signed_in(ANN)
    page(browser)
    page(browser)
    assert said() == [("planning", "given", "person"), ("planning", "objected", "signal")]
    assert standing_of(ANN, "planning") == Standing.OBJECTED


@pytest.mark.parametrize("sent", [{}, {"Sec-GPC": "0"}, {"Sec-GPC": "true"}, {"Sec-GPC": "11"}])
def test_what_is_no_signal_is_none(made, sent):
    publish("planning")
    told = text_of(signed_in(ANN).get("/me", headers=sent).content)
    assert "Global Privacy Control" not in told
    assert said() == []


def test_of_several_headers_one_is_enough(made):
    publish("planning")
    page(signed_in(ANN), **{"Sec-GPC": "0, 1"})
    assert said() == [("planning", "objected", "signal")]


@pytest.mark.parametrize("heeds", [False, None])
def test_where_no_policy_says_what_it_means_it_changes_nothing_and_the_page_says_so(made, heeds):
    if heeds is not None:
        publish("planning")
        publish("planning", heeds=False)  # the version in force does not
    assert "No policy here says what that means, so it changes nothing." in page(signed_in(ANN))
    assert said() == []


@pytest.mark.parametrize("source", ["person", "import"])
@pytest.mark.parametrize("kind", ["given", "refused"])
def test_what_was_said_by_or_for_the_person_is_not_touched(made, kind, source):
    publish("planning", "suggestions")
    ann = registered(("email", ANN))
    says(ann, Purpose.objects.get(key="planning"), kind, source)
    page(signed_in(ANN))
    assert said() == [("planning", kind, source), ("suggestions", "objected", "signal")]


def test_a_word_on_a_wider_purpose_counts_for_what_is_part_of_it(made):
    wide = PurposeFactory(key="wide", legal_basis=INTERESTS)
    PurposeFactory(key="part", legal_basis=INTERESTS, parent=wide)
    publish("part")
    says(registered(("email", ANN)), wide, "given")
    page(signed_in(ANN))
    assert said() == [("wide", "given", "person")]


def test_the_widest_purpose_stands_for_its_parts_and_leaves_what_was_said_of_a_part(made):
    wide = PurposeFactory(key="wide", legal_basis=INTERESTS)
    part = PurposeFactory(key="part", legal_basis=INTERESTS, parent=wide)
    PurposeFactory(key="other", legal_basis=INTERESTS, parent=wide)
    publish("wide", "part")
    ann = registered(("email", ANN))
    says(ann, part, "given", at=timezone.now() - timedelta(days=1))
    page(signed_in(ANN))
    assert said()[1:] == [("wide", "objected", "signal")]
    stands = {key: standing_of(ANN, key) for key in ("wide", "part", "other")}
    assert stands == {
        "wide": Standing.OBJECTED, "part": Standing.GIVEN, "other": Standing.OBJECTED,
    }  # fmt: skip
    now = timezone.now()
    assert ann.pk not in selectors.excluded_from([ann.pk], part, now)
    assert ann.pk in selectors.excluded_from([ann.pk], wide, now)


def test_a_policy_that_names_no_purpose_means_all_that_give_way_to_an_objection(made):
    publish()
    page(signed_in(ANN))
    # Lending rests on a contract; what is part of it, on an interest.
    assert sorted(said()) == [("planning", "objected", "signal"),
                              ("suggestions", "objected", "signal")]  # fmt: skip


def test_an_earlier_word_that_is_taken_over_later_still_counts(made):
    publish("planning")
    page(signed_in(ANN))
    planning = Purpose.objects.get(key="planning")
    ann = person(ANN)
    assert ann.pk in selectors.excluded_from([ann.pk], planning, timezone.now())
    says(ann, planning, "given", "import", at=timezone.now() - timedelta(days=9))
    assert standing_of(ANN, "planning") == Standing.GIVEN
    assert ann.pk not in selectors.excluded_from([ann.pk], planning, timezone.now())


def test_for_somebody_known_from_a_list_the_objection_is_recorded(made):
    publish("planning")
    assert not SubjectKey.objects.exists()
    people = Subject.objects.count()
    browser = signed_in(ANN)
    page(browser)
    assert Subject.objects.count() == people
    assert SubjectKey.objects.get().subject == person(ANN)
    assert said() == [("planning", "objected", "signal")]
    press(browser, "planning", "Take back my objection")
    assert standing_of(ANN, "planning") == Standing.GIVEN


def test_somebody_whom_nobody_knows_is_not_written_down_before_they_decide(made):
    publish("planning")
    before = Subject.objects.count()
    browser = signed_in(STRANGER)
    told = page(browser)
    assert "that would be your objection to: Planning which books to buy Nothing here is" in told
    assert (Subject.objects.count(), said()) == (before, [])
    sent = forms_for(browser, "suggestions")["Say no"]
    browser.post("/me/decisions", sent, headers=GPC)
    assert said() == [("suggestions", "refused", "person")]
    page(browser)
    assert said()[1:] == [("planning", "objected", "signal")]


@pytest.mark.django_db(transaction=True)
def test_two_pages_at_once_record_it_once():
    PurposeFactory(key="planning", legal_basis=INTERESTS)
    publish("planning")
    ann = registered(("email", ANN))

    def heed(_: int) -> None:
        try:
            signals.heed(subject=ann, at=timezone.now())
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(heed, range(8)))
    assert said() == [("planning", "objected", "signal")]


def test_the_policy_says_it_to_everybody():
    PurposeFactory(key="planning")
    publish("planning")
    told = text_of(Client().get("/policies/signals").content)
    assert "A browser that sends Global Privacy Control says no for the person who uses it" in told


def support() -> dict:
    answer = Client().get("/.well-known/gpc.json")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert not answer.cookies
    return answer.json()


def test_support_is_declared_only_while_a_policy_in_force_heeds_the_signal():
    assert support() == {"gpc": False}
    rules.draft_policy(
        key="signals", title="S", text="S", rules={"needs": [{"privacy_signal": True}]}
    )
    assert support() == {"gpc": False}
    publish()
    assert support() == {"gpc": True, "lastUpdate": timezone.now().date().isoformat()}
    publish(heeds=False)
    assert support() == {"gpc": False}
