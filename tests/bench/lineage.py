"""Rows about lineage: accepting events and applying them."""

import json
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import psycopg

from governance.services.clients import issue_key
from lineage.models import InboxEvent
from tests.bench.place import web
from tests.bench.row import Row
from tests.factories.events import at

CONNECTIONS = 4
BATCH = 500
COLUMNS = [{"name": f"column_{n}", "type": "varchar(255)", "fields": []} for n in range(10)]


def event(number: int) -> dict[str, Any]:
    """Return an event of the usual size: three inputs, one output, ten columns each, 3.5 kB."""

    def named(name: int) -> dict[str, Any]:
        facet = {"_producer": "https://example.org/bench", "_schemaURL": SCHEMA, "fields": COLUMNS}
        return {"namespace": "postgres://bench:5432", "name": f"db.public.table_{name}",
                "facets": {"schema": facet}}  # fmt: skip

    job = number % 2000
    return {
        "eventType": "COMPLETE",
        "eventTime": (at(0) + timedelta(seconds=number)).isoformat(),
        "producer": "https://example.org/bench",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json",
        "run": {"runId": str(UUID(int=number)), "facets": {}},
        "job": {"namespace": "bench", "name": f"job_{job}", "facets": {}},
        "inputs": [named((job * 7 + n) % 3000) for n in range(3)],
        "outputs": [named(3000 + job)],
    }


SCHEMA = "https://openlineage.io/spec/facets/1-2-0/SchemaDatasetFacet.json"


def bodies(count: int, start: int = 0) -> list[bytes]:
    return [json.dumps(event(start + n), sort_keys=True).encode() for n in range(count)]


def ingest_single(*, scale: str, environment: dict[str, str]) -> Row:
    """Accept single events durably over HTTP, as the stock client sends them."""
    count = 4000 if scale == "small" else 40_000
    bearer = issue_key(client_name="bench", scopes=["lineage:write"]).bearer
    with web(environment) as port:
        post_all(port, bearer, bodies(400, start=10**6))  # connections and caches are warm
        sent = bodies(count)
        ours = rate(count, lambda: post_all(port, bearer, sent))
    assert InboxEvent.objects.count() == count + 400
    theirs = rate(count, lambda: insert_all(environment["DATABASE_URL"], sent))
    return Row(
        "ingest_single", ours, "events/s", "psycopg INSERT and commit", theirs, scale,
        "0.5, 1,000/s",
    )  # fmt: skip


def ingest_batch(*, scale: str, environment: dict[str, str]) -> Row:
    """Accept events durably over HTTP, 500 a request."""
    count = 10_000 if scale == "small" else 100_000
    bearer = issue_key(client_name="bench", scopes=["lineage:write"]).bearer
    with web(environment) as port:
        post_batches(port, bearer, batches(bodies(2000, start=2 * 10**6)))
        before = InboxEvent.objects.count()
        sent = bodies(count, start=3 * 10**6)
        requests = batches(sent)
        ours = rate(count, lambda: post_batches(port, bearer, requests))
    assert InboxEvent.objects.count() == before + count
    theirs = rate(count, lambda: copy_all(environment["DATABASE_URL"], sent))
    return Row(
        "ingest_batch", ours, "events/s", "psycopg COPY and commit, 500 a time", theirs, scale,
        "5,000/s",
    )  # fmt: skip


def batches(sent: list[bytes]) -> list[bytes]:
    """Return JSON arrays of 500 events each."""
    return [b"[" + b",".join(part) + b"]" for part in parts(sent)]


def parts(sent: list[bytes]) -> list[list[bytes]]:
    return [sent[first : first + BATCH] for first in range(0, len(sent), BATCH)]


def post_batches(port: int, bearer: str, requests: list[bytes]) -> None:
    def post(share: list[bytes]) -> None:
        for body in share:
            headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}
            answer = wire.post("/api/v1/lineage/batch", content=body, headers=headers)
            assert answer.status_code == 204, answer.text[:200]

    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as wire:
        in_shares(post, requests)


def copy_all(url: str, sent: list[bytes]) -> None:
    with psycopg.connect(url, autocommit=True) as wire:
        wire.execute("DROP TABLE IF EXISTS bare")
        wire.execute("CREATE TABLE bare (id bigint GENERATED ALWAYS AS IDENTITY, body bytea)")

    def copy(share: list[bytes]) -> None:
        with psycopg.connect(url, autocommit=True) as wire:
            for part in parts(share):
                with wire.cursor().copy("COPY bare (body) FROM STDIN (FORMAT binary)") as rows:
                    for body in part:
                        rows.write_row([body])

    in_shares(copy, sent)


def post_all(port: int, bearer: str, sent: list[bytes]) -> None:
    def post(share: list[bytes]) -> None:
        with socket.create_connection(("127.0.0.1", port)) as wire:
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for body in share:
                wire.sendall(head(bearer, len(body)) + body)
                answer = whole_answer(wire)
                assert b" 201 " in answer[:20], answer[:200]

    in_shares(post, sent)


def whole_answer(wire: socket.socket) -> bytes:
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += wire.recv(4096)
    lines, _, body = answer.partition(b"\r\n\r\n")
    length = int(lines.lower().split(b"content-length:")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += wire.recv(4096)
    return lines + body


def head(bearer: str, length: int) -> bytes:
    """Return the head of a request with the headers of openlineage-python."""
    return (
        "POST /api/v1/lineage HTTP/1.1\r\nHost: localhost\r\n"
        "User-Agent: python-requests/2.34.2\r\nAccept-Encoding: gzip, deflate\r\nAccept: */*\r\n"
        "Connection: keep-alive\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {bearer}\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def insert_all(url: str, sent: list[bytes]) -> None:
    with psycopg.connect(url, autocommit=True) as wire:
        wire.execute("DROP TABLE IF EXISTS bare")
        wire.execute("CREATE TABLE bare (id bigint GENERATED ALWAYS AS IDENTITY, body bytea)")

    def insert(share: list[bytes]) -> None:
        with psycopg.connect(url, autocommit=True) as wire:
            for body in share:
                wire.execute("INSERT INTO bare (body) VALUES (%s)", [body])

    in_shares(insert, sent)


def in_shares(work: Callable[[list[bytes]], None], sent: list[bytes]) -> None:
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(work, [sent[n::CONNECTIONS] for n in range(CONNECTIONS)]))


def rate(count: int, work: Callable[[], None]) -> float:
    """Return how many a second."""
    started = time.perf_counter()
    work()
    return count / (time.perf_counter() - started)
