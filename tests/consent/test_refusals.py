"""A request is refused on a ground that the law names, and never after something was erased."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest
from django.core import mail
from django.db import connection, transaction
from django.utils import timezone

from consent import grounds
from consent.deadlines import Law
from consent.grounds import Refusal
from consent.models import ErasureStep, Remediation, RequestLetter, RightsRequest, Subject
from consent.selectors import requests
from consent.selectors.requests import RequestState, steps_to_do, to_observe, to_plan
from consent.services import claims, forgetting, planning, refusing, remediation
from consent.services import requests as services
from consent.services.telling import RequestEndedError
from tests.factories.consent import registered, take
from tests.factories.governance import DatasetFactory, PurposeFactory
from tests.factories.rights import ask, mailed, told

pytestmark = pytest.mark.django_db

ANN = "ann.reader@example.org"
GROUND = Refusal.LEGAL_CLAIMS


@pytest.fixture
def erasure() -> RightsRequest:
    """Ann's erasure, planned: one data set holds her."""
    ann = registered(("email", ANN))
    take(DatasetFactory(), [ANN], scheme="email")
    request = ask("erasure", ann)
    assert planning.plan(request.pk)
    request.refresh_from_db()
    return request


def state(request: RightsRequest) -> RequestState:
    request.refresh_from_db()
    return requests.standing_of(request).state


@pytest.mark.parametrize("ground", Refusal)
def test_an_erasure_is_refused_on_any_ground_and_the_person_is_told_why(ground):
    request = ask("erasure", registered(("email", ANN)), verified=False)
    refusing.refuse(request=request, ground=ground, text="Ann, the court wants it")
    assert state(request) is RequestState.REFUSED
    assert request.refusal_code == ground.value
    assert requests.standing_of(request).outstanding == []
    assert told(request) == ["request.received", "request.refused"]
    assert mailed(request) == [True]
    [sent] = mail.outbox
    for words in (grounds.REFUSED[ground], "the court wants it", grounds.COMPLAINT[Law.GDPR]):
        assert words in sent.body
    assert b"court" not in bytes(RequestLetter.objects.get().text_sealed)


def test_each_code_has_its_sentence():
    assert set(grounds.REFUSED) == set(Refusal)
    assert set(grounds.EXTENDED) == set(grounds.Extension)
    assert set(grounds.COMPLAINT) == set(Law)


@pytest.mark.parametrize("kind", ["access", "portability", "rectification"])
def test_what_keeps_data_from_being_erased_keeps_nobody_from_a_copy(kind):
    request = ask(kind)
    for ground in Refusal:
        if ground.is_of_erasure:
            with pytest.raises(refusing.GroundUnfitError):
                refusing.refuse(request=request, ground=ground)
    assert state(request) is RequestState.VERIFIED
    refusing.refuse(request=request, ground=Refusal.NOT_IDENTIFIABLE)
    assert state(request) is RequestState.REFUSED


def test_permissions_that_were_taken_back_stay_taken_back():
    PurposeFactory.create_batch(2)
    request = ask("erasure")
    refusing.refuse(request=request, ground=GROUND)
    kinds = set(request.subject.decisions.values_list("kind", flat=True))
    assert (kinds, request.subject.decisions.count()) == ({"withdrawn"}, 2)


def test_what_was_planned_and_not_begun_is_kept_and_no_worker_begins_with_it(erasure):
    refusing.refuse(request=erasure, ground=GROUND)
    [step] = ErasureStep.objects.all()
    assert (step.state, step.outcome, step.code) == ("done", "exempt", GROUND.value)
    assert claims.claim(dataset_id=step.dataset_id, limit=9) is None
    for waiting in (steps_to_do(), to_observe(), to_plan()):
        assert not waiting.exists()
    assert forgetting.forget(erasure.pk) == 0
    assert remediation.observe(erasure.pk) == 0
    assert state(erasure) is RequestState.REFUSED
    assert Subject.objects.get(pk=erasure.subject_id).erased_at is None
    assert not Remediation.objects.filter(closed_at=None).exists()


