"""The clients: they ask over HTTP, under a key of their own, until they are told yes."""

import random
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from threading import Event
from typing import Any
from uuid import UUID

import httpx

from tests.faults.chaos.journal import Journal
from tests.faults.chaos.world import PURPOSE, person

PATIENCE = 90.0


class Client:
    """One caller; a request that is not answered is sent again with the same key."""

    def __init__(self, url: str, bearer: str, journal: Journal, seed: int) -> None:
        self._http = httpx.Client(
            base_url=f"{url}/api/v1/", headers={"Authorization": f"Bearer {bearer}"},
            timeout=8, trust_env=False,
        )  # fmt: skip
        self._journal, self._drawn = journal, random.Random(seed)

    def erase(self, number: int, subject: str) -> None:
        """Withdraw, then ask for everything to be erased."""
        said = {
            "purpose": PURPOSE, "kind": "withdrawn", "decided_at": datetime.now(UTC).isoformat(),
        }  # fmt: skip
        self._until_yes("decision", f"subjects/{subject}/decisions", said, person=number)
        asked = {"subject": subject, "kind": "erasure", "identity_verified": True}
        told = self._until_yes("erasure", "requests", asked, person=number)
        if told is not None and self._drawn.random() < 0.3:  # some ask twice, to be sure
            key = next(k for k, v in self._journal.of("erasure").items() if v["person"] == number)
            self._send("requests", asked, {"Idempotency-Key": key})

    def tell(self, leaving: Event) -> None:
        """Send events of runs until the storm is over."""
        while not leaving.is_set():
            run = self._uuid()
            body = {
                "eventTime": datetime.now(UTC).isoformat(), "eventType": "COMPLETE",
                "producer": "https://example.org/storm",
                "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json",
                "run": {"runId": run}, "job": {"namespace": "storm", "name": "job"},
                "inputs": [], "outputs": [],
            }  # fmt: skip
            self._until_yes("event", "lineage", body, key=run)
            leaving.wait(0.05)

    def ask(self, leaving: Event) -> None:
        """Ask the gate again and again; its answer may be 503, and never wrong or a 500."""
        while not leaving.is_set():
            asked = {"purpose": PURPOSE, "datasets": [{"namespace": "storm", "name": "shop"}]}
            self._send("gate/decisions", asked, {})
            leaving.wait(0.1)

    def _until_yes(
        self, what: str, path: str, body: Mapping[str, Any], *, key: str = "", **facts: Any
    ) -> Any:
        key = key or self._uuid()
        self._journal.invoke(key, what=what, **facts)
        ends = time.monotonic() + PATIENCE
        while time.monotonic() < ends:
            answer = self._send(path, body, {"Idempotency-Key": key})
            if answer is not None and answer.is_success:
                told = answer.json() if answer.content else {}
                self._journal.ok(key, uuid=told.get("id") or told.get("uuid") or key)
                return told
            self._journal.unknown(key, "no answer" if answer is None else str(answer.status_code))
            time.sleep(0.2 + 0.3 * self._drawn.random())
        self._journal.saw("gave up", fault=f"{what} was not acknowledged in {PATIENCE:.0f} s")
        return None

    def _send(
        self, path: str, body: Mapping[str, Any], headers: Mapping[str, str]
    ) -> httpx.Response | None:
        try:
            answer = self._http.post(path, json=body, headers=dict(headers))
        except httpx.TransportError as error:
            self._journal.saw(type(error).__name__)
            return None
        status, fault = str(answer.status_code), ""
        if answer.status_code >= 500 and answer.status_code != 503:
            fault = f"{path} answered {status}: {answer.text[:200]}"
        elif answer.status_code == 503 and not answer.headers.get("Retry-After"):
            fault = f"{path} answered 503 without Retry-After"
        elif 400 <= answer.status_code < 500:
            fault = f"{path} answered {status}: {answer.text[:200]}"
        self._journal.saw(status, fault=fault)
        return answer

    def _uuid(self) -> str:
        return str(UUID(bytes=self._drawn.randbytes(16), version=4))


def subjects_of(people: int) -> list[str]:
    """Register everybody who will ask, before the storm; return their names."""
    from consent.services import subjects

    return [
        str(subjects.register(identifiers=[("email", person(n))]).subject.uuid)
        for n in range(people)
    ]
