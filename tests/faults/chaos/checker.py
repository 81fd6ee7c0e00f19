"""What must hold once the storm is over: by the clients' journal, not by the service's word."""

from collections import Counter
from typing import Any

from django.db.models import Q
from django.db.models.functions import Now

from consent.models import ConsentDecision, ErasureStep, RequestRecord, RightsRequest, Subject
from consent.selectors import requests
from consent.selectors.requests import RequestState
from governance.models import LedgerEntry, LedgerRecord
from governance.selectors import ledger, ledger_check
from governance.services import ledger as ledger_service
from lineage.models import InboxEvent, Run
from tests.faults.chaos.journal import Journal
from tests.faults.chaos.world import World, person

ONCE = ("request.received", "erasure.planned", "subject.forgotten", "request.completed")


def busy() -> list[str]:
    """Return what still waits or works, in words; nothing once everything is quiet."""
    waiting = RightsRequest.objects.filter(completion_recorded_at=None, refused_at=None).count()
    found = [f"{waiting} requests"] if waiting else []
    inbox = InboxEvent.objects.filter(state=InboxEvent.State.READY).count()
    return found + ([f"{inbox} events"] if inbox else [])


def problems(journal: Journal, world: World) -> list[str]:
    """Return everything that is wrong; each line begins with the rule that it breaks."""
    while ledger_service.sequence():
        pass
    return [
        *(f"answers: {each}" for each in journal.wrong),
        *_nothing_lost(journal, world),
        *_nothing_twice(journal, world),
        *_nothing_invented(journal),
        *_nothing_stuck(),
        *_ledger_whole(),
    ]


def _nothing_lost(journal: Journal, world: World) -> list[str]:
    found = []
    gone = {person(each["person"]) for each in journal.of("erasure").values()}
    left = sorted(each for each in world.everybody if each not in gone)
    for place, rows in world.rows().items():
        if rows != left:
            more, fewer = Counter(rows) - Counter(left), Counter(left) - Counter(rows)
            found.append(f"lost: {place} has {len(more)} rows too many, {len(fewer)} too few")
    for key, facts in journal.of("erasure").items():
        asked = RightsRequest.objects.filter(idempotency_key=key).first()
        if asked is None or str(asked.uuid) != facts["uuid"]:
            found.append("lost: an erasure that was acknowledged is not there")
        elif requests.standing_of(asked).state is not RequestState.COMPLETED:
            found.append(f"lost: an erasure is {requests.standing_of(asked).state}")
    decided = {str(each) for each in _keys(ConsentDecision)}
    found += ["lost: a decision" for key in journal.of("decision") if key not in decided]
    runs = {str(each) for each in Run.objects.values_list("run_id", flat=True)}
    return found + ["lost: an event" for key in journal.of("event") if key not in runs]


def _nothing_twice(journal: Journal, world: World) -> list[str]:
    found = []
    told = Counter(RequestRecord.objects.filter(kind__in=ONCE).values_list("request", "kind"))
    steps = Counter(RequestRecord.objects.filter(kind="erasure.step").values_list("request"))
    found += [f"twice: {kind} was told {n} times" for (_, kind), n in told.items() if n > 1]
    planned = dict(ErasureStep.objects.values_list("request").annotate(n=_count()))
    found += ["twice: a step was told twice" for (pk,), n in steps.items() if n > planned[pk]]
    asked = {key for verb, key in world.owner.seen if verb == "erase"}
    owned = ErasureStep.objects.filter(dataset__name="clinic").count()
    if len(asked) > owned:
        found.append(f"twice: the owner was asked under {len(asked)} keys for {owned} steps")
    if world.left_over():
        found.append(f"twice: drafts were left beside the files: {world.left_over()}")
    keys = Counter(_keys(ConsentDecision)) + Counter(_keys(RightsRequest))
    return found + [f"twice: a key has {n} rows" for n in keys.values() if n > 1]


def _nothing_invented(journal: Journal) -> list[str]:
    asked = set(journal.invoked)
    requested = {str(each) for each in _keys(RightsRequest)}
    found = ["invented: a request that nobody made" for _ in requested - asked]
    people = Subject.objects.filter(erased_at__isnull=False).count()
    if people > len({v["person"] for v in journal.invoked.values() if v["what"] == "erasure"}):
        found.append("invented: somebody was erased who did not ask")
    runs = {str(each) for each in Run.objects.values_list("run_id", flat=True)}
    return found + ["invented: a run that nobody told of" for _ in runs - asked]


def _nothing_stuck() -> list[str]:
    dead = Q(state="running", lease_until__lt=Now()) | Q(state__in=["ready", "blocked"])
    stuck = ErasureStep.objects.filter(dead)
    found = [f"stuck: a step is {each.state} ({each.code})" for each in stuck]
    return found + [f"stuck: {each}" for each in busy()]


def _ledger_whole() -> list[str]:
    report = ledger_check.verify()
    found = [] if report.ok else [f"ledger: {report.problem} at {report.first_bad_index}"]
    if LedgerEntry.objects.count() != ledger.head().size:
        found.append("ledger: its indexes have gaps")
    untold = LedgerRecord.objects.filter(entry=None).count()
    return found + ([f"ledger: {untold} records have no index"] if untold else [])


def _keys(model: Any) -> list[Any]:
    """Return the keys that the clients chose; what follows from a request has others."""
    found = model.objects.values_list("idempotency_key", flat=True)
    return [each for each in found if each.version == 4]


def _count() -> Any:
    from django.db.models import Count

    return Count("pk")
