"""A person goes through the whole service, and is then looked for wherever anything is kept.

The service runs in its own processes. What Redis is told is listened to while it happens, since a
message is gone once it was taken; what the database holds and the programs wrote is read
afterwards. Mail that goes to the person and the storage that the person's rows lie in are theirs.
"""

import base64
import json
import re
import sqlite3
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from uuid import uuid4

import httpx
import psycopg
import pytest
import redis

from deploy.demo.doors import DoorError
from deploy.demo.portal import Browser
from lineage.sdk import Colophon

ADDRESS = "canary.heron@example.org"
PLAIN = "canary.heron"  # what every spelling of the address has in common
CARD = "CANARYCARD0042"
NDJSON, TEXT = "application/x-ndjson", "text/csv"


def spellings(secret: str) -> set[str]:
    """Return a text in every shape in which it might be kept: plain, hexadecimal, base64."""
    raw = secret.encode()
    shapes = {secret.casefold(), raw.hex(), secret.casefold().encode().hex()}
    for ahead in range(3):  # base64 spells a text in one of three ways, by what goes before it
        spelt = base64.b64encode(b"\0" * ahead + raw).decode()
        first, last = -(-ahead * 8 // 6), (ahead + len(raw)) * 8 // 6
        shapes.add(spelt[first:last].casefold())
    return shapes


SHAPES = {who: spellings(who) for who in (PLAIN, CARD)}


def traces(text: str) -> set[str]:
    """Return who can be found in a text."""
    folded = text.casefold()
    return {who for who, shapes in SHAPES.items() if any(each in folded for each in shapes)}


@contextmanager
def listening(url: str) -> Iterator[list[str]]:
    """Yield a list that fills with every command that a Redis is given."""
    heard: list[str] = []
    last = f"PING {uuid4().hex}"
    with redis.Redis.from_url(url) as wire, wire.monitor() as monitor:

        def listen() -> None:
            while not heard or heard[-1] != last:
                heard.append(str(monitor.next_command()["command"]))

        ear = threading.Thread(target=listen)
        ear.start()
        try:
            yield heard
        finally:
            with redis.Redis.from_url(url) as voice:
                voice.execute_command(*last.split())
            ear.join()


def kept_in_redis(url: str) -> str:
    """Return everything that a Redis holds."""
    found = []
    with redis.Redis.from_url(url) as wire:
        for key in wire.scan_iter():
            kind = wire.type(key).decode()
            read = {
                "string": wire.get, "hash": wire.hgetall, "set": wire.smembers,
                "list": lambda key: wire.lrange(key, 0, -1),
                "zset": lambda key: wire.zrange(key, 0, -1, withscores=True),
            }  # fmt: skip
            found.append(f"{key!r} {read[kind](key)!r}" if kind in read else repr(key))
    return "\n".join(found)


def kept_in_database(url: str) -> dict[str, str]:
    """Return every table as text, bytes as hexadecimal, sessions unpacked."""
    found = {}
    with psycopg.connect(url) as wire:
        tables = wire.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        for (table,) in tables:
            row = wire.execute(f"SELECT string_agg(t::text, chr(10)) FROM {table} t").fetchone()
            found[table] = row[0] or ""
        for (data,) in wire.execute("SELECT session_data FROM django_session"):
            for part in data.split(":"):
                with suppress(ValueError):
                    found["sessions"] = found.get("sessions", "") + str(unpacked(part))
    return found


def unpacked(part: str) -> bytes:
    """Return what base64 for addresses holds, inflated where it says that it is deflated."""
    deflated = part.startswith(".")
    raw = base64.urlsafe_b64decode(part.lstrip(".") + "===")
    with suppress(zlib.error):
        return zlib.decompress(raw) if deflated else raw
    return raw


class Desk:
    """Whoever works with the service over REST, with every scope that the story needs."""

    def __init__(self, service) -> None:
        scopes = "consent:read consent:write gate:ask registry:write lineage:write requests:write"
        wanted = [part for each in scopes.split() for part in ("--scope", each)]
        told = service.run("manage.py", "issue_key", "--json", "--client", "desk", *wanted)
        self.key = json.loads(told.stdout.splitlines()[-1])["key"]
        self.wire = httpx.Client(
            base_url=f"{service.url}/api/v1/", headers={"Authorization": f"Bearer {self.key}"},
            timeout=60, trust_env=False,
        )  # fmt: skip

    def post(self, path: str, body: object, kind: str = "application/json") -> httpx.Response:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": kind, "Idempotency-Key": str(uuid4())}
        return self.wire.post(path, content=raw, headers=headers)

    def made(self, path: str, body: object, kind: str = "application/json") -> dict:
        answer = self.post(path, body, kind)
        assert answer.is_success, (path, answer.text)
        return answer.json() if answer.content else {}


def a_library(desk: Desk, folder, name: str) -> dict:
    """Register a table of loans in which the person has two rows and others have some."""
    table = folder / f"{name}.sqlite"
    with closing(sqlite3.connect(table)) as wire, wire:
        wire.execute("CREATE TABLE loans (email TEXT, title TEXT)")
        people = [ADDRESS, ADDRESS, "somebody.else@example.org"]
        wire.executemany("INSERT INTO loans VALUES (?, 'Ulysses')", [(each,) for each in people])
    desk.made("purposes", {"key": name, "title": "t", "legal_basis": "consent",
                           "dpv_iri": "https://w3id.org/dpv#Personalisation"})  # fmt: skip
    desk.made("storages", {"name": name, "kind": "sql", "address": f"sqlite:///{table}"})
    return desk.made(
        "datasets",
        {"namespace": name, "name": "loans", "storage": name, "location": "loans",
         "subject_column": "email", "subject_scheme": "email"},
    )  # fmt: skip


def tell_of_a_run(desk: Desk, name: str) -> None:
    """Send a run whose SQL, error and unknown facets all quote the person."""
    mark = {"_producer": "https://example.org", "_schemaURL": "https://example.org/1-0-0"}
    event = {
        "eventType": "FAIL", "eventTime": datetime.now(UTC).isoformat(),
        "producer": "https://example.org", "schemaURL": "https://example.org/2-0-2",
        "run": {"runId": str(uuid4()), "facets": {
            "errorMessage": mark | {"message": f"no row for {ADDRESS}", "programmingLanguage": "x",
                                    "stackTrace": f"at {CARD}\nat {ADDRESS}"},
            "household_notes": mark | {"of": ADDRESS},
            "environmentVariables": mark | {"environmentVariables": [
                {"name": "OWNER", "value": ADDRESS}]},
        }},
        "job": {"namespace": name, "name": "export", "facets": {
            "sql": mark | {"query": f"SELECT * FROM loans WHERE email = '{ADDRESS}'"}}},
        "inputs": [{"namespace": name, "name": "loans", "inputFacets": {
            "subset": mark | {"inputCondition": {"type": "compare", "left": {"type": "field",
                              "field": "email"}, "comparison": "EQUAL",
                              "right": {"type": "literal", "value": ADDRESS}}}}}],
        "outputs": [],
    }  # fmt: skip
    desk.made("lineage", event)


def make_mistakes(desk: Desk, dataset: str, person: str, asked: str) -> list[httpx.Response]:
    """Send what is wrong in every way that holds the person's address."""
    two, members = f"{ADDRESS} {CARD}", f"datasets/{dataset}/members"
    listed = {"scheme": "email", "identifiers": [ADDRESS, two]}
    return [
        desk.post(members, f"email\n{two}\n".encode(), TEXT),
        desk.post(members, f'{{"id": "{ADDRESS}"'.encode(), NDJSON),
        desk.post("subjects", {"identifiers": [{"scheme": "email", "value": two}]}),
        desk.post("subjects", {"identifiers": [{"scheme": "email", "value": {"x": ADDRESS}}]}),
        desk.post("subjects/lookup", {"scheme": "email", "value": f"{ADDRESS}@"}),
        desk.post(f"gate/decisions/{asked}/filter", listed),
        desk.post(f"subjects/{person}/decisions", {"purpose": ADDRESS, "kind": "given"}),
        desk.post("lineage", {"run": {"runId": ADDRESS}, "job": {}, "inputs": CARD}),
        desk.post("requests", {"subject": ADDRESS, "kind": CARD}),
    ]


def code_for(service) -> str:
    """Return the code in the newest mail."""
    for _ in range(100):
        mails = sorted(
            (service.folder / "mail").glob("*"), key=lambda each: each.stat().st_mtime_ns
        )
        found = mails and re.search(r"^\s*(\d{8})\s*$", mails[-1].read_text(), re.MULTILINE)
        if found:
            return str(found[1])
        time.sleep(0.1)
    raise AssertionError("no mail came")


def visit_the_portal(service) -> None:
    """Sign in as the person, mistype the code first, and ask to be erased."""
    browser = Browser(service.url)
    page = browser.open("/sign-in")
    page = browser.submit(page.form(asks="address"), address=ADDRESS)
    with pytest.raises(DoorError):
        browser.submit(page.form(asks="code"), code="00000000")
    browser.submit(page.form(asks="code"), code=code_for(service))
    page = browser.open("/me/erase")
    confirmed = next(form for form in page.forms if "key" in form.fields)
    browser.submit(confirmed)
    browser.close()


@pytest.fixture(scope="module")
def heard(service) -> list[str]:
    """Tell the whole story, and return what Redis heard of it."""
    name = f"canary-{uuid4().hex[:8]}"
    desk = Desk(service)
    with listening(service.environment["REDIS_URL"]) as heard:
        dataset = a_library(desk, service.folder, name)["uuid"]
        identifiers = [{"scheme": "email", "value": ADDRESS}, {"scheme": "card", "value": CARD}]
        person = desk.made("subjects", {"identifiers": identifiers})["uuid"]
        yes = {"purpose": name, "kind": "given", "decided_at": datetime.now(UTC).isoformat()}
        desk.made(f"subjects/{person}/decisions", yes)
        desk.made(f"datasets/{dataset}/members", f"email\n{ADDRESS}\n".encode(), TEXT)
        tell_of_a_run(desk, name)
        train(service, desk, name)
        asked = desk.made("gate/decisions", {"datasets": [dataset], "purpose": name})["uuid"]
        for refused in make_mistakes(desk, dataset, person, asked):
            assert 400 <= refused.status_code < 500, refused.text
            assert traces(refused.text) == set(), refused.text
        visit_the_portal(service)
        wait_until_erased(service, name)
    desk.wire.close()
    return heard


def train(service, desk: Desk, name: str) -> None:
    """Train as a script does, with the person's rows, and fail with the address on the lips."""
    import pandas as pd

    loans, model = (name, "loans"), (name, "model")
    with Colophon(service.url, desk.key) as colophon:
        gate = colophon.gate.decide(datasets=[loans], purpose=name, model=model)
        frame = pd.DataFrame({"email": [ADDRESS, "somebody.else@example.org"]})
        assert list(gate.filter(frame, subject="email").email) == [ADDRESS]
        with (
            pytest.raises(RuntimeError),
            colophon.training_run(job="train", model=model, inputs=[loans], gate=gate),
        ):
            raise RuntimeError(f"cannot train on {ADDRESS}")


def wait_until_erased(service, name: str) -> None:
    """Wait until the worker has taken the person's rows away, and then the keys."""
    with (
        closing(sqlite3.connect(service.folder / f"{name}.sqlite")) as table,
        psycopg.connect(service.environment["DATABASE_URL"], autocommit=True) as wire,
    ):
        for _ in range(300):
            left = {row[0] for row in table.execute("SELECT email FROM loans")}
            buried = wire.execute("SELECT count(*) FROM consent_tombstone").fetchone()
            if left == {"somebody.else@example.org"} and buried and buried[0] >= 2:
                return
            time.sleep(0.1)
    raise AssertionError(f"{len(left)} people are left in the table, {buried} are buried")


def test_a_person_would_be_found_in_any_shape():
    for shape in (ADDRESS, ADDRESS.upper(), ADDRESS.encode().hex(), CARD.lower()):
        assert traces(f"… {shape} …"), shape
    for ahead in range(4):
        hidden = base64.b64encode(b"x" * ahead + ADDRESS.encode() + b"yz").decode()
        assert traces(hidden) == {PLAIN}, ahead
    assert traces("somebody.else@example.org") == set()


def test_redis_is_told_much_and_nothing_of_the_person(heard, service):
    told = "\n".join(heard)
    assert "consent.carry_out" in told
    assert traces(told) == set()
    assert traces(kept_in_redis(service.environment["REDIS_URL"])) == set()


def test_the_database_holds_no_readable_trace(heard, service):
    kept = kept_in_database(service.environment["DATABASE_URL"])
    assert len(kept["public.consent_tombstone"].splitlines()) >= 2
    assert {table for table, text in kept.items() if traces(text)} == set()


def test_what_the_programs_wrote_names_nobody(heard, service):
    written = service.log.read_text()
    assert len(written) > 1000
    assert [line for line in written.splitlines() if traces(line)] == []
