"""Events that could not be understood can be looked at and tried again; files can be replayed."""

import gzip
import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command

from governance.services.clients import issue_key
from lineage.models import InboxEvent, Run
from lineage.services import dead_letters
from lineage.services.apply import apply_ready
from tests.factories.events import at, event

pytestmark = pytest.mark.django_db


@pytest.fixture
def bearer() -> dict[str, str]:
    key = issue_key(client_name="pipeline", scopes=["lineage:write"]).bearer
    return {"Authorization": f"Bearer {key}"}


@pytest.fixture
def dead(client, bearer) -> str:
    """A dead letter, by its id."""
    said = event("START", "train", 0, sql={"query": "select 'Ann Example'"})
    del said["job"]
    answer = client.post("/api/v1/lineage", said, content_type="application/json", headers=bearer)
    assert answer.status_code == 422
    return str(answer.json()["dead_letter"])


def test_a_dead_letter_is_listed_to_its_sender_alone(client, bearer, dead):
    [listed] = client.get("/api/v1/lineage/dead-letters", headers=bearer).json()["results"]
    assert (listed["id"], listed["code"]) == (dead, "event_unusable")
    assert listed["reason"] == "a run event needs a job"
    other = issue_key(client_name="other", scopes=["lineage:write"]).bearer
    theirs = {"Authorization": f"Bearer {other}"}
    assert client.get("/api/v1/lineage/dead-letters", headers=theirs).json()["results"] == []
    assert client.get(f"/api/v1/lineage/dead-letters/{dead}", headers=theirs).status_code == 404


def test_its_outline_holds_nothing_personal(client, bearer, dead):
    shown = client.get(f"/api/v1/lineage/dead-letters/{dead}", headers=bearer)
    assert "Ann" not in shown.content.decode()
    outline = shown.json()["outline"]
    assert outline["eventTime"] == at(0).isoformat()
    assert outline["run"]["facets"]["sql"] == {"query": "text of 20 characters"}


def test_what_is_understood_now_is_applied(client, bearer, dead, monkeypatch):
    def replay() -> Any:
        return client.post(
            "/api/v1/lineage/dead-letters/replay", {"ids": [dead]},
            content_type="application/json", headers=bearer,
        )  # fmt: skip

    assert replay().json() == {"ready": 0, "still_dead": 1}
    monkeypatch.setattr(dead_letters, "parse", lambda *_body, **_now: None)
    assert replay().json() == {"ready": 1, "still_dead": 0}
    kept = InboxEvent.objects.get()
    assert (kept.state, kept.reason, kept.reason_code) == ("ready", "", "")


def test_everything_is_not_replayed_by_leaving_everything_out(client, bearer, dead):
    answer = client.post(
        "/api/v1/lineage/dead-letters/replay", {}, content_type="application/json", headers=bearer
    )
    assert answer.status_code == 400


def test_the_command_lists_and_replays(dead):
    out = StringIO()
    call_command("dead_letters", "--json", "--code", "event_unusable", stdout=out)
    [listed] = json.loads(out.getvalue())["results"]
    assert (listed["id"], listed["client"]) == (dead, "pipeline")
    again = StringIO()
    call_command("dead_letters", "--json", "--replay", stdout=again)
    assert json.loads(again.getvalue()) == {"ready": 0, "still_dead": 1}


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_of_events_is_replayed(tmp_path, packed):
    lines = [event("START", "train", 0), event("COMPLETE", "train", 1)]
    text = "\n".join(json.dumps(each) for each in lines).encode() + b"\n\n"
    file = tmp_path / ("events.ndjson.gz" if packed else "events.ndjson")
    file.write_bytes(gzip.compress(text) if packed else text)
    for wanted in ({"new": 2, "repeated": 0}, {"new": 0, "repeated": 2}):
        out = StringIO()
        call_command("replay", str(file), "--client", "files", "--json", stdout=out)
        assert json.loads(out.getvalue()) == {**wanted, "refused": []}
    apply_ready()
    assert Run.objects.get().run_id


def test_a_file_s_bad_lines_are_named_and_the_rest_is_taken(tmp_path):
    file = tmp_path / "events.ndjson"
    good = json.dumps(event("START", "train", 0))
    file.write_text(f'{{"half":\n{good}\n{{"job": 7, "eventTime": "2026-06-01T00:00:00Z"}}\n')
    out = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("replay", str(file), "--client", "files", "--json", stdout=out)
    assert ended.value.code == 1
    counts = json.loads(out.getvalue())
    assert (counts["new"], [line for line, _ in counts["refused"]]) == (1, [1, 3])
