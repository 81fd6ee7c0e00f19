"""What the service's own terms are called in front of operators. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from consent import copies
from consent.measures import MeasureKind
from consent.models import ErasureStep
from consent.selectors.plans import LeftAlone
from consent.selectors.queues import CopyQueue, DeliveryQueue, NoticeQueue, ScanQueue, StepQueue
from consent.selectors.recipients import NoticeState
from consent.selectors.requests import RequestState
from lineage.selectors.transparency import Certainty


@dataclass(frozen=True, slots=True)
class Term:
    """A word, and the sentence that explains it."""

    word: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Advice:
    """What stands in the way of a step, and what to do next."""

    what: str
    next: str


GROUP: Final = {
    "requests": "Requests", "steps": "Steps", "copies": "Copies", "dry_runs": "Data sets",
    "reappearances": "Data sets", "scans": "Data sets", "remediations": "Models",
    "measures": "Models", "violations": "Models", "recipients": "Recipients",
    "webhooks": "Webhooks",
}  # fmt: skip

QUEUE: Final = {
    ("requests", RequestState.RECEIVED): Term(
        "Identity not confirmed", "Somebody has to say that they are who they say."
    ),
    ("requests", RequestState.VERIFIED): Term("Being planned", "The plan follows by itself."),
    ("requests", RequestState.REVIEW): Term(
        "Waiting for approval", "A policy asks for people to read the plan first."
    ),
    ("requests", RequestState.ERASING): Term("Being erased", "Some data set has no outcome yet."),
    ("requests", RequestState.VERIFYING): Term(
        "Erased, models outstanding", "Models or keys are not done."
    ),
    ("requests", RequestState.COMPLETED): Term("Complete", "Nothing is outstanding."),
    ("requests", RequestState.REFUSED): Term("Refused", "With a code."),
    ("requests", RequestState.JOINED): Term("Joined", "To an earlier request of the person."),
    ("steps", StepQueue.READY): Term("Ready", "They wait for their turn."),
    ("steps", StepQueue.RUNNING): Term("Running", "A worker is at them."),
    ("steps", StepQueue.BLOCKED): Term("Blocked", "Something stands in the way."),
    ("steps", StepQueue.PERSON): Term(
        "Waiting for a person", "Of the blocked ones, those that will not pass by themselves."
    ),
    ("steps", StepQueue.FAILING): Term(
        "Failing again and again", "Of the blocked ones, those tried three times or more."
    ),
    ("copies", CopyQueue.FAILING): Term(
        "Copies that failed", "They are put together again by themselves."
    ),
    ("copies", CopyQueue.GIVEN_UP): Term(
        "Copies given up", "They are put together again only if somebody says so."
    ),
    ("dry_runs", "open"): Term("Data sets being looked at", "For dry runs; nothing is touched."),
    ("remediations", "open"): Term(
        "Models to be made good", "They wait for a training without the data."
    ),
    ("measures", "unapproved"): Term(
        "Measures to stand for", "They would make a model good, if a person here stands for them."
    ),
    ("violations", "open"): Term("Violations", "Trainings that used data without permission."),
    ("reappearances", "open"): Term("Data that came back", "Of people who were erased."),
    ("scans", ScanQueue.OPEN): Term(
        "Data sets being scanned", "Who is in them is read from where they lie."
    ),
    ("scans", ScanQueue.FAILED): Term(
        "Scans that failed", "Nothing was taken, and nobody has asked for another since."
    ),
    ("recipients", NoticeQueue.GIVEN_UP): Term(
        "Recipients not reached", "They received data, and could not be told of a request."
    ),
    ("recipients", NoticeQueue.UNANSWERED): Term(
        "Recipients still to answer", "They were told. Each of these ends by itself."
    ),
    ("recipients", NoticeQueue.LAPSED): Term(
        "Recipients without an answer",
        "They keep nothing open. What these recipients did, if anything, is not known.",
    ),
    ("webhooks", DeliveryQueue.FAILING): Term("Messages not delivered", "They are sent again."),
    ("webhooks", DeliveryQueue.GIVEN_UP): Term(
        "Messages given up", "They are sent again only if somebody says so."
    ),
    ("webhooks", "disabled"): Term("Webhooks switched off", "Nothing is sent there any more."),
}

# The page that lists what waits, and how it is asked for which of it.
LISTED: Final = {
    "requests": ("desk:requests", "?state={name}"),
    "steps": ("desk:steps", "?queue={name}"),
    "copies": ("desk:copies", "?queue={name}"),
    "dry_runs": ("desk:requests", f"?state={RequestState.REVIEW}"),
    "remediations": ("desk:models", ""),
    "measures": ("desk:measures", ""),
    "violations": ("desk:violations", ""),
    "reappearances": ("desk:reappearances", ""),
    "scans": ("desk:scans", "?queue={name}"),
    "recipients": ("desk:notices", "?queue={name}"),
    "webhooks": ("desk:deliveries", "?queue={name}"),
}

STATE: Final = {
    each: QUEUE["requests", each].word for each in RequestState
}  # fmt: skip

NOTICE: Final = {
    NoticeState.WAITING: "is being told",
    NoticeState.GIVEN_UP: "could not be told",
    NoticeState.DELIVERED: "told, and has not answered",
    NoticeState.ACCEPTED: "told, and has agreed; not done yet",
    NoticeState.LAPSED: "ended by itself",
    NoticeState.ENDED: "ended",
}

CERTAINTY: Final = {
    Certainty.PROVEN: Term("proven", "a list of the people in it says so"),
    Certainty.INFERRED: Term("inferred", "it follows from the flows"),
    Certainty.MASKED: Term("masked", "every column is masked on every way to it"),
    Certainty.UNKNOWN: Term("unknown", "nobody answers for what it holds"),
}

LEFT: Final = {
    LeftAlone.PROVEN_WITHOUT: "A complete list of who is in it now leaves the person out.",
    LeftAlone.MASKED: "Every column is masked on every way to it, and nothing in it is registered "
    "as identifying people.",
    LeftAlone.DERIVED_BEFORE: "It was made before the person's data came back.",
    LeftAlone.MODEL: "It is a model, not data: its versions are followed below.",
}

MEASURE: Final = {
    MeasureKind.UNLEARN_CERTIFIED: Term(
        "unlearned by a certified method",
        "The data is said to be taken out of the model, as the certificate and the attack show.",
    ),
    MeasureKind.UNLEARN_APPROXIMATE: Term(
        "unlearned as far as tests can tell", "It mitigates for a while, and closes nothing."
    ),
    MeasureKind.SUPPRESS: Term("filtered", "It mitigates for a while, and closes nothing."),
    MeasureKind.RETIRE: Term(
        "taken out of use",
        "Where it was in use was never announced, so nobody can see from here that it is not.",
    ),
    MeasureKind.EXEMPT_GUARANTEE: Term(
        "left as it is, because of its guarantee", "The guarantee is computed here."
    ),
    MeasureKind.EXEMPT_MASKED: Term(
        "left as it is, because all was masked", "That is looked at here."
    ),
    MeasureKind.EXEMPT_LEGAL: Term(
        "left as it is, on a ground of the law",
        "The data stays in the model until the review date.",
    ),
}

_ADVICE: Final = {
    "no_storage": Advice(
        "Nobody has said where the data set lies, or which column names people.",
        "Register its storage and subject column, or erase by hand and settle it here.",
    ),
    "unknown_upstream": Advice(
        "Data flows on from it, nobody is known to have written it, and nobody has registered it. "
        "It may hold anybody.",
        "Find out what it is. Register it, or look, and settle it here.",
    ),
    "storage_disabled": Advice("Its storage is switched off.", "Switch it on again."),
    "person_needed": Advice(
        "Only a person reaches it.", "Do what the reason says, and settle it here."
    ),
    "storage_unreachable": Advice(
        "The storage does not answer.", "See whether it runs. It is tried again by itself."
    ),
    "storage_busy": Advice(
        "Somebody else holds a lock or is writing.", "It is tried again by itself."
    ),
    "storage_read_only": Advice(
        "We may not write there.", "Let its owner grant it to the service's account, and retry."
    ),
    "storage_refused": Advice(
        "A constraint or a trigger forbids it.",
        "Other steps may remove what stands in the way. If it stays, ask its owner.",
    ),
    "storage_missing": Advice(
        "The file or table is not there.",
        "Correct its location, or settle it here if it was dropped.",
    ),
    "storage_unreadable": Advice(
        "It is there, but cannot be understood or rewritten safely.",
        "See the reason; let its owner mend it, and retry.",
    ),
    "storage_kind_unknown": Advice(
        "This kind of storage has no connector.", "Register it as a kind that has one."
    ),
    "location_escapes_storage": Advice(
        "The location leads out of its storage.", "Correct its location."
    ),
    "subject_column_missing": Advice(
        "The column that names people is not there.", "Correct the subject column, and retry."
    ),
    "identifier_missing": Advice(
        "The person is not known by the kind of identifier that it is written in.",
        "Add that identifier to the person, or look by hand and settle it here.",
    ),
    "rows_remain": Advice(
        "After erasing, rows were there again.",
        "See whether a job writes them anew; stop it, and retry.",
    ),
    "workers_lost": Advice(
        "Whoever worked at the data set died each time, so it is not tried again by itself.",
        "See the workers' log and memory, and mend or replace the file or table that they died on. "
        "Then retry: everybody of whom the data set was given up goes with it.",
    ),
}
_COPY: Final = {
    copies.WORKERS_LOST: Advice(
        "Whoever put the copy together died each time, so it is not tried again by itself.",
        "See the workers' log and memory, mend what they died of, and have it tried again. The "
        "time that the law gives runs on: extend it if the law allows that.",
    ),
    copies.NOT_MADE: Advice(
        "Our own program broke off while it put the copy together.",
        "See the workers' log for the kind of error, mend it, and have it tried again. The time "
        "that the law gives runs on.",
    ),
}
_OTHERWISE = Advice("Something there is not as it was registered.", "See the reason.")

_STEP: Final = {
    ErasureStep.State.READY: "waits for its turn",
    ErasureStep.State.RUNNING: "is being erased",
    ErasureStep.State.BLOCKED: "blocked",
}
_OUTCOME: Final = {
    ErasureStep.Outcome.ERASED: "erased, and read back",
    ErasureStep.Outcome.NOT_FOUND: "looked for, and not there",
    ErasureStep.Outcome.BY_HAND: "erased by hand, on a person's word; not read back",
    ErasureStep.Outcome.EXEMPT: "kept under an exemption",
}
_NOT_FOUND_BY_HAND = "looked for by hand and not there, on a person's word; not read back"


def evidence(shown: Any, name: str = "") -> list[tuple[str, str]]:
    """Return what a measure shows, as names and values, member by member."""
    if isinstance(shown, Mapping):
        inner = [(f"{name}, {key}" if name else key, each) for key, each in shown.items()]
    elif isinstance(shown, list):
        inner = [(f"{name} {n}", each) for n, each in enumerate(shown, start=1)]
    else:
        return [(name.replace("_", " "), str(shown))]
    return [line for key, each in inner for line in evidence(each, key)]


def advice(code: str) -> Advice:
    """Return what a code means and what to do next."""
    return _ADVICE.get(code, _OTHERWISE)


def copy(code: str) -> Advice:
    """Return why a copy could not be put together, and what to do next."""
    return _COPY[code]


def step(found: ErasureStep) -> str:
    """Say where a step stands."""
    if found.outcome == ErasureStep.Outcome.NOT_FOUND and not found.read_back:
        return _NOT_FOUND_BY_HAND
    if found.outcome:
        return _OUTCOME[ErasureStep.Outcome(found.outcome)]
    if found.released_at is None:
        return "waits for approval"
    return _STEP[ErasureStep.State(found.state)]
