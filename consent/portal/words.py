"""What the service's own terms are called in front of people. Pure."""

from dataclasses import dataclass

from consent.models import ErasureStep, Remediation, RequestKind
from consent.rules import DecisionKind, Standing
from governance.models import LegalBasis
from lineage.openlineage import RunState
from lineage.selectors.transparency import Certainty


@dataclass(frozen=True, slots=True)
class Term:
    """A word, and the sentence that explains it."""

    word: str
    meaning: str


CERTAINTY = {
    Certainty.PROVEN: Term(
        "proven",
        "A list of the people in exactly this version names you.",
    ),
    Certainty.INFERRED: Term(
        "inferred",
        "Data that names you flowed here. Nobody has handed in a list that says whether your own "
        "rows came along, so we take it that they did.",
    ),
    Certainty.MASKED: Term(
        "masked",
        "Your data flowed here, and every column was masked on the way.",
    ),
    Certainty.UNKNOWN: Term(
        "unknown",
        "Something on the way is not recorded, so we cannot say, and we do not count it as a no.",
    ),
}

BASIS = {
    LegalBasis.CONSENT: Term(
        "your permission", "Your data is used only while you permit it (GDPR Art. 6(1)(a))."
    ),
    LegalBasis.CONTRACT: Term(
        "a contract with you",
        "Your data is used because a contract with you needs it (GDPR Art. 6(1)(b)). It does not "
        "rest on your permission, so there is none to give or to withdraw.",
    ),
    LegalBasis.LEGAL_OBLIGATION: Term(
        "a legal obligation",
        "A law demands it (GDPR Art. 6(1)(c)). It does not rest on your permission, so there is "
        "none to give or to withdraw.",
    ),
    LegalBasis.VITAL_INTERESTS: Term(
        "vital interests",
        "Somebody's life may depend on it (GDPR Art. 6(1)(d)). It does not rest on your "
        "permission, so there is none to give or to withdraw.",
    ),
    LegalBasis.PUBLIC_TASK: Term(
        "a public task",
        "It is done in the public interest (GDPR Art. 6(1)(e)), and you can object to it.",
    ),
    LegalBasis.LEGITIMATE_INTERESTS: Term(
        "a legitimate interest",
        "We have an interest of our own in it (GDPR Art. 6(1)(f)), and you can object to it.",
    ),
}

STANDING = {
    Standing.GIVEN: "You gave your permission",
    Standing.REFUSED: "You said no",
    Standing.WITHDRAWN: "You withdrew your permission",
    Standing.OBJECTED: "You objected",
    Standing.EXPIRED: "Your permission has run out",
    Standing.NONE: "You have said nothing about this yet",
}

PRESS = {
    DecisionKind.GIVEN: "Give permission",
    DecisionKind.REFUSED: "Say no",
    DecisionKind.WITHDRAWN: "Withdraw permission",
    DecisionKind.OBJECTED: "Object",
}
PRESS_AGAIN = "Take back my objection"

RUN = {
    RunState.HEARD_OF: "It is not known how this training ended. It has read the data.",
    RunState.RUNNING: "This training is still running. It has read the data.",
    RunState.COMPLETE: "",
    RunState.ABORT: "This training was stopped. It had read the data.",
    RunState.FAIL: "This training failed. It had read the data.",
}

REQUEST = {
    RequestKind.ACCESS: "Request for a copy of your data",
    RequestKind.ERASURE: "Request for deletion",
    RequestKind.RESTRICTION: "Request to restrict the use of your data",
    RequestKind.PORTABILITY: "Request to take your data elsewhere",
    RequestKind.OBJECTION: "Objection",
}

STEP_OUTCOME = {
    ErasureStep.Outcome.ERASED: "Erased. The place was read again, and nothing of you is left.",
    ErasureStep.Outcome.NOT_FOUND: "We looked, and there was nothing of you here.",
    ErasureStep.Outcome.BY_HAND: "Erased by a person, who put that on record.",
    ErasureStep.Outcome.EXEMPT: "Kept, because a law says so.",
}

STEP_STATE = {
    ErasureStep.State.READY: "Waits for its turn.",
    ErasureStep.State.RUNNING: "Is being erased now.",
    ErasureStep.State.BLOCKED: "Cannot be erased as things are. It is tried again.",
}

BLOCKED = {
    "no_storage": "Nobody has told us yet where this data set lies. Somebody has to, or erase it "
    "by hand and say so.",
    "storage_disabled": "The place where it lies is switched off. It is tried again once that is "
    "switched on.",
    "rows_remain": "After erasing, rows about you were still there. It is tried again.",
}

REMEDIATION_OUTCOME = {
    Remediation.Outcome.RETRAINED: "Made good: a later version was trained without your data.",
    Remediation.Outcome.EXEMPT: "Left as it is, because of an exemption.",
}
REMEDIATION_OPEN = (
    "Waits for a training without your data. We see by ourselves when one has happened; nobody "
    "can merely say so."
)
