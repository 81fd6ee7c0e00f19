"""What is done about models, and who else was told, in words for the person concerned."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from consent.measures import MeasureKind
from consent.models import NoticeAnswer, RecipientNotice
from consent.portal import words
from consent.selectors.recipients import NoticeState, Notified
from consent.selectors.remedies import Remedied, RemedyState

_ANSWERS = {
    NoticeAnswer.Answer.ACCEPTED: "They were told and have agreed; they are not done yet.",
    NoticeAnswer.Answer.DONE: "They were told, and say that they have done it.",
    NoticeAnswer.Answer.REFUSED: "They were told and refuse.",
    NoticeAnswer.Answer.IMPOSSIBLE: "They cannot be told.",
    NoticeAnswer.Answer.DISPROPORTIONATE: "Telling them would take an effort out of proportion.",
}
_STATES = {
    NoticeState.WAITING: "They are told next.",
    NoticeState.GIVEN_UP: "They could not be reached. Somebody has to look into it.",
    NoticeState.DELIVERED: "They were told, and have not answered yet.",
}
_LAPSES = {
    RecipientNotice.Lapse.NO_ANSWER: "They were told, and have not said in time what they did.",
    RecipientNotice.Lapse.NOT_REACHED: "They could not be reached, so they do not know of it.",
    RecipientNotice.Lapse.OVERTAKEN: "They were not told: you are not restricted any more.",
}
_LIFTED = "That your data is not restricted any more: {0}"
_EXEMPTIONS = {
    MeasureKind.EXEMPT_GUARANTEE.value: "It was trained so that nobody's data shows in it: we "
    "computed the guarantee again, and it is within what our policies allow.",
    MeasureKind.EXEMPT_MASKED.value: "Every column of your data was masked on the way to it.",
}


@dataclass(frozen=True, slots=True)
class Told:
    """A recipient, and where it stands with them."""

    name: str
    text: str
    detail: str
    at: datetime | None
    open: bool


def open_words(each: Remedied) -> str:
    """Say what a model version waits for, and what was done until then."""
    interim, said = each.interim, words.REMEDIATION_OPEN
    if each.state is RemedyState.RETIRING:
        places = "one place" if len(each.running) == 1 else f"{len(each.running)} places"
        return f"It is to be taken out of use; it still runs in {places}. {said}"
    if each.state is RemedyState.UNAPPROVED:
        return f"A measure was taken, and a second person has to stand for it. {said}"
    if interim is not None and interim.ends_at is not None:
        until = f"{interim.ends_at:%-d %B %Y}"
        how = "What it says about you is filtered out, until {0}."
        if interim.kind == MeasureKind.UNLEARN_APPROXIMATE:
            how = "Your data was taken out of it as far as tests can tell, which holds until {0}."
        return f"{how.format(until)} That is not the end of it. {said}"
    return said


def reason(each: Remedied) -> str:
    """Say what an exemption rests on."""
    return _EXEMPTIONS.get(each.code, f"Reason on record: {each.code}." if each.code else "")


def told(each: Notified) -> Told:
    """Return a recipient in words."""
    notice, answer = each.notice, each.answer
    if each.state is NoticeState.LAPSED:
        text = _LAPSES[RecipientNotice.Lapse(notice.lapse)]
    else:
        text = _ANSWERS[NoticeAnswer.Answer(answer.answer)] if answer else _STATES[each.state]
    if notice.told_of == RecipientNotice.Of.LIFTED:
        text = _LIFTED.format(text[0].lower() + text[1:])
    detail = f"Reason on record: {answer.code}." if answer and answer.code else ""
    at = answer.at if answer else notice.delivered_at
    return Told(notice.recipient.name, text, detail, at, bool(each.outstanding))


def unanswered(notices: Iterable[Notified]) -> list[str]:
    """Return a sentence for each recipient from whom something is outstanding."""
    return [f"{told(each).name}: {told(each).text}" for each in notices if each.outstanding]


def silent(notices: Iterable[Notified]) -> list[str]:
    """Return a sentence for each recipient of whom nobody knows, and for whom nobody waits."""
    return [f"{told(each).name}: {told(each).text}" for each in notices if each.unanswered]
