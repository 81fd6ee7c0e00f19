import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
import rfc8785
from django.db import IntegrityError, connection, transaction

from governance import merkle, proofs
from governance.crypto import SealingKey, UnreadableError, new_key
from governance.errors import NotFoundError
from governance.keys import organisation_key
from governance.models import LedgerEntry, LedgerHead, LedgerQueued, LedgerRecord, LedgerTile
from governance.selectors import ledger as selectors
from governance.services import ledger

pytestmark = pytest.mark.django_db


def test_a_leaf_is_a_commitment_and_holds_nothing_else(grow):
    before = datetime.now(UTC)
    name = ledger.append(kind="dataset.registered", facts={"name": "patients"})
    record = LedgerRecord.objects.get(uuid=name)
    leaf = bytes(record.queued.leaf)
    plain = organisation_key().open(bytes(record.sealed), str(name))
    salt, body = plain[:32], plain[32:]
    said = json.loads(body)
    assert body == rfc8785.dumps(said)
    assert said["kind"] == "dataset.registered"
    assert said["facts"] == {"name": "patients"}
    assert before <= datetime.fromisoformat(said["at"]) <= datetime.now(UTC)
    commitment = base64.b64encode(hmac.digest(salt, body, hashlib.sha256)).decode()
    expected = {"v": 1, "t": "dataset.registered", "d": said["at"][:10], "c": commitment}
    assert leaf == rfc8785.dumps(expected)
    assert b"patients" not in leaf
    assert b"patients" not in bytes(record.sealed)


def test_the_same_facts_twice_have_different_leaves():
    one, two = (ledger.append(kind="a.b", facts={"n": 1}) for _ in range(2))
    leaves = LedgerQueued.objects.order_by("pk").values_list("leaf", flat=True)
    assert len({bytes(leaf) for leaf in leaves}) == 2
    assert one != two


@pytest.mark.django_db(transaction=True)
def test_appending_outside_a_transaction_is_a_mistake():
    with pytest.raises(RuntimeError):
        ledger.append(kind="a.b", facts={})
    assert not LedgerRecord.objects.exists()


def test_a_key_and_whose_it_is_go_together():
    with pytest.raises(ValueError, match="whose key"):
        ledger.append(kind="a.b", facts={}, key=SealingKey(new_key()))
    with pytest.raises(ValueError, match="whose key"):
        ledger.append(kind="a.b", facts={}, sealed_for=uuid4())


def test_many_are_appended_in_order_with_two_statements(django_assert_num_queries):
    happenings = [ledger.Happening(kind="a.b", facts={"n": n}) for n in range(100)]
    with django_assert_num_queries(2):
        names = ledger.append_many(happenings)
    ledger.sequence()
    key = organisation_key()
    assert [selectors.opened(name, key)["facts"]["n"] for name in names] == list(range(100))
    indexes = LedgerEntry.objects.order_by("index").values_list("record__uuid", flat=True)
    assert list(indexes) == names


def test_an_empty_ledger_has_the_root_over_nothing():
    assert selectors.head() == selectors.Head(0, hashlib.sha256().digest())
    assert ledger.sequence() == 0
    assert selectors.head() == selectors.Head(0, hashlib.sha256().digest())


def test_sequencing_takes_no_more_than_its_limit_and_leaves_the_rest():
    ledger.append_many([ledger.Happening(kind="a.b", facts={"n": n}) for n in range(5)])
    assert [ledger.sequence(limit=2) for _ in range(4)] == [2, 2, 1, 0]
    assert list(LedgerEntry.objects.order_by("index").values_list("index", flat=True)) == [
        *range(5)
    ]
    assert not LedgerQueued.objects.exists()


def test_head_and_tiles_follow_from_the_leaves_whatever_the_batches():
    ledger.append_many([ledger.Happening(kind="a.b", facts={"n": n}) for n in range(600)])
    for limit in (1, 254, 1, 1, 255, 1000):
        ledger.sequence(limit=limit)
        leaves = LedgerEntry.objects.order_by("index").values_list("leaf", flat=True)
        hashes = [merkle.leaf_hash(bytes(leaf)) for leaf in leaves]
        assert selectors.head() == selectors.Head(len(hashes), merkle.root_of(hashes))
    assert LedgerHead.objects.count() == 1
    tiles = LedgerTile.objects.order_by("number")
    assert [(tile.level, tile.number) for tile in tiles] == [(0, 0), (0, 1)]
    assert [bytes(tile.hashes) for tile in tiles] == [
        b"".join(hashes[:256]),
        b"".join(hashes[256:512]),
    ]
    assert [bytes(tile.root) for tile in tiles] == [
        merkle.root_of(hashes[:256]),
        merkle.root_of(hashes[256:512]),
    ]


