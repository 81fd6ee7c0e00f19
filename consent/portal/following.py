"""Following a request by its link alone: after the deletion nobody can sign in to see it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from consent import grounds
from consent.deadlines import Law
from consent.models import (
    AT_ONCE,
    ErasureStep,
    Remediation,
    RequestKind,
    RequestLetter,
    Restriction,
)
from consent.portal import copying, remedying, words
from consent.portal.pages import part, private, shown
from consent.selectors import access, copies, requests
from consent.selectors.certificates import certificate as certificate_of
from consent.selectors.remedies import Remedied
from consent.selectors.requests import ENDED, RequestState
from consent.selectors.requests import Standing as RequestStanding
from consent.services import certificates
from lineage.selectors.transparency import Certainty

Told = tuple[str, str, datetime | None, bool]
"""A station before it is marked: its title and text, when it was reached, and whether it was."""


@dataclass(frozen=True, slots=True)
class Station:
    """One station of a request; ``mark`` is done, now, later or ended."""

    title: str
    text: str
    at: datetime | None
    mark: str


@dataclass(frozen=True, slots=True)
class Part:
    """One data set or model of a request, in words; ``open`` as long as it keeps it open."""

    name: str
    namespace: str
    certainty: words.Term
    text: str
    detail: str
    at: datetime | None
    open: bool


@require_safe
@private
def follow(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Show where a request stands, in full and by name; one that was joined follows the first.

    A person can be in a data set that thousands are made from, so long lists come by pages.
    """
    standing = requests.standing(uuid)
    joined = standing.request
    first = joined.duplicate_of
    context = _told(request, standing if first is None else requests.standing_of(first))
    for name in ("datasets", "models", "outstanding"):
        context[name] = part(request, context[name], name)
    if first is not None:
        link = request.build_absolute_uri(reverse("portal:request", args=[joined.uuid]))
        context |= {"joined": joined, "link": link}
    return shown(request, "request", context)


