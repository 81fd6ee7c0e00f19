"""Events are kept once, applied by the worker, and never lost to one that is poisonous."""

import secrets
import string
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from governance.services.clients import issue_key
from lineage.models import DatasetVersion, InboxEvent, Job
from lineage.services.apply import apply_ready
from lineage.services.inbox import OverloadedError, _Backlog, accept
from tests.factories.events import dataset, event


def states() -> dict[str, int]:
    found = InboxEvent.objects.values_list("state", flat=True)
    return {state: list(found).count(state) for state in set(found)}


def test_a_repeated_event_is_a_success_and_kept_once(key):
    sent = event("START", "job", 0)
    [first], [second] = accept(key=key, events=[sent]), accept(key=key, events=[dict(sent)])
    assert (first.created, second.created) == (True, False)
    assert first.uuid == second.uuid
    assert states() == {"ready": 1}


def test_the_order_of_keys_in_the_body_does_not_make_another_event(key):
    sent = event("START", "job", 0)
    accept(key=key, events=[sent])
    [again] = accept(key=key, events=[dict(reversed(sent.items()))])
    assert again.created is False


def test_the_same_event_of_another_source_is_another_event(key):
    other = issue_key(client_name="other", scopes=["lineage:write"]).key
    sent = event("START", "job", 0)
    accept(key=key, events=[sent])
    accept(key=other, events=[sent])
    assert states() == {"ready": 2}


def test_an_unusable_event_is_kept_as_a_dead_letter_with_its_reason(key):
    [receipt] = accept(key=key, events=[{"eventTime": "yesterday"}])
    assert receipt.code == "event_unusable"
    kept = InboxEvent.objects.get()
    assert (kept.uuid, kept.state) == (receipt.uuid, "dead")
    assert kept.reason == "eventTime is not an ISO 8601 date and time"
    assert apply_ready() == 0


def test_an_event_from_the_far_future_is_a_dead_letter(key):
    late = (timezone.now() + timedelta(days=2)).isoformat()
    [receipt] = accept(key=key, events=[event("START", "job", 0) | {"eventTime": late}])
    assert receipt.reason == "eventTime lies more than a day in the future"


def test_a_key_writes_only_to_its_namespaces(db):
    narrow = issue_key(client_name="n", scopes=["lineage:write"], namespaces=["mine*"]).key
    [refused] = accept(key=narrow, events=[event("START", "job", 0)])
    assert refused.code == "namespace_refused"
    assert InboxEvent.objects.count() == 0


def test_the_raw_body_is_unreadable_in_the_database(key):
    accept(key=key, events=[event("START", "a-telling-name", 0)])
    assert b"a-telling-name" not in bytes(InboxEvent.objects.get().body_sealed)


def test_applying_marks_events_done_in_the_same_transaction(key):
    accept(key=key, events=[event("START", f"job{n}", 0) for n in range(5)])
    assert apply_ready(limit=3) == 3
    assert states() == {"done": 3, "ready": 2}
    assert Job.objects.count() == 3


def test_one_poisonous_event_holds_up_no_other(key):
    accept(key=key, events=[event("START", "good", 0), event("START", "poison", 0)])
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE lineage_job ADD CONSTRAINT no_poison CHECK (name <> 'poison')")
    assert apply_ready() == 2
    assert states() == {"done": 1, "dead": 1}
    assert [job.name for job in Job.objects.all()] == ["good"]


def test_a_full_inbox_asks_the_sender_to_come_back(key, settings):
    settings.COLOPHON_INBOX_LIMIT = 2
    accept(key=key, events=[event("START", f"job{n}", 0) for n in range(2)])
    _Backlog.looked_at = float("-inf")
    with pytest.raises(OverloadedError):
        accept(key=key, events=[event("START", "one too many", 0)])
    assert states() == {"ready": 2}
    _Backlog.looked_at = float("-inf")


@pytest.mark.parametrize(
    "written",
    ["2026-06-01T12:00:00Z", "2026-06-01T12:00:00", "2026-06-01T14:00:00+02:00",
     "2026-06-01T12:00:00.000000123Z", "2026-06-01 12:00:00+0000", "2026-06-01T12:00Z"],
)  # fmt: skip
def test_times_are_read_as_producers_write_them(written):
    from lineage.openlineage import parse_time
    from tests.factories.events import NOON

    assert parse_time(written) == NOON


def unlikely(length: int) -> str:
    """Return a name that no compression makes short."""
    return "".join(secrets.choice(string.ascii_letters) for _ in range(length))


def test_the_longest_names_fit_the_database_and_longer_ones_are_refused(key):
    longest = event("START", unlikely(1200), 0, run=unlikely(1200))
    longest["job"]["namespace"] = unlikely(1200)
    version = dataset(unlikely(1200), version=unlikely(5000)) | {"namespace": unlikely(1200)}
    longest["inputs"] = longest["outputs"] = [version]
    [kept] = accept(key=key, events=[longest])
    assert kept.code == ""
    assert apply_ready() == 1
    assert states() == {"done": 1}
    assert DatasetVersion.objects.get(kind="written").declared.startswith("sha256:")
    for field in ("namespace", "name"):
        [refused] = accept(
            key=key, events=[longest | {"job": longest["job"] | {field: unlikely(1201)}}]
        )
        assert refused.reason == f"job.{field} is longer than 1200 bytes"
