"""Standard purposes are added where they are missing, and nothing that is there is changed."""

import io
import json

import pytest
from django.core.management import CommandError, call_command

from governance import iris
from governance.models import Purpose
from governance.selectors import rules as selectors
from governance.services import rules
from governance.standard_purposes import STANDARD
from tests.factories.governance import PurposeFactory

# As in the vocabularies' files of version 2.3: dpv/modules/purposes, ai/modules/development and
# ai/modules/lifecycle.
IN_DPV = {
    "https://w3id.org/dpv#Personalisation", "https://w3id.org/dpv#ResearchAndDevelopment",
    "https://w3id.org/dpv/ai#DataOperation", "https://w3id.org/dpv/ai#ModelTraining",
    "https://w3id.org/dpv/ai#ModelFineTuning", "https://w3id.org/dpv/ai#ValidationStage",
}  # fmt: skip
TREE = {
    "ai": None, "ai-training": "ai", "ai-fine-tuning": "ai-training", "ai-evaluation": "ai",
    "personalisation": None, "research": None,
}  # fmt: skip


def add(*said: str, **options) -> list[dict]:
    told = io.StringIO()
    call_command("add_purposes", *said, "--json", stdout=told, **options)
    return [json.loads(line) for line in told.getvalue().splitlines()]


def states(told: list[dict]) -> dict[str, str]:
    return {each["key"]: each["state"] for each in told}


def tree() -> dict[str, str | None]:
    return dict(Purpose.objects.order_by("pk").values_list("key", "parent__key"))


def test_they_have_addresses_that_exist_and_parents_before_them():
    assert {each.dpv_iri for each in STANDARD} == IN_DPV
    assert {each.key: each.parent or None for each in STANDARD} == TREE
    assert list(TREE) == [each.key for each in STANDARD]


@pytest.mark.django_db
def test_all_are_added_once_resting_on_consent(recorded):
    first = add()
    assert states(first) == dict.fromkeys(TREE, "added")
    assert tree() == TREE
    assert set(Purpose.objects.values_list("legal_basis", flat=True)) == {"consent"}
    assert states(add()) == dict.fromkeys(TREE, "there")
    assert recorded() == ["purpose.created"] * len(TREE)
    assert first[2] == {
        "key": "ai-fine-tuning", "title": "Fine-tuning AI models that exist",
        "dpv_iri": "https://w3id.org/dpv/ai#ModelFineTuning", "parent": "ai-training",
        "legal_basis": "consent", "state": "added",
    }  # fmt: skip


@pytest.mark.django_db
def test_a_dry_run_says_what_it_would_do_and_does_nothing(recorded):
    told = add("--dry-run", "--basis", "research=public_task")
    assert states(told) == dict.fromkeys(TREE, "missing")
    assert told[-1]["legal_basis"] == "public_task"
    assert not Purpose.objects.exists()
    assert recorded() == []


@pytest.mark.django_db
def test_grounds_are_chosen_for_all_or_for_one():
    add("--legal-basis", "legitimate_interests", "--basis", "research=public_task")
    grounds = dict(Purpose.objects.values_list("key", "legal_basis"))
    assert grounds.pop("research") == "public_task"
    assert set(grounds.values()) == {"legitimate_interests"}


@pytest.mark.django_db
def test_what_is_there_is_not_changed_and_the_rest_goes_below_it():
    above = PurposeFactory(key="everything")
    mine = PurposeFactory(
        key="ai-training", title="Ours", dpv_iri="https://w3id.org/dpv/ai#ModelTraining",
        legal_basis="contract", parent=above,
    )  # fmt: skip
    told = add()
    assert states(told) == {**dict.fromkeys(TREE, "added"), "ai-training": "there"}
    assert told[1]["legal_basis"] == "contract"
    mine.refresh_from_db()
    assert (mine.title, mine.legal_basis, mine.parent) == ("Ours", "contract", above)
    assert Purpose.objects.get(key="ai-fine-tuning").parent == mine


@pytest.mark.django_db
def test_nothing_is_put_below_a_key_that_stands_for_something_else():
    PurposeFactory(key="ai", dpv_iri="https://w3id.org/dpv#Marketing")
    assert states(add()) == {
        "ai": "other", "ai-training": "left_out", "ai-fine-tuning": "left_out",
        "ai-evaluation": "left_out", "personalisation": "added", "research": "added",
    }  # fmt: skip
    assert set(tree()) == {"ai", "personalisation", "research"}


@pytest.mark.django_db
@pytest.mark.parametrize("said", ["other=consent", "research=because", "research", "="])
def test_a_ground_for_nothing_or_none_at_all_is_refused(said):
    with pytest.raises(CommandError):
        add("--basis", said)
    assert not Purpose.objects.exists()


@pytest.mark.django_db
def test_people_can_read_it_in_lines():
    told = io.StringIO()
    call_command("add_purposes", stdout=told)
    lines = told.getvalue().splitlines()
    assert len(lines) == len(TREE)
    assert all(line.endswith(" added") for line in lines)


@pytest.mark.django_db
def test_an_organisation_adds_its_own_below(recorded):
    add()
    made = rules.create_purpose(
        key="triage", title="Triage", dpv_iri="urn:example:triage", legal_basis="consent",
        parent=selectors.purpose("ai-training"),
    )  # fmt: skip
    assert [each.key for each in selectors.chains()[made.thing.pk]] == [
        "triage",
        "ai-training",
        "ai",
    ]


@pytest.mark.django_db
def test_purposes_within_each_other_are_bounded():
    parent = None
    for level in range(rules.MOST_LEVELS):
        parent = rules.create_purpose(
            key=f"level-{level}", title="x", dpv_iri="https://w3id.org/dpv#Purpose",
            legal_basis="consent", parent=parent,
        ).thing  # fmt: skip
    with pytest.raises(rules.PurposeTooDeepError):
        rules.create_purpose(
            key="deeper", title="x", dpv_iri="https://w3id.org/dpv#Purpose",
            legal_basis="consent", parent=parent,
        )  # fmt: skip
    assert Purpose.objects.count() == rules.MOST_LEVELS


@pytest.mark.parametrize(
    "text",
    ["https://w3id.org/dpv#Research", "http://example.org", "https://例え.jp/目的?x=%20#y",
     "urn:example:a", "URN:uuid:6f9619ff-8b86-d011-b42d-00c04fc964ff", "https://[::1]:8080/x"],
)  # fmt: skip
def test_whole_addresses_are_taken(text):
    assert iris.is_absolute(text)


@pytest.mark.parametrize(
    "text",
    ["", "Research", "dpv:Research", "/dpv#Research", "//w3id.org/dpv", "https:", "https://",
     "https:///x", "https://a b/", "https://a/\n", "https://a/\x00", "https://a/\u202e", " https://a",
     "https://a/<b>", 'https://a/"', "https://a/%zz", "https://a/%2", "https://[::1", "https://a:x/",
     "https://user:secret@a/", "javascript:alert(1)", "urn:x", "urn::x", "urn:a:x", "mailto:a@b.c",
     "https://a/\ud800"],
)  # fmt: skip
def test_what_is_no_whole_address_is_refused(text):
    assert not iris.is_absolute(text)
