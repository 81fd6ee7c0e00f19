"""What waits: the queues, and the requests and steps in them."""

from dataclasses import dataclass
from itertools import groupby

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from consent.desk import words
from consent.desk.pages import part, shown, staff
from consent.selectors import queues
from consent.selectors.queues import Queue, StepQueue
from consent.selectors.requests import RequestState


@dataclass(frozen=True, slots=True)
class Shown:
    """A queue in words, and where it is listed, if it is."""

    queue: Queue
    term: words.Term
    href: str


@require_safe
@staff
def overview(request: HttpRequest) -> HttpResponse:
    """Show every queue, with how much waits and since when."""
    told = [Shown(each, words.QUEUE[each.kind, each.name], _href(each)) for each in queues.queues()]
    grouped = groupby(told, key=lambda each: words.GROUP[each.queue.kind])
    return shown(request, "overview", {"groups": [(name, list(some)) for name, some in grouped]})


@require_safe
@staff
def requests(request: HttpRequest) -> HttpResponse:
    """List the requests in a state, those due first at the front."""
    asked = request.GET.get("state", "")
    state = RequestState(asked) if asked in set(RequestState) else RequestState.REVIEW
    context = {
        "term": words.QUEUE["requests", state],
        "page": part(request, queues.requests_in(state)),
        "keep": f"state={state}&",
    }
    return shown(request, "requests", context)


@require_safe
@staff
def steps(request: HttpRequest) -> HttpResponse:
    """List the steps in a queue, each with what stands in the way and what to do next."""
    asked = request.GET.get("queue", "")
    queue = StepQueue(asked) if asked in set(StepQueue) else StepQueue.PERSON
    page = part(request, queues.steps_in(queue))
    context = {
        "term": words.QUEUE["steps", queue],
        "page": page,
        "steps": [(each, words.advice(each.code)) for each in page.object_list],
        "keep": f"queue={queue}&",
    }
    return shown(request, "steps", context)


def _href(queue: Queue) -> str:
    """Return where what waits can be seen."""
    page, asked = words.LISTED[queue.kind]
    if (queue.kind, queue.name) == ("webhooks", "disabled"):
        return reverse("desk:webhooks-disabled")
    return f"{reverse(page)}{asked.format(name=queue.name)}"
