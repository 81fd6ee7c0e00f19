"""Rows about the gate over HTTP: long lists, and how soon a "no" counts under load."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from uuid import UUID, uuid4

import httpx
from django.utils import timezone

from consent.listed import in_ndjson
from consent.models import GateDecision
from consent.selectors import gate as selectors
from consent.services import gate, subjects
from deploy.processes import address, free_port, service
from governance.models import ApiKey, Dataset, Purpose
from governance.services.clients import issue_key
from tests.bench.lineage import batches, bodies, rate
from tests.bench.place import web
from tests.bench.row import Row

HOST = "127.0.0.1"
NDJSON, BITS = "application/x-ndjson", "application/octet-stream"
LINES = 500_000
WITHDRAWALS = 30
FILTERING, SENDING = 2, 2  # threads that load the service
ROWS_A_CALL = 20_000
ROWS_A_QUESTION = 1_000
EVENTS = 13 * 10**6
PACE = 0.1  # seconds between the 50 events that a thread sends and the next


def gate_stream(*, scale: str, environment: dict[str, str]) -> Row:
    """Filter a long list over HTTP, and the same list in process."""
    body, (key, bearer) = _list(0, LINES), _asker()
    decision = _decision(key)
    found: list[int] = []
    with web(environment) as port, _client(address(HOST, port), bearer) as client:
        _filter(client, decision, _list(0, ROWS_A_QUESTION))

        def over_http() -> None:
            found.append(sum(each.bit_count() for each in _filter(client, decision, body)))

        ours = rate(LINES, over_http)

    def in_process() -> None:
        lists = in_ndjson([body], column="id")
        answers = selectors.filtered(decision=decision, scheme="email", lists=lists)
        found.append(int(answers.sum()))

    theirs = rate(LINES, in_process)
    assert found[0] == found[1] > 0
    return Row(
        "gate_stream", ours, f"identifiers/s ({LINES:,} lines)", "the same in process", theirs,
        scale, "ratio 0.8",
    )  # fmt: skip


def withdrawal_in_force(*, scale: str, environment: dict[str, str]) -> Row:
    """Withdraw over REST while the service is busy, and ask the gate until it says no."""
    key, bearer = _asker("consent:write", "lineage:write")
    decision = _decision(key)
    persons = _who_said_yes(2 * WITHDRAWALS)
    with (
        TemporaryDirectory() as folder,
        _running(environment, Path(folder)) as url,
        _client(url, bearer) as client,
    ):
        idle = [_in_force(client, decision, *each) for each in persons[:WITHDRAWALS]]
        with _load(url, bearer, decision) as done:
            busy = [_in_force(client, decision, *each) for each in persons[WITHDRAWALS:]]
            asked, sent = done()
    assert asked > ROWS_A_CALL
    assert sent > 100
    return Row(
        "withdrawal_in_force", max(busy),
        f"ms (most of {WITHDRAWALS}) until the gate says no, while {asked:,} rows are asked about "
        f"and {sent:,} events come",
        "an idle service", max(idle), scale, "under 1,000 ms",
    )  # fmt: skip


def _asker(*scopes: str) -> tuple[ApiKey, str]:
    issued = issue_key(client_name="bench", scopes=["gate:ask", *scopes])
    return issued.key, issued.bearer


def _decision(key: ApiKey) -> GateDecision:
    dataset = Dataset.objects.get(name="list-0", namespace="bench")
    purpose = Purpose.objects.get(key="bench")
    return gate.decide(datasets=[dataset], purpose=purpose, client=key.client)


def _list(first: int, count: int) -> bytes:
    return "".join(f'"person-{n}@example.org"\n' for n in range(first, first + count)).encode()


def _client(url: str, bearer: str) -> httpx.Client:
    headers = {"Authorization": f"Bearer {bearer}"}
    return httpx.Client(base_url=f"{url}/api/v1", headers=headers, timeout=60, trust_env=False)


def _filter(client: httpx.Client, decision: GateDecision, body: bytes) -> bytes:
    answer = client.post(
        f"/gate/decisions/{decision.uuid}/filter?scheme=email", content=body,
        headers={"Content-Type": NDJSON, "Accept": BITS},
    )  # fmt: skip
    assert answer.status_code == 200, answer.text[:200]
    return answer.content


def _who_said_yes(count: int) -> list[tuple[int, UUID]]:
    """Register some of those who said yes: only who has a key of their own can withdraw."""
    found = []
    for n in range(0, 10 * count, 2):
        person = subjects.register(identifiers=[("email", f"person-{n}@example.org")]).subject
        if person.pk % 3:  # as the rows of the gate let them say
            found.append((n, person.uuid))
    return found[:count]


@contextmanager
def _running(environment: dict[str, str], folder: Path):
    """Run the whole service, its worker and sweeper too."""
    port = free_port(HOST)
    with service(environment, HOST, port, log=folder / "service.log") as processes:
        processes.wait_until_ready()
        yield address(HOST, port)


def _in_force(client: httpx.Client, decision: GateDecision, number: int, person: UUID) -> float:
    """Return the ms from a withdrawal's acknowledgement to the gate's first "no"."""
    question = _list(number, ROWS_A_QUESTION)  # the person is the first of them
    assert _filter(client, decision, question)[0] & 1
    said = {"purpose": "bench", "kind": "withdrawn", "decided_at": timezone.now().isoformat()}
    answer = client.post(
        f"/subjects/{person}/decisions", json=said, headers={"Idempotency-Key": str(uuid4())}
    )
    assert answer.status_code == 201, answer.text[:200]
    acknowledged = time.perf_counter()
    while _filter(client, decision, question)[0] & 1:
        pass
    return (time.perf_counter() - acknowledged) * 1000


@contextmanager
def _load(url: str, bearer: str, decision: GateDecision):
    """Ask about many rows and send events while the block lasts; yields what counts both so far."""
    ended, asked, sent = Event(), [0] * FILTERING, [0] * SENDING
    rows = _list(0, ROWS_A_CALL)

    def ask(client: httpx.Client, n: int) -> None:
        _filter(client, decision, rows)
        asked[n] += ROWS_A_CALL

    def send(client: httpx.Client, n: int) -> None:
        [body] = batches(bodies(50, start=EVENTS + n * 10**5 + sent[n]))
        answer = client.post(
            "/lineage/batch", content=body, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == 204, answer.text[:200]
        sent[n] += 50
        ended.wait(PACE)

    def repeat(work: Callable[[httpx.Client, int], None], n: int) -> None:
        with _client(url, bearer) as client:
            while not ended.is_set():
                work(client, n)

    with ThreadPoolExecutor(FILTERING + SENDING) as pool:
        busy = [pool.submit(repeat, ask, n) for n in range(FILTERING)]
        busy += [pool.submit(repeat, send, n) for n in range(SENDING)]
        try:
            yield lambda: (sum(asked), sum(sent))
        finally:
            ended.set()
        for each in busy:
            each.result()