@require_safe
@private
def certificate(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Show the certificate as a page to print; it names no person."""
    standing = requests.erasure(uuid)
    context = {
        **_told(request, standing),
        "certificate": certificate_of(standing),
        "now": timezone.now(),
    }
    return shown(request, "certificate", context)


@require_safe
@private
def certificate_json(_request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Give out the certificate for machines, signed."""
    told = certificates.issue(requests.erasure(uuid)).as_json()
    response = JsonResponse(told, json_dumps_params={"indent": 2})
    response.headers["Content-Disposition"] = f'inline; filename="certificate-{uuid}.json"'
    return response


def _told(request: HttpRequest, standing: RequestStanding) -> dict[str, Any]:
    asked, ended = standing.request, standing.state in ENDED
    return {
        **_reasons(standing),
        "asked": asked,
        "title": words.REQUEST[RequestKind(asked.kind)],
        "state": standing.state,
        "ended": ended,
        "completed_at": standing.completed_at,
        "due_on": standing.due_on,
        "overdue": standing.overdue,
        "paused_since": standing.paused_since,
        "restriction": standing.restriction,
        "copy": standing.copy,
        "copy_holds": copying.held(copies.readings_of(asked)),
        "now": timezone.now(),
        "stations": stations(standing),
        "datasets": [_dataset(each) for each in standing.steps],
        "models": [_model(each) for each in standing.remediations],
        "recipients": [remedying.told(each) for each in standing.notices],
        "outstanding": [] if ended else outstanding(standing),
        "silent": remedying.silent(standing.notices),
        "link": request.build_absolute_uri(reverse("portal:request", args=[asked.uuid])),
    }


def _reasons(standing: RequestStanding) -> dict[str, object]:
    """Say why it was refused or takes longer, and where one can complain of it: Art. 12(4)."""
    asked = standing.request
    extended, refused = asked.extension_code, asked.refusal_code
    return {
        "extended": grounds.EXTENDED[grounds.Extension(extended)] if extended else "",
        "refused": grounds.REFUSED[grounds.Refusal(refused)] if refused else "",
        "complaint": grounds.COMPLAINT[Law(asked.law)] if extended or refused else "",
    }


def stations(standing: RequestStanding) -> list[Station]:
    """Return the stations of a request in order, each done, now or later."""
    asked, kind = standing.request, RequestKind(standing.request.kind)
    first: list[Told] = [("Received", "We have your request.", asked.received_at, True)]
    if kind not in AT_ONCE:
        first.append(
            ("Identity confirmed", "We know that it was you who asked.", asked.verified_at,
             asked.verified_at is not None)
        )  # fmt: skip
    if standing.state is RequestState.REFUSED:
        text = grounds.REFUSED[grounds.Refusal(asked.refusal_code)]
        refused = Station("Refused", text, asked.refused_at, "ended")
        return [*_marked([each for each in first if each[3]]), refused]
    rest = _work(standing) if kind is RequestKind.ERASURE else _answer(standing)
    return _marked([*first, *rest])


def _answer(standing: RequestStanding) -> list[Told]:
    asked, restriction = standing.request, standing.restriction
    title, text = words.ANSWER[RequestKind(asked.kind)]
    if asked.answered_at is None:
        text = f"{text} {copying.progress(copies.readings_of(asked))}".strip()
    answered: Told = (title, text, asked.answered_at, asked.answered_at is not None)
    if restriction is None:
        return [answered]
    notice = asked.letters.filter(kind=RequestLetter.Kind.LIFTING).first()
    told: list[Told] = [answered]
    if notice is not None:
        told.append(("Going to be lifted", "We told you so beforehand.", notice.made_at, True))
    if restriction.until is not None:
        who = words.LIFTED[Restriction.LiftedBy(restriction.lifted_by)]
        told.append(("Lifted", who, restriction.until, True))
    return told


def _work(standing: RequestStanding) -> list[Told]:
    asked, steps, models = standing.request, standing.steps, standing.remediations
    written, waits = asked.planned_at is not None, standing.waits_for_approval
    planned = written and not waits
    ended = [each.finished_at for each in steps if each.finished_at]
    good = [each.closed_at for each in models if each.closed_at]
    erased, repaired = len(ended) == len(steps), len(good) == len(models)
    kept = any(each.outcome == ErasureStep.Outcome.EXEMPT for each in steps)
    keys = "With your key gone, what was sealed under it can never be read again, by anybody."
    if kept:
        keys = (
            "Kept, because some of your data lawfully stays, and you must be able to learn of it."
        )
    complete = standing.state is RequestState.COMPLETED
    return [
        ("Planned", "Every data set that holds you, or may, and every model made of it."
         + (" The plan waits for people here to approve it." if waits else ""),
         asked.planned_at, planned),
        ("Erased and read again", _counted(len(ended), len(steps), "data set")
         + _on_a_word(steps) if planned else
         "Each place is searched, erased, and read again.",
         max(ended, default=None) if erased else None, planned and erased),
        ("Key destroyed", keys, asked.forgotten_at,
         planned and erased and (kept or asked.forgotten_at is not None)),
        ("Models made good", _counted(len(good), len(models), "model version") if planned else
         "Each model version waits for a training without your data.",
         max(good, default=None) if repaired else None, planned and repaired),
        ("Complete", "Nothing is outstanding." if complete else "Once nothing is outstanding.",
         standing.completed_at, complete),
    ]  # fmt: skip


def _counted(done: int, total: int, what: str) -> str:
    if total == 0:
        return f"No {what} is concerned."
    return f"{done} of {total} {what}{'' if total == 1 else 's'}."


def _on_a_word(steps: list[ErasureStep]) -> str:
    """Say for how many data sets it rests on a person's word, and nothing was read again."""
    said = (ErasureStep.Outcome.BY_HAND, ErasureStep.Outcome.NOT_FOUND)
    told = sum(each.outcome in said and not each.read_back for each in steps)
    return f" For {told} of them a person says so, and it was not read again." if told else ""


def _marked(told: list[Told]) -> list[Station]:
    """Mark what is done; the first that is not is where the request is now."""
    found: list[Station] = []
    for title, text, at, done in told:
        waiting = any(each.mark == "now" for each in found)
        mark = "done" if done else "later" if waiting else "now"
        found.append(Station(title, text, at if done else None, mark))
    return found


def outstanding(standing: RequestStanding) -> list[str]:
    """Say what keeps a request open, each in a sentence of its own."""
    asked = standing.request
    if asked.kind != RequestKind.ERASURE:
        stuck = access.stuck().filter(request=asked).first()
        unread = copying.waiting(copies.readings_of(asked), stuck)
        return unread if asked.verified_at else [words.UNVERIFIED]
    if asked.verified_at is None:
        return [f"{words.UNVERIFIED} Nothing is erased before we do."]
    if asked.planned_at is None:
        return ["The plan: which data sets and which models are concerned. It follows by itself."]
    parts = [_dataset(each) for each in standing.steps]
    parts += [_model(each) for each in standing.remediations]
    told = ["The plan: people here have to approve it."] if standing.waits_for_approval else []
    told += [f"{each.name}: {each.detail or each.text}" for each in parts if each.open]
    told += remedying.unanswered(standing.notices)
    kept = any(each.outcome == ErasureStep.Outcome.EXEMPT for each in standing.steps)
    if asked.forgotten_at is None and not kept:
        told.append("Your key: it is destroyed once nothing of yours is left to erase.")
    return told


def _dataset(step: ErasureStep) -> Part:
    done = step.state == ErasureStep.State.DONE
    detail = words.BLOCKED.get(step.code, words.BLOCKED_OTHERWISE)
    if done:
        detail = f"Reason on record: {step.code}." if step.code else ""
    return Part(
        step.dataset.name, step.dataset.namespace, words.CERTAINTY[Certainty(step.certainty)],
        _standing(step), detail if step.code else "", step.finished_at, not done,
    )  # fmt: skip


def _standing(step: ErasureStep) -> str:
    if step.outcome == ErasureStep.Outcome.NOT_FOUND and not step.read_back:
        return words.STEP_NOT_FOUND_BY_HAND
    if step.outcome:
        return words.STEP_OUTCOME[ErasureStep.Outcome(step.outcome)]
    if step.retry_at is None:
        return words.STEP_GIVEN_UP
    return words.STEP_STATE[ErasureStep.State(step.state)]


def _model(each: Remedied) -> Part:
    made = each.model_version
    dataset = made.model.dataset
    name = f"{dataset.name} {made.version.declared}".strip()
    text = remedying.open_words(each)
    if each.outcome:
        text = words.REMEDIATION_OUTCOME[Remediation.Outcome(each.outcome)]
    detail = remedying.reason(each)
    if each.closed_by:
        later = each.closed_by.version.declared or str(each.closed_by.uuid)
        detail = f"Version {later}."
    return Part(
        name, dataset.namespace, words.CERTAINTY[Certainty(each.certainty)], text, detail,
        each.closed_at, not each.outcome,
    )  # fmt: skip
