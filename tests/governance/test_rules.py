import hashlib

import pytest
import rfc8785
from django.db import IntegrityError, connection, transaction

from governance.errors import NotFoundError
from governance.keys import organisation_key
from governance.models import LedgerRecord, Policy, PolicyVersion, Purpose
from governance.selectors import rules as selectors
from governance.selectors.ledger import opened
from governance.services import rules
from tests.factories.governance import PurposeFactory

pytestmark = pytest.mark.django_db

PURPOSE = {
    "key": "research",
    "title": "Research",
    "dpv_iri": "https://w3id.org/dpv#ResearchAndDevelopment",
    "legal_basis": "consent",
}


def test_a_purpose_is_created_once(recorded):
    parent = PurposeFactory(key="all")
    made = rules.create_purpose(**PURPOSE, parent=parent)
    again = rules.create_purpose(**PURPOSE, parent=parent)
    assert (made.created, again.created) == (True, False)
    assert made.thing == again.thing == selectors.purpose("research")
    assert made.thing.parent == parent
    assert recorded() == ["purpose.created"]


@pytest.mark.parametrize("change", [{"title": "Other"}, {"legal_basis": "contract"}])
def test_a_purpose_is_never_redefined(change, recorded):
    rules.create_purpose(**PURPOSE)
    with pytest.raises(rules.PurposeKeyTakenError) as refusal:
        rules.create_purpose(**PURPOSE | change)
    assert (refusal.value.code, refusal.value.status) == ("purpose_key_taken", 409)
    assert Purpose.objects.get().title == "Research"
    assert recorded() == ["purpose.created"]


def test_a_draft_is_rewritten_until_it_is_published(recorded):
    one = rules.draft_policy(key="reuse", title="Reuse", text="first")
    two = rules.draft_policy(key="reuse", title="Reuse", text="second", rules={"k": 20})
    assert (two.pk, two.number) == (one.pk, 1)
    published = rules.publish_policy(policy=two.policy)
    assert (published.text, published.rules) == ("second", {"k": 20})
    assert published.published_at is not None
    three = rules.draft_policy(key="reuse", title="Reuse", text="third")
    assert (three.number, three.published_at) == (2, None)
    assert PolicyVersion.objects.get(number=1).text == "second"
    assert recorded() == ["policy.drafted", "policy.drafted", "policy.published", "policy.drafted"]


def test_the_ledger_keeps_the_digest_of_what_was_published():
    rules.draft_policy(key="reuse", title="Reuse", text="t", rules={"k": 20})
    version = rules.publish_policy(policy=Policy.objects.get())
    facts = opened(LedgerRecord.objects.latest("pk").uuid, organisation_key())["facts"]
    content = rfc8785.dumps({"title": "Reuse", "text": "t", "rules": {"k": 20}})
    assert facts == {
        "policy": "reuse",
        "version": str(version.uuid),
        "number": 1,
        "content_sha256": hashlib.sha256(content).hexdigest(),
    }


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE governance_policyversion SET text = 'other'",
        "UPDATE governance_policyversion SET published_at = NULL",
        "DELETE FROM governance_policyversion",
    ],
)
def test_a_published_version_can_neither_be_changed_nor_deleted(statement):
    rules.draft_policy(key="reuse", title="Reuse", text="t")
    version = rules.publish_policy(policy=Policy.objects.get())
    with pytest.raises(IntegrityError, match="is never changed or deleted"), transaction.atomic():
        connection.cursor().execute(statement)
    version.refresh_from_db()
    assert version.text == "t"


def test_a_draft_can_be_thrown_away():
    rules.draft_policy(key="reuse", title="Reuse", text="t").delete()
    assert not PolicyVersion.objects.exists()


def test_there_is_nothing_to_publish_without_a_draft(recorded):
    rules.draft_policy(key="reuse", title="Reuse", text="t")
    policy = Policy.objects.get()
    rules.publish_policy(policy=policy)
    recorded()
    with pytest.raises(rules.NoDraftError) as refusal:
        rules.publish_policy(policy=policy)
    assert (refusal.value.code, refusal.value.status) == ("policy_without_draft", 409)
    assert recorded() == []


def test_rules_that_have_no_canonical_form_are_refused(recorded):
    with pytest.raises(rules.PolicyRulesUnusableError):
        rules.draft_policy(key="reuse", title="Reuse", text="t", rules={"n": 2**60})
    assert not Policy.objects.exists()
    assert recorded() == []


def test_readers_see_published_versions_newest_first_and_no_draft():
    for text in ("one", "two"):
        rules.draft_policy(key="reuse", title="Reuse", text=text)
        rules.publish_policy(policy=Policy.objects.get(key="reuse"))
    rules.draft_policy(key="reuse", title="Reuse", text="draft")
    rules.draft_policy(key="unready", title="Unready", text="draft")
    (shown,) = selectors.published_policies()
    assert [version.text for version in shown.versions.all()] == ["two", "one"]
    assert selectors.published_policy("reuse") == shown
    with pytest.raises(NotFoundError):
        selectors.published_policy("unready")
    assert selectors.policy("unready").key == "unready"