def test_every_record_can_be_proven_and_the_ledger_shown_to_have_only_grown(grow):
    names = grow(300)
    early = selectors.head()
    proof = selectors.proof_of(names[7])
    names += grow(300)
    now = selectors.head()
    assert proof.holds()
    assert (proof.size, proof.root) == (early.size, early.root)
    for index in (0, 255, 256, 511, 599):
        again = selectors.proof_of(names[index])
        assert again.holds()
        assert (again.index, again.size, again.root) == (index, 600, now.root)
    grown = selectors.consistency(300)
    assert grown.holds()
    assert (grown.old_root, grown.new_root) == (early.root, now.root)


@pytest.mark.parametrize(("old", "new"), [(-1, None), (3, 2), (0, 4), (4, None)])
def test_sizes_that_the_ledger_never_had_cannot_be_compared(grow, old, new):
    grow(3)
    with pytest.raises(selectors.SizeUnknownError):
        selectors.consistency(old, new)


def test_a_waiting_record_is_kept_but_cannot_be_proven_yet():
    name = ledger.append(kind="a.b", facts={"n": 1})
    with pytest.raises(selectors.NotYetSequencedError) as refusal:
        selectors.proof_of(name)
    assert (refusal.value.code, refusal.value.status) == ("not_yet_sequenced", 409)
    assert selectors.opened(name, organisation_key())["facts"] == {"n": 1}
    ledger.sequence()
    assert selectors.proof_of(name).holds()


def test_an_unknown_record_is_not_found():
    with pytest.raises(NotFoundError):
        selectors.proof_of(uuid4())
    with pytest.raises(NotFoundError):
        selectors.opened(uuid4(), organisation_key())


def test_a_record_sealed_for_a_person_opens_with_that_persons_key_alone():
    key, person = SealingKey(new_key()), UUID(int=7)
    name = ledger.append(kind="consent.given", facts={"n": 1}, key=key, sealed_for=person)
    assert LedgerRecord.objects.get(uuid=name).sealed_for == person
    assert selectors.opened(name, key)["facts"] == {"n": 1}
    for other in (organisation_key(), SealingKey(new_key())):
        with pytest.raises(UnreadableError):
            selectors.opened(name, other)


def test_when_a_key_is_destroyed_its_bodies_are_unreadable_and_every_proof_still_holds(grow):
    key = SealingKey(new_key())
    with transaction.atomic():
        name = ledger.append(kind="consent.given", facts={"n": 1}, key=key, sealed_for=uuid4())
    others = grow(300)
    before = selectors.proof_of(name)
    del key
    with pytest.raises(UnreadableError):
        selectors.opened(name, SealingKey(new_key()))
    assert selectors.proof_of(name) == before
    assert before.holds()
    assert selectors.opened(others[0], organisation_key())["facts"] == {"n": 0}


def test_sealed_bytes_cannot_be_moved_to_another_record():
    one, two = (ledger.append(kind="a.b", facts={"n": n}) for n in range(2))
    sealed = LedgerRecord.objects.get(uuid=one).sealed
    LedgerRecord.objects.filter(uuid=two).update(sealed=sealed)
    with pytest.raises(UnreadableError):
        selectors.opened(two, organisation_key())


def test_a_body_that_was_replaced_by_who_has_the_key_does_not_match_its_leaf():
    name = ledger.append(kind="a.b", facts={"n": 1})
    forged = organisation_key().seal(bytes(32) + b'{"facts":{"n":2}}', str(name))
    LedgerRecord.objects.filter(uuid=name).update(sealed=forged)
    with pytest.raises(selectors.CommitmentMismatchError):
        selectors.opened(name, organisation_key())


@pytest.mark.parametrize("table", ["ledgerentry", "ledgertile"])
@pytest.mark.parametrize("change", ["UPDATE governance_{0} SET {1}", "DELETE FROM governance_{0}"])
def test_neither_entries_nor_tiles_can_be_changed_or_deleted(grow, table, change):
    grow(256)
    statement = change.format(table, "index = 1" if table == "ledgerentry" else "number = 1")
    with pytest.raises(IntegrityError, match="is never changed or deleted"), transaction.atomic():
        connection.cursor().execute(statement)
    assert LedgerEntry.objects.count() == 256
    assert LedgerTile.objects.get().number == 0


def test_a_record_with_an_entry_cannot_be_deleted(grow):
    grow(1)
    with pytest.raises(IntegrityError):
        LedgerRecord.objects.all().delete()


def test_an_opening_can_be_given_away_and_checked_without_the_database(grow):
    (name,) = grow(1)
    opening = selectors.opening_of(name, organisation_key())
    proof = selectors.proof_of(name)
    document = json.loads(json.dumps(proof.as_json() | {"opening": opening.as_json()}))
    assert proofs.InclusionProof.from_json(document) == proof
    assert proofs.opening_in(document) == opening
    assert proofs.opens(proof.leaf, opening)
    assert not proofs.opens(proof.leaf, proofs.Opening(opening.salt, opening.body + b" "))
    assert not proofs.opens(b"not json", opening)
