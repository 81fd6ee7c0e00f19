from datetime import timedelta

import pytest
from django.utils import timezone

from governance.models import ApiKey
from governance.services import clients

pytestmark = pytest.mark.django_db

UNAUTHENTICATED = {
    "type": "about:blank",
    "title": "Unauthorized",
    "status": 401,
    "code": "unauthenticated",
    "detail": "a valid key is needed",
}


def revoke():
    clients.revoke_key(key_id=ApiKey.objects.get().key_id)


def expire():
    long_ago = timezone.now() - timedelta(days=9)
    ApiKey.objects.update(created_at=long_ago, expires_at=long_ago + timedelta(days=1))


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer nonsense",
        "Basic dXNlcjpwYXNz",
        "Bearer col_aaaaaaaaaaaa_" + "A" * 43,
        "Bearer col_aaaaaaaaaaaa_" + "\xe9" * 43,
        "Token x y z",
    ],
)
def test_without_a_good_key_every_answer_is_the_same(anyone, header):
    if header is not None:
        anyone.credentials(HTTP_AUTHORIZATION=header)
    response = anyone.get("/api/v1/datasets")
    assert response.status_code == 401
    assert response["WWW-Authenticate"] == "Bearer"
    assert response["Content-Type"] == "application/problem+json"
    assert response.json() == UNAUTHENTICATED


@pytest.mark.parametrize("end", [revoke, expire])
def test_a_key_that_has_ended_gets_that_answer_too(caller, end):
    client = caller("registry:read")
    assert client.get("/api/v1/datasets").status_code == 200
    end()
    assert client.get("/api/v1/datasets").json() == UNAUTHENTICATED


def test_a_key_without_the_scope_is_told_which_one(caller):
    response = caller("registry:read").post("/api/v1/models", {}, format="json")
    assert response.status_code == 403
    assert response.json() == {
        "type": "about:blank",
        "title": "Forbidden",
        "status": 403,
        "code": "scope_missing",
        "detail": "the key lacks the scope registry:write",
        "scope": "registry:write",
    }


@pytest.mark.parametrize(
    "path", ["policies", "purposes", "ledger/head", "ledger/consistency?old=0"]
)
def test_the_catalogue_is_public(anyone, path):
    assert anyone.get(f"/api/v1/{path}").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("get", "storages", "registry:read"),
        ("post", "storages", "registry:write"),
        ("get", "datasets", "registry:read"),
        ("post", "datasets", "registry:write"),
        ("get", "datasets/0198a2b0-0000-7000-8000-000000000000", "registry:read"),
        ("get", "models", "registry:read"),
        ("post", "models", "registry:write"),
        ("get", "models/0198a2b0-0000-7000-8000-000000000000", "registry:read"),
        ("post", "purposes", "registry:write"),
        ("post", "policies", "registry:write"),
        ("post", "policies/p/publish", "registry:write"),
        ("get", "ledger/entries", "audit:read"),
        ("get", "ledger/proofs/0198a2b0-0000-7000-8000-000000000000", "audit:read"),
    ],
)
def test_every_other_door_needs_its_own_scope(anyone, caller, method, path, scope):
    every_other = [each for each in clients.Scope.values if each != scope]
    assert getattr(anyone, method)(f"/api/v1/{path}").status_code == 401
    refused = getattr(caller(*every_other), method)(f"/api/v1/{path}")
    assert (refused.status_code, refused.json()["scope"]) == (403, scope)
    assert getattr(caller(scope), method)(f"/api/v1/{path}").status_code in {200, 400, 404}


def test_a_method_that_is_not_there_is_not_allowed_and_options_tells_nothing(anyone, caller):
    response = anyone.delete("/api/v1/datasets")
    assert (response.status_code, response.json()["code"]) == (405, "method_not_allowed")
    response = caller("registry:read").options("/api/v1/datasets")
    assert (response.status_code, response.json()["code"]) == (403, "forbidden")
    assert anyone.head("/api/v1/policies").status_code == 200
    assert anyone.head("/api/v1/datasets").status_code == 401
