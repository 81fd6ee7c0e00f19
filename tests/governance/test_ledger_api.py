import base64

import pytest
from django.db import transaction

from governance import merkle, proofs
from governance.services import ledger

pytestmark = pytest.mark.django_db


@pytest.fixture
def auditor(caller):
    client = caller("audit:read")
    while ledger.sequence():
        pass
    return client


def decoded(value):
    return base64.b64decode(value, validate=True)


def test_everyone_can_see_the_head_and_that_the_ledger_only_grew(anyone, grow):
    grow(5)
    old = anyone.get("/api/v1/ledger/head").json()
    grow(7)
    new = anyone.get("/api/v1/ledger/head").json()
    assert (old["size"], new["size"]) == (5, 12)
    shown = anyone.get("/api/v1/ledger/consistency", {"old": 5, "new": 12}).json()
    assert shown == anyone.get("/api/v1/ledger/consistency", {"old": 5}).json()
    assert merkle.proves_consistency(
        old=5,
        new=12,
        hashes=[decoded(each) for each in shown["hashes"]],
        old_root=decoded(old["root"]),
        new_root=decoded(new["root"]),
    )


def test_an_auditor_gets_a_proof_that_can_be_checked_anywhere(auditor, grow):
    name = grow(300)[17]
    document = auditor.get(f"/api/v1/ledger/proofs/{name}").json()
    proof = proofs.InclusionProof.from_json(document)
    assert proof.holds()
    head = auditor.get("/api/v1/ledger/head").json()
    assert (document["size"], document["root"]) == (head["size"], head["root"])


def test_a_waiting_record_is_said_to_be_waiting(auditor):
    with transaction.atomic():
        name = ledger.append(kind="a.b", facts={})
    response = auditor.get(f"/api/v1/ledger/proofs/{name}")
    assert (response.status_code, response.json()["code"]) == (409, "not_yet_sequenced")


def test_from_all_leaves_an_auditor_computes_the_root(auditor, grow):
    grow(20)
    head = auditor.get("/api/v1/ledger/head").json()
    leaves, after = [], -1
    while after is not None:
        page = auditor.get("/api/v1/ledger/entries", {"after": after, "limit": 7}).json()
        assert [row["index"] for row in page["results"]] == list(range(after + 1, len(leaves) + 7))[
            : len(page["results"])
        ]
        leaves += [decoded(row["leaf"]) for row in page["results"]]
        after = page["next"]
    assert len(leaves) == head["size"]
    root = merkle.root_of([merkle.leaf_hash(leaf) for leaf in leaves])
    assert root == decoded(head["root"])