def test_nobody_is_forgotten_who_was_refused_and_had_nothing_to_erase():
    request = ask("erasure")
    planning.plan(request.pk)
    refusing.refuse(request=request, ground=GROUND)
    assert forgetting.forget(request.pk) == 0
    assert Subject.objects.get(pk=request.subject_id).erased_at is None


@pytest.mark.parametrize(
    "begun",
    [
        {"state": "running", "lease_until": timezone.now()},
        {"state": "blocked", "code": "storage_busy", "located_rows": 1},
        {"state": "done", "outcome": "erased", "finished_at": timezone.now(), "located_rows": 1},
        {"state": "done", "outcome": "by_hand", "finished_at": timezone.now()},
    ],
)
def test_after_something_was_erased_or_may_have_been_nothing_is_refused(erasure, begun):
    ErasureStep.objects.update(**begun)
    before = ErasureStep.objects.values().get()
    with pytest.raises(refusing.ErasureBegunError):
        refusing.refuse(request=erasure, ground=GROUND)
    assert state(erasure) is RequestState.ERASING or begun["state"] == "done"
    assert ErasureStep.objects.values().get() == before
    assert (erasure.refused_at, RequestLetter.objects.count()) == (None, 0)


def test_after_the_key_was_destroyed_nothing_is_refused():
    request = ask("erasure")
    planning.plan(request.pk)
    forgetting.forget(request.pk)
    with pytest.raises(RequestEndedError):
        refusing.refuse(request=request, ground=GROUND)


def test_looking_and_finding_nothing_erased_nothing(erasure):
    ErasureStep.objects.update(state="done", outcome="not_found", finished_at=timezone.now())
    refusing.refuse(request=erasure, ground=GROUND)
    assert ErasureStep.objects.get().outcome == "not_found"
    assert state(erasure) is RequestState.REFUSED


def test_what_is_refused_is_not_refused_verified_or_answered_again():
    request = ask("access", verified=False)
    refusing.refuse(request=request, ground=Refusal.EXCESSIVE)
    for again in (
        lambda: refusing.refuse(request=request, ground=Refusal.UNFOUNDED),
        lambda: services.confirm_identity(request=request),
        lambda: services.answer(request=request),
    ):
        with pytest.raises(RequestEndedError):
            again()
    request.refresh_from_db()
    assert (request.refusal_code, request.verified_at) == (Refusal.EXCESSIVE.value, None)
    assert RequestLetter.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_worker_that_claims_while_it_is_refused_finds_nothing_to_do():
    take(DatasetFactory(), [ANN], scheme="email")
    request = ask("erasure", registered(("email", ANN)))
    planning.plan(request.pk)
    [dataset_id] = ErasureStep.objects.values_list("dataset_id", flat=True)
    begun, refused = Event(), Event()

    def refuses() -> None:
        try:
            with transaction.atomic():
                refusing.refuse(request=request, ground=GROUND)
                begun.set()
                assert not refused.wait(0.5)  # the worker is waiting for us by now
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        refusal = pool.submit(refuses)
        assert begun.wait(20)
        assert claims.claim(dataset_id=dataset_id, limit=9) is None
        refusal.result()
    [step] = ErasureStep.objects.all()
    assert (step.state, step.outcome, step.token) == ("done", "exempt", 0)


@pytest.mark.django_db(transaction=True)
def test_a_claim_that_is_not_committed_yet_is_waited_for_and_stops_the_refusal():
    take(DatasetFactory(), [ANN], scheme="email")
    request = ask("erasure", registered(("email", ANN)))
    planning.plan(request.pk)
    [dataset_id] = ErasureStep.objects.values_list("dataset_id", flat=True)

    def refuses() -> None:
        try:
            refusing.refuse(request=request, ground=GROUND)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            assert claims.claim(dataset_id=dataset_id, limit=9) is not None
            refusal = pool.submit(refuses)
            with pytest.raises(TimeoutError):
                refusal.result(timeout=0.5)  # it waits for us
        with pytest.raises(refusing.ErasureBegunError):
            refusal.result()
    request.refresh_from_db()
    assert (ErasureStep.objects.get().state, request.refused_at) == ("running", None)
