"""The ways to make an affected model version good, and what each has to show.

Pure. A claim is no evidence: each kind names its members, and one that is missing, unknown or of
another shape is refused. What can be seen from here is not asked for: a retraining and the end of
a deployment are observed, a guarantee and a mask are recomputed.
"""

import math
import re
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, ClassVar

from governance.errors import ColophonError

LONGEST = timedelta(days=366)
MOST_TEXT = 2_000
MOST_MEMBERS = 50
EXACT = 1 << 53  # what every reader of JSON reads the same
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")


class MeasureKind(StrEnum):
    """What was done about a model version that holds a person's data."""

    UNLEARN_CERTIFIED = "unlearn_certified"
    UNLEARN_APPROXIMATE = "unlearn_approximate"
    SUPPRESS = "suppress"
    RETIRE = "retire"
    EXEMPT_GUARANTEE = "exempt_guarantee"
    EXEMPT_MASKED = "exempt_masked"
    EXEMPT_LEGAL = "exempt_legal"


INTERIM = (MeasureKind.UNLEARN_APPROXIMATE, MeasureKind.SUPPRESS)
"""They mitigate until a date and close nothing: the data is still in the model."""

RECOMPUTED = (MeasureKind.EXEMPT_GUARANTEE, MeasureKind.EXEMPT_MASKED)
"""What they rest on is computed here, and again from time to time."""

ON_TWO_WORDS = (MeasureKind.UNLEARN_CERTIFIED, MeasureKind.EXEMPT_LEGAL)
"""They rest on what is said, so a person at the desk has to stand for it as well."""

EXEMPT = (*RECOMPUTED, MeasureKind.EXEMPT_LEGAL)
ENDING = (*INTERIM, MeasureKind.EXEMPT_LEGAL)
"""They hold until a date, after which the model version is open again."""

LEGAL_GROUNDS = (
    "a17_freedom_of_expression",
    "a17_legally_required",
    "a17_official_authority",
    "a17_public_health",
    "a17_archiving",
    "a17_legal_claims",
)
"""Art. 17(3) GDPR, by the codes of the W3C Data Privacy Vocabulary."""

ATTACKS = ("membership_inference", "extraction", "inversion")


class EvidenceMissingError(ColophonError):
    """A member that this kind of measure has to show is not there; ``member`` names it."""

    code: ClassVar[str] = "evidence_missing"
    status: ClassVar[int] = 422


class EvidenceUnusableError(ColophonError):
    """A member is unknown, or of another shape; ``member`` names it."""

    code: ClassVar[str] = "evidence_unusable"
    status: ClassVar[int] = 422


class EffectNotShownError(ColophonError):
    """The test's result says that the measure did not do what it is for."""

    code: ClassVar[str] = "effect_not_shown"
    status: ClassVar[int] = 422


class EndUnusableError(ColophonError):
    """The date until which a measure holds is missing, not to come, too far, or not for it."""

    code: ClassVar[str] = "end_unusable"
    status: ClassVar[int] = 422


Check = Callable[[Any, str], None]


def check(kind: MeasureKind, evidence: Mapping[str, Any]) -> None:
    """Raise what is wrong with the evidence for a measure of a kind."""
    _object(_SHAPES[kind])(evidence, "")
    if "test" in evidence:
        test = evidence["test"]
        if test["after"] > test["threshold"] or test["after"] > test["before"]:
            raise EffectNotShownError("after unlearning, the attack still succeeds too often")
    if "probes" in evidence and evidence["probes"]["leaked"]:
        raise EffectNotShownError("the filter let something of the probe set through")


def check_end(kind: MeasureKind, ends_at: datetime | None, now: datetime) -> None:
    """Raise `EndUnusableError` unless a measure of a kind can hold until an instant."""
    if kind not in ENDING:
        if ends_at is not None:
            raise EndUnusableError("a measure of this kind has no end")
        return
    if ends_at is None or not now < ends_at <= now + LONGEST:
        raise EndUnusableError(f"say when it ends, within {LONGEST.days} days from now")


