"""Events from senders that sign, by Standard Webhooks 1.0."""

import base64
import gzip
import hashlib
import hmac
import json
import time
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.test import Client

from governance.services.clients import issue_key
from lineage.models import InboxEvent, Source, SourceSecret
from lineage.services.sources import add_secret, create_source
from tests.factories.events import event

pytestmark = pytest.mark.django_db


class Sender:
    """A pipeline that signs."""

    def __init__(self, client: Client, **source: Any) -> None:
        self.client, self.zero = client, timedelta(0)
        self.source = create_source(name="signer", **source)
        self.secret = self.new_secret()

    def new_secret(self, **more: Any) -> str:
        return add_secret(source=self.source, overlap=more.pop("overlap", self.zero), **more).shown

    def signature(self, secret: str, name: str, stamp: str, body: bytes) -> str:
        key = base64.b64decode(secret.removeprefix("whsec_"))
        signed = f"{name}.{stamp}.".encode() + body
        return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()

    def send(self, said: Any, *, name: str = "m1", late: int = 0, **more: Any) -> Any:
        body = more.get("body", json.dumps(said).encode())
        stamp = str(int(time.time()) - late)
        by = more.get("by") or self.signature(more.get("secret", self.secret), name, stamp, body)
        headers = {"webhook-id": name, "webhook-timestamp": stamp, "webhook-signature": by}
        return self.client.post(
            f"/api/v1/lineage/sources/{more.get('source', self.source.uuid)}",
            body, content_type="application/json", headers=headers | more.get("headers", {}),
        )  # fmt: skip


@pytest.fixture
def sender(client) -> Sender:
    return Sender(client)


def test_a_signed_event_is_taken_once(sender):
    said = event("COMPLETE", "train", 0)
    assert sender.send(said).status_code == 201
    assert sender.send(said).status_code == 200
    kept = InboxEvent.objects.get()
    assert (kept.client.name, kept.state) == ("signer", "ready")


def test_a_signed_list_of_events_is_taken(sender):
    said = [event("START", "train", 0), event("COMPLETE", "train", 1)]
    assert sender.send(said).status_code == 204
    assert InboxEvent.objects.count() == 2


def test_the_signature_is_over_the_body_as_sent(sender):
    body = gzip.compress(json.dumps(event("COMPLETE", "train", 0)).encode())
    answer = sender.send(None, body=body, headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 201


@pytest.mark.parametrize(
    "wrong",
    [
        {"by": "v1," + base64.b64encode(bytes(32)).decode()},
        {"by": "v1,not base64"},
        {"by": "nonsense"},
        {"late": 301},
        {"late": -301},
        {"headers": {"webhook-id": ""}},
        {"headers": {"webhook-timestamp": "yesterday"}},
        {"headers": {"webhook-signature": ""}},
        {"source": "01a20b19-f470-723b-81f2-2336107c0ae5"},
        {"secret": "whsec_" + base64.b64encode(bytes(32)).decode()},
    ],
)
def test_what_is_not_signed_now_by_this_source_is_refused(sender, wrong):
    answer = sender.send(event("COMPLETE", "train", 0), **wrong)
    assert (answer.status_code, answer.json()["code"]) == (401, "signature_invalid")
    assert InboxEvent.objects.count() == 0


def test_a_message_s_id_cannot_be_used_for_another_message(sender):
    assert sender.send(event("START", "train", 0), name="m1").status_code == 201
    answer = sender.send(event("COMPLETE", "train", 1), name="m1")
    assert (answer.status_code, answer.json()["code"]) == (409, "webhook_id_reused")
    assert InboxEvent.objects.count() == 1


def test_while_a_secret_changes_both_are_good(sender):
    old, new = sender.secret, sender.new_secret(overlap=timedelta(hours=1))
    assert sender.send(event("START", "one", 0), name="1", secret=old).status_code == 201
    assert sender.send(event("START", "two", 0), name="2", secret=new).status_code == 201
    sender.new_secret()
    assert sender.send(event("START", "three", 0), name="3", secret=old).status_code == 401


def test_one_good_signature_among_several_is_enough(sender):
    said = event("START", "one", 0)
    body, stamp = json.dumps(said).encode(), str(int(time.time()))
    good = sender.signature(sender.secret, "m1", stamp, body)
    other = "v1," + base64.b64encode(bytes(32)).decode()
    assert sender.send(said, by=f"{other} v9,abc {good}").status_code == 201


def test_a_sender_may_sign_with_a_key_of_its_own(sender):
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    sender.new_secret(public_key="whpk_" + base64.b64encode(public).decode())
    said = event("START", "one", 0)
    body, stamp = json.dumps(said).encode(), str(int(time.time()))
    signature = private.sign(f"m1.{stamp}.".encode() + body)
    by = "v1a," + base64.b64encode(signature).decode()
    assert sender.send(said, by=by).status_code == 201
    assert sender.send(event("START", "two", 0), by=by).status_code == 401


def test_a_source_writes_to_its_namespaces_only(client):
    sender = Sender(client, namespaces=["elsewhere"])
    answer = sender.send(event("START", "one", 0))
    assert (answer.status_code, answer.json()["code"]) == (403, "namespace_refused")


def test_secrets_are_kept_sealed(sender):
    kept = bytes(SourceSecret.objects.get().sealed)
    assert base64.b64decode(sender.secret.removeprefix("whsec_")) not in kept


def test_sources_are_set_up_over_http(client):
    key = issue_key(client_name="admin", scopes=["registry:write", "registry:read"]).bearer
    bearer = {"Authorization": f"Bearer {key}"}

    def post(path: str, **body: Any) -> Any:
        return client.post(path, body, content_type="application/json", headers=bearer)

    made = post("/api/v1/sources", name="warehouse", namespaces=["dw*"])
    assert made.status_code == 201
    path = f"/api/v1/sources/{made.json()['id']}/secrets"
    secret = post(path)
    assert secret.json()["secret"].startswith("whsec_")
    listed = client.get("/api/v1/sources", headers=bearer).json()
    assert [(s["name"], s["namespaces"], len(s["secrets"])) for s in listed] == [
        ("warehouse", ["dw*"], 1)
    ]
    assert "secret" not in listed[0]["secrets"][0]
    assert post(path, public_key="whpk_short").json()["code"] == "key_malformed"
    ended = client.delete(f"{path}/{secret.json()['id']}", headers=bearer)
    assert ended.json()["ends_at"] is not None
    assert Source.objects.get().secrets.count() == 1
