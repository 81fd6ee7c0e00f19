"""After a whole story, no identifier is readable anywhere in the database, or in a log."""

import json
import logging
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client

from consent.selectors.subjects import by_identifier, clear_identifiers
from consent.services import rotating, subjects
from tests.factories.consent import registered
from tests.factories.governance import DatasetFactory, PurposeFactory, issued_key

CANARIES = ("canary-ada@example.org", "canary-bob@example.org", "CANARY-7")


def everything_stored() -> dict[str, str]:
    """Return every value of every column of every table as text, bytes as hexadecimal."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_schema, table_name FROM information_schema.tables"
            " WHERE table_type IN ('BASE TABLE', 'LOCAL TEMPORARY')"
            "   AND table_schema NOT IN ('pg_catalog', 'information_schema')"
        )
        found = {}
        for schema, table in cursor.fetchall():
            cursor.execute(f'SELECT string_agg(t::text, chr(10)) FROM "{schema}"."{table}" AS t')
            found[table] = cursor.fetchone()[0] or ""
    return found


def traces(text: str) -> list[str]:
    """Return the canaries that a text holds, plainly, in another case, or as hexadecimal."""
    folded = text.casefold()
    return [
        each
        for each in CANARIES
        if each.casefold() in folded
        or each.encode().hex() in folded
        or each.casefold().encode().hex() in folded
    ]


@pytest.fixture
def post(db):
    headers = {
        "Authorization": "Bearer "
        + issued_key("consent:read", "consent:write", "gate:ask", "registry:write")
    }
    client = Client(raise_request_exception=False)

    def post(path, body, kind="application/json", **more):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return client.post(f"/api/v1/{path}", raw, content_type=kind, headers=headers | more)

    return post


def the_story(post) -> list:
    """Register, decide, hand in, ask and filter; make mistakes; return every refusal."""
    ada, bob, card = CANARIES
    PurposeFactory(key="training")
    dataset = DatasetFactory(registered=True, subject_column="email", subject_scheme="email")
    members = f"datasets/{dataset.uuid}/members"
    identifiers = [{"scheme": "email", "value": ada}, {"scheme": "card", "value": card}]
    person = post("subjects", {"identifiers": identifiers}).json()["uuid"]
    decision = {"purpose": "training", "kind": "given", "decided_at": "2026-03-01T12:00:00Z"}
    key = {"Idempotency-Key": str(uuid4())}
    assert post(f"subjects/{person}/decisions", decision, **key).status_code == 201
    assert post(members, f"email\n{ada}\n{bob}\n".encode(), "text/csv").status_code == 201
    asked = post("gate/decisions", {"datasets": [str(dataset.uuid)], "purpose": "training"}).json()
    people = {"scheme": "email", "identifiers": [ada, bob]}
    filtered = post(f"gate/decisions/{asked['uuid']}/filter", people)
    assert filtered.json() == {"permitted": [True, False]}
    long = f"gate/decisions/{asked['uuid']}/filter?scheme=email"
    lines = f'"{ada}"\n"{bob}"\n'.encode()
    assert post(long, lines, "application/x-ndjson").content == b"true\nfalse\n"
    alone = {"purpose": "training", "scheme": "email", "identifier": ada}
    assert post("gate/subjects", alone).json() == {"permitted": True}
    return [
        post(members, f"email\n{ada} {bob}\n".encode(), "text/csv"),
        post(members, f'{{"id": "{ada}"'.encode(), "application/x-ndjson"),
        post(f"{members}?column=email&scheme=Bad", f"email\n{ada}\n".encode(), "text/csv"),
        post("subjects", {"identifiers": [{"scheme": "email", "value": f"{ada} {bob}"}]}),
        post("subjects", {"identifiers": [{"scheme": "email", "value": {"x": ada}}]}),
        post("subjects/lookup", {"scheme": "email", "value": f"{ada}@"}),
        post(f"gate/decisions/{asked['uuid']}/filter", people | {"scheme": [ada]}),
        post(long, lines + f'"{ada} {bob}"'.encode(), "application/x-ndjson"),
        post("gate/subjects", alone | {"identifier": f"{ada}@"}),
        post(f"subjects/{person}/decisions", decision | {"kind": "refused"}, **key),
    ]


def test_no_identifier_is_readable_in_the_database_a_log_or_a_refusal(post, caplog):
    caplog.set_level(logging.DEBUG)
    refusals = the_story(post)
    assert [each.status_code for each in refusals] == [400] * 9 + [409]
    for refused in refusals:
        assert traces(refused.content.decode()) == []
    stored = everything_stored()
    assert len(stored["consent_subjectidentifier"].splitlines()) == 3
    assert {table: traces(text) for table, text in stored.items() if traces(text)} == {}
    assert traces(caplog.text) == []
    registered(("card", "planted"))
    assert len(clear_identifiers(by_identifier("card", "planted"))) == 1


def test_no_identifier_is_readable_while_the_key_changes_and_after(post, caplog):
    caplog.set_level(logging.DEBUG)
    the_story(post)
    ada, bob, card = CANARIES
    subjects.forget(subject=registered(("email", f"x-{ada}")))
    rotating.introduce()
    steps = [rotating.move_up(limit=1) for _ in range(3)]
    assert [each.rows for each in steps] == [1, 1, 1]
    for _ in range(2):
        known = post("subjects/lookup", {"scheme": "email", "value": ada})
        assert known.json()["uuid"] == str(by_identifier("card", card).uuid)
        assert by_identifier("email", bob) is not None
        stored = everything_stored()
        assert len(stored["consent_subjectidentifier"].splitlines()) == 3
        assert {table: traces(text) for table, text in stored.items() if traces(text)} == {}
        while rotating.move_up():
            pass
    assert traces(caplog.text) == []
    assert [value for _, value in clear_identifiers(by_identifier("email", ada))] == [card, ada]


def test_the_search_would_find_an_identifier(db):
    DatasetFactory(name=CANARIES[0].upper())
    PurposeFactory(title=CANARIES[1].encode().hex())
    stored = everything_stored()
    assert traces(stored["governance_dataset"]) == [CANARIES[0]]
    assert traces(stored["governance_purpose"]) == [CANARIES[1]]


def test_after_an_erasure_nothing_can_be_opened_any_more(post):
    the_story(post)
    person = by_identifier("email", CANARIES[0])
    wrapped = bytes(person.key.wrapped).hex()
    sealed = [bytes(each.value_sealed).hex() for each in person.identifiers.all()]
    before = "\n".join(everything_stored().values())
    assert all(each in before for each in (wrapped, *sealed))
    subjects.forget(subject=person)
    after = "\n".join(everything_stored().values())
    assert not any(each in after for each in (wrapped, *sealed))
