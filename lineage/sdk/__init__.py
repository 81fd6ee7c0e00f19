"""Colophon for a training script: ask the gate, leave out who said no, and say what was made.

It needs the stock openlineage-python client and httpx, and nothing of the service. This is a
whole script; the key needs the scopes ``gate:ask`` and ``lineage:write``::

    import os
    import pandas
    from lineage.sdk import Colophon

    colophon = Colophon(os.environ["COLOPHON_URL"], os.environ["COLOPHON_KEY"])
    loans, model = ("lake", "loans"), ("models", "what-to-read-next")
    gate = colophon.gate.decide(datasets=[loans], purpose="suggestions", model=model)
    rows = gate.filter(pandas.read_csv("loans.csv"), subject="email")
    with colophon.training_run(job="train", model=model, inputs=[loans], gate=gate):
        rows.groupby("title").size().to_json("model.json")

Before something is done with one person's data: ``colophon.gate.may("suggestions",
identifier="ann@example.org")``.

Identifiers of people are sent in the bodies of requests, half a million at a time; they are never
part of an address, of a message or of a log line. Every error is an `SdkError` and says what to
do next.
"""

from lineage.sdk.client import Colophon
from lineage.sdk.errors import (
    GateClosedError,
    RefusedError,
    RunNotRecordedError,
    SdkError,
    UnfilterableError,
    UnreachableError,
)
from lineage.sdk.gate import Decision, Gate
from lineage.sdk.training import TrainingRun

__all__ = [
    "Colophon",
    "Decision",
    "Gate",
    "GateClosedError",
    "RefusedError",
    "RunNotRecordedError",
    "SdkError",
    "TrainingRun",
    "UnfilterableError",
    "UnreachableError",
]
