import hashlib
from datetime import timedelta

import pytest
from django.utils import timezone

from governance.errors import NotFoundError
from governance.keys import organisation_key
from governance.models import ApiClient, ApiKey, LedgerRecord, Scope
from governance.selectors.ledger import opened
from governance.services import clients
from tests.factories.governance import ApiClientFactory

pytestmark = pytest.mark.django_db


def issue(**changes):
    facts = {"client_name": "airflow", "scopes": ["lineage:write"], "days": 30}
    return clients.issue_key(**facts | changes)


def test_a_key_is_shown_once_and_kept_as_a_digest(recorded):
    before = timezone.now()
    issued = issue(scopes=["registry:read", "lineage:write"], namespaces=["b*", "a"])
    prefix, key_id, secret = issued.bearer.split("_", 2)
    key = ApiKey.objects.get()
    assert (prefix, key_id, len(key_id), len(secret)) == ("col", key.key_id, 12, 43)
    assert bytes(key.secret_sha256) == hashlib.sha256(secret.encode()).digest()
    assert (key.scopes, key.namespaces) == (["lineage:write", "registry:read"], ["a", "b*"])
    assert before + timedelta(days=30) <= key.expires_at <= timezone.now() + timedelta(days=30)
    assert secret not in repr(issued)
    assert recorded() == ["key.issued"]
    facts = opened(LedgerRecord.objects.get().uuid, organisation_key())["facts"]
    assert facts == {
        "key_id": key_id,
        "client": "airflow",
        "scopes": ["lineage:write", "registry:read"],
        "namespaces": ["a", "b*"],
        "expires_at": key.expires_at.isoformat(),
    }


def test_a_client_holds_many_keys():
    client = ApiClientFactory(name="airflow")
    one, two = issue(), issue()
    assert ApiClient.objects.get() == client
    assert {clients.authenticate(each.bearer).pk for each in (one, two)} == {
        one.key.pk,
        two.key.pk,
    }


def test_a_living_key_is_recognised_with_one_query(django_assert_num_queries):
    issued = issue()
    with django_assert_num_queries(1):
        key = clients.authenticate(issued.bearer)
        assert (key, key.client.name) == (issued.key, "airflow")


def revoked():
    issued = issue()
    clients.revoke_key(key_id=issued.key.key_id)
    return issued.bearer


def expired():
    issued = issue()
    now = timezone.now()
    ApiKey.objects.update(created_at=now - timedelta(2), expires_at=now - timedelta(seconds=1))
    return issued.bearer


@pytest.mark.parametrize(
    "bearer",
    [
        revoked,
        expired,
        lambda: issue().bearer[:-1] + "!",
        lambda: issue().bearer + "x",
        lambda: issue().bearer[:17] + "A" * 43,
        lambda: "col_" + "a" * 12 + "_" + "A" * 43,
        lambda: "",
        lambda: "col_\x00",
        lambda: "\N{LATIN SMALL LETTER LONG S}" * 60,
    ],
)
def test_every_other_key_gets_the_same_answer(bearer):
    with pytest.raises(clients.UnauthenticatedError) as refusal:
        clients.authenticate(bearer())
    assert (refusal.value.message, refusal.value.facts) == ("a valid key is needed", {})
    assert (refusal.value.code, refusal.value.status) == ("unauthenticated", 401)


def test_revoking_ends_a_key_once(recorded):
    issued = issue()
    first = clients.revoke_key(key_id=issued.key.key_id)
    again = clients.revoke_key(key_id=issued.key.key_id)
    assert first.revoked_at == again.revoked_at is not None
    assert recorded() == ["key.issued", "key.revoked"]
    with pytest.raises(NotFoundError):
        clients.revoke_key(key_id="none")


@pytest.mark.parametrize(
    "wrong",
    [
        {"scopes": []},
        {"scopes": ["everything"]},
        {"client_name": " "},
        {"days": 0},
        {"days": 10**9},
        {"namespaces": [""]},
        {"namespaces": ["a*b"]},
        {"namespaces": ["a**"]},
    ],
)
def test_a_key_that_makes_no_sense_is_not_issued(wrong, recorded):
    with pytest.raises(clients.KeyFactsError):
        issue(**wrong)
    assert not ApiKey.objects.exists()
    assert not ApiClient.objects.exists()
    assert recorded() == []


@pytest.mark.parametrize(
    ("namespaces", "namespace", "allowed"),
    [
        ([], "anything", True),
        (["lake"], "lake", True),
        (["lake"], "lake2", False),
        (["lake*"], "lake2", True),
        (["lake*"], "lak", False),
        (["*"], "anything", True),
        (["a", "b*"], "bc", True),
        (["a", "b*"], "ab", False),
    ],
)
def test_namespaces_bound_what_a_key_may_write_to(namespaces, namespace, allowed):
    key = issue(namespaces=namespaces).key
    assert clients.may_write(key, namespace) is allowed
    if allowed:
        clients.require_namespace(key, namespace)
    else:
        with pytest.raises(clients.NamespaceDeniedError) as refusal:
            clients.require_namespace(key, namespace)
        assert refusal.value.facts == {"namespace": namespace}


def test_a_missing_scope_is_named():
    key = issue(scopes=[Scope.GATE_ASK]).key
    clients.require_scope(key, Scope.GATE_ASK)
    with pytest.raises(clients.ScopeMissingError) as refusal:
        clients.require_scope(key, Scope.AUDIT_READ)
    assert (refusal.value.status, refusal.value.facts) == (403, {"scope": "audit:read"})
