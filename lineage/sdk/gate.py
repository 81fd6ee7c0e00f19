"""The gate: may these data sets be used for this purpose, and which of these rows."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from lineage.sdk import frames
from lineage.sdk.connection import Connection
from lineage.sdk.errors import closed

Name = tuple[str, str]
Frame = TypeVar("Frame")

OPEN = frozenset({"permit", "permit_with_exclusions"})


@dataclass(frozen=True, slots=True)
class Decision:
    """What the gate answered; good until ``expires_at``, and for the key that asked.

    ``excluded`` is how many people's rows may not be used. ``token`` is the answer signed, where
    the service signs it.
    """

    uuid: str
    outcome: str
    reasons: list[str]
    purpose: str
    datasets: list[Name]
    excluded: int
    expires_at: datetime
    model: Name | None = None
    token: str | None = None
    mechanism: Mapping[str, object] | None = None
    _connection: Connection | None = field(default=None, repr=False, compare=False)

    @property
    def is_open(self) -> bool:
        """Say whether any row may be used."""
        return self.outcome in OPEN

    def require(self) -> None:
        """Raise `GateClosedError` if no row may be used; it says what would change that."""
        if not self.is_open:
            raise closed(self.outcome, self.reasons)

    def filter(self, frame: Frame, *, subject: str, scheme: str = "email") -> Frame:
        """Return the rows that may be used, as a frame of the same type.

        ``subject`` is the column that says whose each row is, ``scheme`` what it is written in.
        What counts is what people say now, not when the gate was asked. A row without an
        identifier is left out. Raises `GateClosedError`, `UnfilterableError`, `RefusedError` and
        `UnreachableError`.
        """
        self.require()

        def ask(identifiers: list[str]) -> list[bool]:
            return self._asked(scheme, identifiers)

        return frames.kept(frame, subject, ask)  # type: ignore[no-any-return]  # the same type

    def _asked(self, scheme: str, identifiers: list[str]) -> list[bool]:
        if self._connection is None:
            raise closed("a decision that was not asked for here", [])
        path = f"gate/decisions/{self.uuid}/filter"
        return self._connection.lines(path, map(json.dumps, identifiers), scheme=scheme)


class Gate:
    """Asks the gate."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def decide(
        self,
        *,
        datasets: Sequence[Name],
        purpose: str,
        model: Name | None = None,
        mechanism: Mapping[str, object] | None = None,
    ) -> Decision:
        """Ask whether data sets, each a (namespace, name), may be used for a purpose.

        ``model`` is what is to be trained of them, ``mechanism`` how that protects people, as
        facts: noise and sampling, or rounds, and never an epsilon. A "no" is an answer and not an
        error: see `Decision.require`. Raises `RefusedError` and `UnreachableError`.
        """
        asked: dict[str, Any] = {"datasets": [_named(each) for each in datasets]}
        asked["purpose"] = purpose
        if model is not None:
            asked["model"] = _named(model)
        if mechanism:
            asked["mechanism"] = dict(mechanism)
        answer = self._connection.post("gate/decisions", asked)
        return Decision(
            uuid=answer["uuid"],
            outcome=answer["outcome"],
            reasons=list(answer["reasons"]),
            purpose=purpose,
            datasets=[(each["namespace"], each["name"]) for each in answer["datasets"]],
            excluded=answer["excluded_count"],
            expires_at=datetime.fromisoformat(answer["expires_at"]),
            model=model,
            token=answer.get("token"),
            mechanism=mechanism,
            _connection=self._connection,
        )

    def may(
        self,
        purpose: str,
        *,
        identifier: str,
        scheme: str = "email",
        datasets: Sequence[Name] = (),
        mechanism: Mapping[str, object] | None = None,
    ) -> bool:
        """Say whether one person's data may be used for a purpose now; never why not.

        ``datasets`` are where the data is from: what they and what they come from ask for counts
        too. Raises `RefusedError` and `UnreachableError`.
        """
        asked: dict[str, Any] = {"purpose": purpose, "scheme": scheme, "identifier": identifier}
        if datasets:
            asked["datasets"] = [_named(each) for each in datasets]
        if mechanism:
            asked["mechanism"] = dict(mechanism)
        return self._connection.post("gate/subjects", asked)["permitted"] is True


def _named(name: Name) -> dict[str, str]:
    namespace, called = name
    return {"namespace": namespace, "name": called}