def _object(members: Mapping[str, Check]) -> Check:
    def checked(value: Any, place: str) -> None:
        if not isinstance(value, Mapping):
            raise _unusable(place or "evidence", "it is not an object")
        for name in sorted(value.keys() - members.keys()):
            raise _unusable(f"{place}.{name}".lstrip("."), "there is no such member")
        for name, member in members.items():
            inner = f"{place}.{name}".lstrip(".")
            if name not in value:
                raise EvidenceMissingError(f"the evidence lacks {inner}", member=inner)
            member(value[name], inner)

    return checked


def _list(of: Check) -> Check:
    def checked(value: Any, place: str) -> None:
        if not isinstance(value, list) or not 1 <= len(value) <= MOST_MEMBERS:
            raise _unusable(place, f"it is not a list of 1 to {MOST_MEMBERS}")
        for n, each in enumerate(value):
            of(each, f"{place}[{n}]")

    return checked


def _one_of(choices: Collection[str]) -> Check:
    def checked(value: Any, place: str) -> None:
        if not isinstance(value, str) or value not in choices:
            raise _unusable(place, f"it is none of {', '.join(choices)}")

    return checked


def _text(value: Any, place: str) -> None:
    if not isinstance(value, str) or not value.strip() or len(value) > MOST_TEXT:
        raise _unusable(place, f"it is not a text of up to {MOST_TEXT} characters")


def _digest(value: Any, place: str) -> None:
    if not isinstance(value, str) or not _DIGEST.match(value):
        raise _unusable(place, "it is not a SHA-256 in hexadecimal")


def _number(value: Any, place: str) -> None:
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    if not numeric or not math.isfinite(value) or abs(value) > EXACT:
        raise _unusable(place, "it is not a number")


def _count(value: Any, place: str) -> None:
    if type(value) is not int or not 0 <= value <= EXACT:
        raise _unusable(place, "it is not a count")


def _at_least_one(value: Any, place: str) -> None:
    _count(value, place)
    if value < 1:
        raise _unusable(place, "it is not at least 1")


def _parameters(value: Any, place: str) -> None:
    if not isinstance(value, Mapping) or not 1 <= len(value) <= MOST_MEMBERS:
        raise _unusable(place, f"it is not an object of 1 to {MOST_MEMBERS} members")
    for name, each in value.items():
        _text(name, place)
        if not isinstance(each, bool):
            (_text if isinstance(each, str) else _number)(each, place)


def _unusable(place: str, why: str) -> EvidenceUnusableError:
    known = place if len(place) <= 200 else place[:200]
    return EvidenceUnusableError(f"{known}: {why}", member=known)


_TEST = _object(
    {
        "attack": _one_of(ATTACKS), "metric": _text,
        "before": _number, "after": _number, "threshold": _number,
    }
)  # fmt: skip
_UNLEARNING: dict[str, Check] = {
    "method": _text,
    "parameters": _parameters,
    "forget_set_sha256": _digest,
    "test": _TEST,
    "reviewed_by": _text,
}
_PROBES = _object({"sha256": _digest, "asked": _at_least_one, "leaked": _count})
_SHAPES: dict[MeasureKind, dict[str, Check]] = {
    MeasureKind.UNLEARN_CERTIFIED: {**_UNLEARNING, "certificate_sha256": _digest},
    MeasureKind.UNLEARN_APPROXIMATE: _UNLEARNING,
    MeasureKind.SUPPRESS: {"filter_rule": _text, "probes": _PROBES, "deployments": _list(_text)},
    MeasureKind.RETIRE: {
        "reason": _text,
        "artifacts": _list(_object({"name": _text, "receipt": _text})),
    },
    MeasureKind.EXEMPT_GUARANTEE: {},
    MeasureKind.EXEMPT_MASKED: {},
    MeasureKind.EXEMPT_LEGAL: {"code": _one_of(LEGAL_GROUNDS), "reason": _text},
}
