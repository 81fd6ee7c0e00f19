"""Every named constraint of this app, seen to fire."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.apps import apps
from django.db import IntegrityError, transaction
from django.utils import timezone

from governance.models import (
    ApiKey,
    LedgerCheckpoint,
    LedgerEntry,
    LedgerHead,
    LedgerQueued,
    LedgerRecord,
    LedgerTile,
    Policy,
    PolicyVersion,
    Purpose,
)
from tests.factories.governance import (
    ApiClientFactory,
    DatasetFactory,
    PurposeFactory,
    StorageFactory,
)

HASH, TILE = bytes(32), bytes(8192)


def key(**changes):
    later = timezone.now() + timedelta(days=1)
    facts = {"key_id": "k", "secret_sha256": HASH, "scopes": [], "expires_at": later}
    ApiKey.objects.create(client=ApiClientFactory(), **facts | changes)


def record(kind="a.b"):
    return LedgerRecord.objects.create(kind=kind, sealed=b"")


def entry(**changes):
    facts = {"index": 0, "leaf_hash": HASH, "leaf": b""}
    LedgerEntry.objects.create(record=record(), **facts | changes)


def tile(**changes):
    facts = {"level": 0, "number": 0, "hashes": TILE, "root": HASH}
    LedgerTile.objects.create(**facts | changes)


def head(**changes):
    LedgerHead.objects.create(**{"size": 0, "root": HASH} | changes)


def checkpoint(**changes):
    facts = {"size": 1, "root": HASH, "note": "", "verifier": "", "signed_at": timezone.now()}
    LedgerCheckpoint.objects.create(**facts | changes)


def versions(*facts):
    policy = Policy.objects.create(key="p")
    for each in facts:
        PolicyVersion.objects.create(policy=policy, title="t", text="t", **each)


def own_parent():
    purpose = PurposeFactory()
    Purpose.objects.filter(pk=purpose.pk).update(parent=purpose)


VIOLATIONS = {
    "governance_ledgercheckpoint_one_row": lambda: checkpoint(only=False),
    "governance_ledgercheckpoint_size_from_zero": lambda: checkpoint(size=-1),
    "governance_ledgercheckpoint_root_is_a_digest": lambda: checkpoint(root=b"short"),
    "governance_apikey_secret_is_a_digest": lambda: key(secret_sha256=b"short"),
    "governance_apikey_expires": lambda: key(expires_at=timezone.now() - timedelta(days=1)),
    "governance_storage_kind_known": lambda: StorageFactory(kind="tape"),
    "governance_dataset_name_once": lambda: [DatasetFactory(name="d") for _ in range(2)],
    "governance_dataset_stored_somewhere": lambda: DatasetFactory(storage=StorageFactory()),
    "governance_dataset_subject_scheme_said": lambda: DatasetFactory(subject_column="email"),
    "governance_purpose_legal_basis_known": lambda: PurposeFactory(legal_basis="because"),
    "governance_purpose_not_its_own_parent": own_parent,
    "governance_policyversion_number_once": lambda: versions(
        {"number": 1, "published_at": timezone.now()}, {"number": 1}
    ),
    "governance_policyversion_one_draft": lambda: versions({"number": 1}, {"number": 2}),
    "governance_ledgerrecord_kind_is_dotted": lambda: record("Undotted"),
    "governance_ledgerqueued_leaf_small": lambda: LedgerQueued.objects.create(
        record=record(), leaf=bytes(1025)
    ),
    "governance_ledgerentry_index_from_zero": lambda: entry(index=-1),
    "governance_ledgerentry_hash_is_a_digest": lambda: entry(leaf_hash=b""),
    "governance_ledgerentry_leaf_small": lambda: entry(leaf=bytes(1025)),
    "governance_ledgertile_once": lambda: [tile() for _ in range(2)],
    "governance_purpose_special_basis_known": lambda: PurposeFactory(special_basis="z"),
    "governance_ledgertile_number_from_zero": lambda: tile(number=-1),
    "governance_ledgertile_full": lambda: tile(hashes=bytes(8191)),
    "governance_ledgertile_root_is_a_digest": lambda: tile(root=b""),
    "governance_ledgerhead_one_row": lambda: head(only=False),
    "governance_ledgerhead_size_from_zero": lambda: head(size=-1),
    "governance_ledgerhead_root_is_a_digest": lambda: head(root=b""),
}


def test_every_constraint_has_a_violation_here():
    declared = {
        constraint.name
        for model in apps.get_app_config("governance").get_models()
        for constraint in model._meta.constraints
    }
    # Those of the keys that sign, and of webhooks, are seen to fire where these are tested.
    elsewhere = ("signingkey", "webhook")
    ours = {name for name in declared if not any(each in name for each in elsewhere)}
    assert ours == set(VIOLATIONS)


@pytest.mark.django_db
@pytest.mark.parametrize("name", VIOLATIONS)
def test_the_database_refuses(name):
    with pytest.raises(IntegrityError) as refusal, transaction.atomic():
        VIOLATIONS[name]()
    assert refusal.value.__cause__.diag.constraint_name == name


@pytest.mark.django_db
def test_one_record_is_queued_and_numbered_once():
    one = record()
    LedgerQueued.objects.create(record=one, leaf=b"")
    with pytest.raises(IntegrityError), transaction.atomic():
        LedgerQueued.objects.create(record=one, leaf=b"")
    LedgerEntry.objects.create(index=0, record=one, leaf_hash=HASH, leaf=b"")
    with pytest.raises(IntegrityError), transaction.atomic():
        LedgerEntry.objects.create(index=1, record=one, leaf_hash=HASH, leaf=b"")


@pytest.mark.django_db
def test_a_public_name_is_given_once():
    name = uuid4()
    DatasetFactory(uuid=name)
    with pytest.raises(IntegrityError), transaction.atomic():
        DatasetFactory(uuid=name)
