"""What can go wrong for a training script, and what to do next; never with an identifier in it."""

from collections.abc import Mapping
from typing import Any, ClassVar


class SdkError(Exception):
    """The root of all; ``code`` is stable, the message ends with what to do next."""

    code: ClassVar[str] = "sdk_error"


class UnreachableError(SdkError):
    """The service did not answer, or was overloaded for too long."""

    code = "unreachable"


class RefusedError(SdkError):
    """The service refused; ``reason`` is its own stable code, ``status`` that of HTTP."""

    code = "refused"

    def __init__(self, message: str, *, reason: str, status: int) -> None:
        super().__init__(message)
        self.reason = reason
        self.status = status


class GateClosedError(SdkError):
    """The gate did not open: ``reasons`` are its own, about data sets and never about people."""

    code = "gate_closed"

    def __init__(self, message: str, *, reasons: list[str]) -> None:
        super().__init__(message)
        self.reasons = reasons


class UnfilterableError(SdkError):
    """The frame is not one whose rows can be told apart by person."""

    code = "unfilterable"


class RunNotRecordedError(SdkError):
    """The service did not take the event of a run."""

    code = "run_not_recorded"


_SCOPES = "Have an operator issue one: manage.py issue_key --scope gate:ask --scope lineage:write"
ADVICE = {
    "unauthenticated": f"The key is unknown, expired or revoked. {_SCOPES}.",
    "scope_missing": f"The key is a good one, and not for this. {_SCOPES}.",
    "namespace_denied": "Use a key that may write to the namespace of the job, or another one.",
    "namespace_refused": "Use a key that may write to the namespace of the job, or another one.",
    "gate_decision_expired": "A decision is good for an hour: ask again with gate.decide().",
    "not_found": "Ask again with gate.decide(), with the key that filters.",
    "identifier_malformed": "Clean the column first, or name the scheme that it is written in.",
    "body_too_large": "Send less at a time.",
}
REASONS = {
    "unknown_purpose": "register the purpose, or correct its key",
    "everybody_excluded": "nobody in this data allows this purpose: leave it out",
    "needs_differential_privacy": "train with noise, and say so: mechanism={...}",
    "budget_exceeded": "train with more noise, fewer steps or smaller batches",
    "needs_federation": "train where the data is, and say so: mechanism={...}",
    "needs_secure_aggregation": "aggregate securely, so that nobody sees one participant's part",
    "cohort_too_small": "wait until more people take part: there are too few to hide among",
    "kept_too_long": "erase what is older than the policy allows, or hand in who is left",
    "unknown_dataset": "register the data set upstream that nobody answers for, or name its people",
    "members_unknown": "hand in the list of people in the data set, or have it scanned",
    "lineage_truncated": "ask about fewer data sets at a time",
}


def refused(status: int, answer: object) -> RefusedError:
    """Return the error for a problem document (RFC 9457), or for what came instead of one."""
    problem = answer if isinstance(answer, Mapping) else {}
    reason, detail = str(problem.get("code", "error")), str(problem.get("detail", ""))
    said = f"the service refused with {status} {reason}"
    parts = [f"{said}: {detail}" if detail else said, _fields(problem.get("errors"))]
    advice = ADVICE.get(reason, "" if problem else "Is this the address of a Colophon service?")
    message = ". ".join(part.rstrip(".") for part in (*parts, advice) if part)
    return RefusedError(f"{message}.", reason=reason, status=status)


def closed(outcome: str, reasons: list[str]) -> GateClosedError:
    """Return the error for a decision that permits nothing."""
    advice = "; ".join(REASONS.get(each, each) for each in reasons)
    told = {"deny": "the gate denies this use", "gap": "too little is known to permit this use"}
    says = told.get(outcome, f"the gate answered {outcome}")
    return GateClosedError(f"{says}: {advice}." if advice else f"{says}.", reasons=reasons)


def _fields(errors: Any) -> str:
    """Return what is wrong by field; only names of fields and our own sentences."""
    if not isinstance(errors, Mapping):
        return ""
    return "; ".join(f"{name}: {_sentence(said)}" for name, said in errors.items())


def _sentence(said: Any) -> str:
    while isinstance(said, list | Mapping) and said:
        said = next(iter(said.values())) if isinstance(said, Mapping) else said[0]
    return str(said)
