"""The one object that a training script makes."""

import os
import weakref
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from openlineage.client.client import OpenLineageClient
from openlineage.client.transport.http import ApiKeyTokenProvider, HttpConfig, HttpTransport

from lineage.sdk.connection import Connection
from lineage.sdk.gate import Decision, Gate, Name
from lineage.sdk.training import TrainingRun

EVENT_TIMEOUT = 30.0
ATTEMPTS = 5
# Only what says when to come back is sent again; repeats of an event are harmless.
RETRY: dict[str, Any] = {
    "total": ATTEMPTS,
    "connect": 0,
    "read": 0,
    "redirect": 0,
    "other": 0,
    "status_forcelist": [],
    "respect_retry_after_header": True,
    "raise_on_status": False,
}


class Colophon:
    """The service at an address, for the holder of a key.

    ``namespace`` is that of jobs which name none; OpenLineage's own variable is the default.
    """

    def __init__(
        self, url: str, api_key: str, *, namespace: str | None = None, **connection: Any
    ) -> None:
        self._connection = Connection(url, api_key, **connection)
        self._namespace = namespace or os.environ.get("OPENLINEAGE_NAMESPACE") or "default"
        config = HttpConfig(
            url=self._connection.url,
            auth=ApiKeyTokenProvider({"apiKey": api_key}),
            timeout=EVENT_TIMEOUT,
            retry=RETRY,
        )
        transport = HttpTransport(config)
        self._events = OpenLineageClient(transport=transport)
        self._close_events = weakref.finalize(self._events, transport.close)
        self.gate = Gate(self._connection)

    def training_run(
        self,
        *,
        job: str | Name,
        model: Name | None = None,
        inputs: Sequence[Name] = (),
        purpose: str | Sequence[str] = (),
        gate: Decision | None = None,
        version: str = "",
        parameters: Mapping[str, object] | None = None,
        mechanism: Mapping[str, object] | None = None,
    ) -> TrainingRun:
        """Return a training to be used in a ``with`` block, which announces how it went.

        Where ``gate`` is given, model, inputs, purpose and mechanism are those that it was asked
        about, unless others are given here. ``version`` names the model's version; without one it
        is named after the run. Entering raises `GateClosedError` if the gate is closed, entering
        and leaving `RunNotRecordedError` if the service does not take the event.
        """
        model = model or (gate.model if gate else None)
        if model is None:
            raise ValueError("name the model that is trained: model=(namespace, name)")
        purposes = [purpose] if isinstance(purpose, str) else list(purpose)
        return TrainingRun(
            self._events,
            service=self._connection.url,
            job=(self._namespace, job) if isinstance(job, str) else job,
            model=model,
            inputs=list(inputs) or (gate.datasets if gate else []),
            purposes=[each for each in purposes if each] or ([gate.purpose] if gate else []),
            gate=gate,
            version=version,
            parameters=parameters,
            mechanism=mechanism or (gate.mechanism if gate else None),
        )

    def close(self) -> None:
        """Close the connections; what is dropped without it is closed as well."""
        self._close_events()
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _raised: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.close()
