"""Rows about the gate: identifiers a second, and who of a large data set is excluded."""

import hmac
import time
from uuid import uuid4

import numpy as np
from django.db import connection
from django.utils import timezone

from consent.models import ConsentDecision, Subject
from consent.selectors import gate as selectors
from consent.selectors import membership
from consent.selectors.decisions import excluded_from
from consent.services import gate, standings
from governance.legal import LegalBasis
from governance.models import Dataset, Purpose
from tests.bench.asking import milliseconds
from tests.bench.memberships import Size, copied, load_lists
from tests.bench.row import Row

ASKED = 200_000
PEOPLE = {"small": 100_000, "full": 1_000_000}


def gate_filter(*, scale: str, environment: dict[str, str]) -> Row:
    """Filter identifiers on one core: spelt one way, digested, found, and asked for."""
    load_lists(Size(PEOPLE[scale], 1))
    copied(PEOPLE[scale])
    purpose = _decided()
    dataset = Dataset.objects.get(name="list-0", namespace="bench")
    decision = gate.decide(datasets=[dataset], purpose=purpose)
    count = min(ASKED, 2 * PEOPLE[scale])
    values = [f"person-{n}@example.org" for n in range(count)]
    started = time.perf_counter()
    permitted = selectors.permitted(decision=decision, scheme="email", values=values)
    seconds = time.perf_counter() - started
    assert 0 < sum(permitted) < count
    key = b"k" * 32
    started = time.perf_counter()
    for each in values:
        hmac.digest(key, each.encode(), "sha256")
    return Row(
        "gate_filter", count / seconds, "identifiers/s", "a bare HMAC loop",
        count / (time.perf_counter() - started), scale, "200,000/s",
    )  # fmt: skip


def gate_exclusions(*, scale: str, environment: dict[str, str]) -> Row:
    """Find who of everybody in the largest data set is excluded, and the same by a join."""
    purpose = Purpose.objects.get(key="bench")
    everybody = membership.members(Dataset.objects.get(name="list-0", namespace="bench").pk)
    now = timezone.now()
    ours = [milliseconds(lambda: excluded_from(everybody, purpose, now)) for _ in range(20)]
    theirs = [milliseconds(lambda: _joined(purpose.pk)) for _ in range(3)]
    assert len(excluded_from(everybody, purpose, now)) == len(everybody) - _joined(purpose.pk)
    return Row(
        "gate_exclusions", float(np.median(ours)), f"ms ({len(everybody):,} members)",
        "a join over rows", float(np.median(theirs)), scale, "under 10 ms",
    )  # fmt: skip


def _decided() -> Purpose:
    """Let two of three people say yes, and gather it."""
    purpose = Purpose.objects.create(
        key="bench", title="Bench", dpv_iri="https://w3id.org/dpv#Purpose",
        legal_basis=LegalBasis.CONSENT,
    )  # fmt: skip
    said = timezone.now()
    keys = Subject.objects.order_by("pk").values_list("pk", flat=True)
    ConsentDecision.objects.bulk_create(
        (
            ConsentDecision(
                subject_id=pk, purpose=purpose, kind="given" if pk % 3 else "refused",
                decided_at=said, source="import", idempotency_key=uuid4(),
            )
            for pk in keys
        ),
        batch_size=5_000,
    )  # fmt: skip
    standings.fold_purpose(purpose_id=purpose.pk)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE consent_consentdecision")
    return purpose


def _joined(purpose: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT count(*) FROM bench_rows r
              JOIN consent_consentdecision d ON d.subject_id = r.subject
             WHERE r.dataset = 0 AND d.purpose_id = %s AND d.kind = 'given'
               AND NOT EXISTS (SELECT 1 FROM consent_consentdecision later
                                WHERE later.subject_id = d.subject_id
                                  AND later.purpose_id = d.purpose_id
                                  AND later.decided_at > d.decided_at)
            """,
            [purpose],
        )
        return int(cursor.fetchone()[0])
