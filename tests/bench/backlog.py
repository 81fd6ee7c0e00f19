"""A row about a flood: many events arrive at once, and are applied meanwhile."""

import json
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from governance.services.clients import issue_key
from lineage.models import InboxEvent, Run
from tests.bench.asking import milliseconds, p99
from tests.bench.lineage import batches, bodies, event, head, post_batches, whole_answer
from tests.bench.place import web
from tests.bench.row import Row

IDLE, FLOOD, MEANWHILE = 10**7, 11 * 10**6, 12 * 10**6
APPLIER = """
import time, django
django.setup()
from lineage.services.apply import apply_ready
while True:
    apply_ready() or time.sleep(0.02)
"""


def backlog(*, scale: str, environment: dict[str, str]) -> Row:
    """Send single events while many wait, until nothing waits."""
    count = 5_000 if scale == "small" else 50_000
    bearer = issue_key(client_name="bench", scopes=["lineage:write"]).bearer
    with (
        web(environment) as port,
        subprocess.Popen([sys.executable, "-c", APPLIER], env=environment) as applier,
        socket.create_connection(("127.0.0.1", port)) as wire,
        ThreadPoolExecutor(1) as pool,
    ):
        try:
            wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            idle = [_cost(wire, bearer, IDLE + n) for n in range(300)]
            sent = batches(bodies(count, start=FLOOD))
            started, busy = time.perf_counter(), []
            flood = pool.submit(post_batches, port, bearer, sent)
            first, left = 0.0, 0
            while not (flood.done() and first and not _waiting()):
                busy.append(_cost(wire, bearer, MEANWHILE + len(busy)))
                if not first and Run.objects.filter(run_id=str(UUID(int=FLOOD))).exists():
                    first, left = time.perf_counter() - started, _waiting()
                time.sleep(0.01)
            flood.result()
        finally:
            applier.kill()
    assert left, "the first was answered for only when all were applied"
    return Row(
        "backlog", p99(busy),
        f"ms (p99) a single event while {count:,} come; the first is answered for after "
        f"{first:.1f} s, {left:,} waiting",
        "nothing comes", p99(idle), scale, "under 1,000 ms",
    )  # fmt: skip


def _waiting() -> int:
    return InboxEvent.objects.filter(state=InboxEvent.State.READY).count()


def _cost(wire: socket.socket, bearer: str, number: int) -> float:
    body = json.dumps(event(number)).encode()

    def post() -> None:
        wire.sendall(head(bearer, len(body)) + body)
        assert b" 201 " in whole_answer(wire)[:20]

    return milliseconds(post)
