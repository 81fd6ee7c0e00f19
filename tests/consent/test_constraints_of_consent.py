"""Each named constraint of people, decisions, membership and gate can fire."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction

from consent.models import (
    ConsentDecision,
    DecisionImport,
    GateDecision,
    GateInput,
    IdentifierKey,
    Manifest,
    MembershipChunk,
    MembershipSpan,
    Notice,
    NoticeVersion,
    Reappearance,
    Subject,
    SubjectIdentifier,
    SubjectKey,
    Tombstone,
)
from lineage.selectors import versions
from lineage.services.versions import ensure_origins
from tests.factories.consent import NOON, ConsentDecisionFactory, SubjectFactory
from tests.factories.governance import DatasetFactory, PurposeFactory

DIGEST = b"d" * 32
MODELS = (
    Subject, SubjectKey, SubjectIdentifier, Tombstone, IdentifierKey, Notice, NoticeVersion,
    ConsentDecision, DecisionImport,
    Manifest, MembershipSpan, MembershipChunk, Reappearance, GateDecision, GateInput,
)  # fmt: skip


def text(**changed):
    notice = changed.pop("notice", None) or Notice.objects.create(key=f"n-{uuid4()}")
    said = {"number": 1, "language": "en", "title": "t", "text": "t", "published_at": NOON}
    return NoticeVersion.objects.create(notice=notice, **said | changed)


def two_texts(*numbers, **changed):
    notice = text().notice
    for number in numbers:
        text(notice=notice, number=number, **changed)


def version():
    dataset = DatasetFactory()
    ensure_origins([dataset.pk])
    return versions.current(dataset.pk)


def manifest(at=None, **changed):
    at = at or version()
    said = {"mode": "add", "scheme": "email", "digest": DIGEST, "rows": 2, "people": 1}
    return Manifest.objects.create(dataset_id=at.dataset_id, version=at, **said | changed)


def span(at=None, **changed):
    at = at or version()
    return MembershipSpan.objects.create(dataset_id=at.dataset_id, since=at, **changed)


def gate(**changed):
    said = {
        "purpose": PurposeFactory(), "outcome": "permit", "reasons": [], "excluded_count": 0,
        "excluded": b"", "decided_at": NOON, "expires_at": NOON + timedelta(hours=1),
    }  # fmt: skip
    return GateDecision.objects.create(**said | changed)


def twice(make, *args, **said):
    for _ in range(2):
        make(*args, **said)


def reappearance_twice():
    taken = manifest()
    stone = Tombstone.objects.create(scheme="email", digest=DIGEST)
    twice(Reappearance.objects.create, manifest=taken, dataset=taken.dataset, tombstone=stone)


def looked_for_by_nobody():
    taken = manifest()
    stone = Tombstone.objects.create(scheme="email", digest=DIGEST)
    Reappearance.objects.create(
        manifest=taken, dataset=taken.dataset, tombstone=stone, looked_for_at=NOON
    )


def gate_input_twice():
    at = version()
    twice(GateInput.objects.create, decision=gate(), dataset=at.dataset, version=at)


def identifier(**changed):
    said = {"subject": SubjectFactory(), "scheme": "email", "digest": DIGEST}
    return SubjectIdentifier.objects.create(**said | changed)


def same_span_twice():
    twice(span, version())


def empty_span():
    at = version()
    span(at=at, until=at)


def same_chunk_twice():
    of = span()
    twice(MembershipChunk.objects.create, span=of, high=0, people=b"x")


def same_key_twice():
    subject, key = SubjectFactory(), uuid4()
    twice(ConsentDecisionFactory, subject=subject, idempotency_key=key)


FIRES = {
    "consent_subject_id_fits_a_bitmap": lambda: SubjectFactory(pk=1 << 32),
    "consent_subject_erased_with_schemes": lambda: SubjectFactory(erased_at=NOON),
    "consent_subjectkey_is_wrapped": lambda: SubjectKey.objects.create(
        subject=SubjectFactory(), wrapped=b"k" * 32
    ),
    "consent_subjectidentifier_of_one_person": lambda: twice(identifier),
    "consent_subjectidentifier_is_a_digest": lambda: identifier(digest=b"ada"),
    "consent_subjectidentifier_scheme_is_a_name": lambda: identifier(scheme="E-Mail"),
    "consent_tombstone_once": lambda: twice(
        Tombstone.objects.create, scheme="email", digest=DIGEST
    ),
    "consent_tombstone_is_a_digest": lambda: Tombstone.objects.create(
        scheme="email", digest=b"ada"
    ),
    "consent_identifierkey_after_the_first": lambda: IdentifierKey.objects.create(version=1),
    "consent_identifierkey_one_under_way": lambda: [
        IdentifierKey.objects.create(version=each) for each in (2, 3)
    ],
    "consent_identifierkey_moved_after_introduced": lambda: IdentifierKey.objects.create(
        version=2, moved_at=NOON
    ),
    "consent_noticeversion_number_once": lambda: two_texts(2, 2),
    "consent_noticeversion_one_draft": lambda: two_texts(2, 3, published_at=None),
    "consent_noticeversion_number_from_one": lambda: text(number=0),
    "consent_noticeversion_language_is_a_tag": lambda: text(language="English"),
    "consent_decision_key_once": same_key_twice,
    "consent_decision_kind_known": lambda: ConsentDecisionFactory(kind="maybe"),
    "consent_decision_source_known": lambda: ConsentDecisionFactory(source="rumour"),
    "consent_decision_only_a_yes_expires": lambda: ConsentDecisionFactory(
        kind="refused", valid_until=NOON + timedelta(days=1)
    ),
    "consent_decision_not_in_the_future": lambda: ConsentDecisionFactory(
        decided_at=NOON + timedelta(days=36500)
    ),
    "consent_manifest_mode_known": lambda: manifest(mode="drop"),
    "consent_manifest_is_a_digest": lambda: manifest(digest=b"short"),
    "consent_manifest_a_row_names_one_person": lambda: manifest(rows=1, people=2),
    "consent_decision_of_others_has_reason": lambda: ConsentDecisionFactory(source="operator"),
    "consent_decisionimport_has_evidence": lambda: DecisionImport.objects.create(
        digest=DIGEST, evidence=""
    ),
    "consent_span_once": same_span_twice,
    "consent_span_not_empty": empty_span,
    "consent_span_id_fits_a_block": lambda: span(id=1 << 24),
    "consent_chunk_once": same_chunk_twice,
    "consent_chunk_is_small": lambda: MembershipChunk.objects.create(
        span=span(), high=0, people=bytes(9000)
    ),
    "consent_reappearance_open_once": reappearance_twice,
    "consent_reappearance_looked_for_by_a_request": looked_for_by_nobody,
    "consent_gatedecision_outcome_known": lambda: gate(outcome="perhaps", reasons=["x"]),
    "consent_gatedecision_says_why": lambda: gate(outcome="gap"),
    "consent_gatedecision_permit_excludes_nobody": lambda: gate(excluded_count=1),
    "consent_gatedecision_unknown_purpose_denied": lambda: gate(
        purpose=None, outcome="gap", reasons=["unknown_purpose"]
    ),
    "consent_gatedecision_model_has_both_names": lambda: gate(model_name="m"),
    "consent_gatedecision_expires": lambda: gate(expires_at=NOON),
    "consent_gateinput_dataset_once": gate_input_twice,
}


def test_no_constraint_is_forgotten_here():
    named = {each.name for model in MODELS for each in model._meta.constraints}
    assert named == set(FIRES)


@pytest.mark.django_db
@pytest.mark.parametrize("name", FIRES)
def test_the_constraint_fires(name):
    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        FIRES[name]()
    assert refused.value.__cause__.diag.constraint_name == name
