"""What the service's own terms are called in front of people. Pure."""

from dataclasses import dataclass

from consent.models import ErasureStep, Remediation, RequestKind, Restriction
from consent.rules import DecisionKind, Standing
from consent.selectors.requests import RequestState
from consent.selectors.requests import Standing as RequestStanding
from governance.models import LegalBasis
from lineage.openlineage import RunState
from lineage.selectors.transparency import Certainty


@dataclass(frozen=True, slots=True)
class Term:
    """A word, and the sentence that explains it."""

    word: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Basis:
    """What a purpose rests on, the law that says so, and what follows for a person."""

    word: str
    law: str
    meaning: str


CERTAINTY = {
    Certainty.PROVEN: Term(
        "proven",
        "A list of the people in this very data names you.",
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

NOT_PERMISSION = "It does not rest on your permission, so there is none to give or to withdraw."

BASIS = {
    LegalBasis.CONSENT: Basis(
        "your permission", "GDPR Art. 6(1)(a)", "Without it, your data is not used for this."
    ),
    LegalBasis.CONTRACT: Basis("a contract with you", "GDPR Art. 6(1)(b)", NOT_PERMISSION),
    LegalBasis.LEGAL_OBLIGATION: Basis("a legal obligation", "GDPR Art. 6(1)(c)", NOT_PERMISSION),
    LegalBasis.VITAL_INTERESTS: Basis("vital interests", "GDPR Art. 6(1)(d)", NOT_PERMISSION),
    LegalBasis.PUBLIC_TASK: Basis(
        "a task in the public interest", "GDPR Art. 6(1)(e)", "You can object to it."
    ),
    LegalBasis.LEGITIMATE_INTERESTS: Basis(
        "a legitimate interest of ours", "GDPR Art. 6(1)(f)", "You can object to it."
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

SIGNALLED = "Your browser objected for you, by Global Privacy Control,"

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
    RequestKind.RECTIFICATION: "Request to put your data right",
    RequestKind.ERASURE: "Request for deletion",
    RequestKind.RESTRICTION: "Request to restrict the use of your data",
    RequestKind.PORTABILITY: "Request to take your data elsewhere",
    RequestKind.OBJECTION: "Objection",
}

STATE = {
    RequestState.RECEIVED: "received, your identity is not confirmed yet",
    RequestState.VERIFIED: "being planned",
    RequestState.REVIEW: "planned, the plan waits for approval",
    RequestState.REFUSED: "refused",
    RequestState.ERASING: "your data is being erased",
    RequestState.VERIFYING: "erased, something is still outstanding",
    RequestState.COMPLETED: "complete",
    RequestState.JOINED: "joined to your earlier request",
}
UNVERIFIED = (
    "We do not know yet that it was you who asked. You can confirm it: sign in, and ask again."
)
VERIFIED = {
    RequestKind.ACCESS: "being prepared",
    RequestKind.PORTABILITY: "being prepared",
    RequestKind.RECTIFICATION: "a person is looking at it",
}


def state_of(standing: RequestStanding) -> str:
    """Say where a request stands."""
    restriction = standing.restriction
    if restriction is not None:
        return "lifted" if restriction.until else "in force"
    kind = RequestKind(standing.request.kind)
    if standing.state is RequestState.VERIFIED:
        return VERIFIED.get(kind, STATE[standing.state])
    return STATE[standing.state]


ANSWER = {
    RequestKind.ACCESS: (
        "Prepared", "Everything that is on record about you is put together, with your own rows."
    ),
    RequestKind.PORTABILITY: (
        "Prepared", "What you gave us is put together so that a machine can read it, row by row."
    ),
    RequestKind.RECTIFICATION: (
        "Looked at", "A person looks at what you say is wrong, and puts it right."
    ),
    RequestKind.OBJECTION: (
        "Objected", "Whoever asks from then on whether your data may be used for it is told no."
    ),
    RequestKind.RESTRICTION: (
        "In force", "Your data is kept, and may be used for nothing."
    ),
}  # fmt: skip

LIFTED = {
    Restriction.LiftedBy.PERSON: "You lifted it. What you allow counts again.",
    Restriction.LiftedBy.OPERATOR: "We lifted it. What you allow counts again.",
}

STEP_OUTCOME = {
    ErasureStep.Outcome.ERASED: "Erased. The place was read again, and nothing of you is left.",
    ErasureStep.Outcome.NOT_FOUND: "We looked, and there was nothing of you here.",
    ErasureStep.Outcome.BY_HAND: "Erased by a person, who put that on record. It rests on their "
    "word: the place was not read again.",
    ErasureStep.Outcome.EXEMPT: "Kept, because a law says so.",
}

STEP_NOT_FOUND_BY_HAND = (
    "A person looked, and put on record that there was nothing of you here. It rests on their word."
)

STEP_STATE = {
    ErasureStep.State.READY: "Waits for its turn.",
    ErasureStep.State.RUNNING: "Is being erased now.",
    ErasureStep.State.BLOCKED: "Cannot be erased as things are. It is tried again.",
}

STEP_GIVEN_UP = "Cannot be erased as things are. It is tried again once somebody here has looked."

BLOCKED = {
    "no_storage": "Nobody has told us yet where this data set lies. Somebody has to, or erase it "
    "by hand and say so.",
    "unknown_upstream": "Nobody has told us yet who wrote this data set, or whom it holds. "
    "Somebody has to look, since we do not count what we do not know as a no.",
    "storage_disabled": "The place where it lies is switched off. It is tried again once that is "
    "switched on.",
    "storage_unreachable": "The place where it lies does not answer.",
    "storage_busy": "The place where it lies is busy.",
    "storage_read_only": "The place where it lies can only be read. Its owner has to change that.",
    "storage_refused": "The place where it lies does not let us in. Its owner has to change that.",
    "rows_remain": "After erasing, rows about you were still there.",
    "workers_lost": "Our own programs broke off each time they worked at it.",
}
BLOCKED_OTHERWISE = "Something there is not as it was registered. Its owner has to put that right."

REMEDIATION_OUTCOME = {
    Remediation.Outcome.RETRAINED: "Made good: a later version was trained without your data.",
    Remediation.Outcome.UNLEARNED: "Made good: your data was taken out by a certified method, and "
    "that was tested; somebody else stands for it besides whoever did it.",
    Remediation.Outcome.RETIRED: "Made good: this version is not in use any more.",
    Remediation.Outcome.EXEMPT: "Left as it is, because of an exemption.",
}
REMEDIATION_OPEN = (
    "Waits for a training without your data. We see by ourselves when one has happened; nobody "
    "can merely say so."
)
