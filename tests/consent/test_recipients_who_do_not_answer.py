"""Who was told and does not answer holds nothing up for ever; who was told of a restriction is
told of its end."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone

from consent.models import NoticeAnswer, RecipientNotice, RightsRequest, SubjectKey
from consent.selectors import queues, requests
from consent.selectors import recipients as known
from consent.selectors.certificates import certificate
from consent.selectors.queues import NoticeQueue
from consent.selectors.request_lists import with_state
from consent.selectors.requests import RequestState
from consent.services import certificates, forgetting, lapsing, notifying, recipients, restricting
from consent.services.requests import open_request
from governance import certificate_check
from governance.models import Dataset
from governance.selectors import signing as published
from governance.services import ledger, signing
from governance.signing import keys_in
from tests.factories.desk import colleague, read
from tests.factories.listener import listening
from tests.factories.portal import text_of
from tests.factories.remedies import ann, asked, by_hand, client, library, look
from tests.factories.rights import mailed, told
from tests.factories.training import ANN

pytestmark = pytest.mark.django_db

TERM = timedelta(days=30)
ERROR = (500, {})


@pytest.fixture
def listener(db, settings):
    settings.COLOPHON_PRIVATE_WEBHOOKS = True
    library()
    with listening() as made:
        recipients.register(
            name="Partner Ltd", url=made.url, scheme="email",
            datasets=Dataset.objects.filter(name="loans"),
        )  # fmt: skip
        yield made


def tell() -> int:
    """Send what waits, as if its time had come."""
    RecipientNotice.objects.filter(delivered_at=None).update(retry_at=Now())
    due = list(known.to_tell().values_list("pk", flat=True))
    return sum(notifying.deliver(notice_id=pk) for pk in due)


def given_up(listener) -> None:
    listener.answers = [ERROR] * 10
    for _ in range(10):
        tell()


def later(by: timedelta = TERM) -> None:
    """Let so much time pass for everything that happened to notices."""
    for name in ("opened_at", "delivered_at", "gave_up_at"):
        for each in RecipientNotice.objects.exclude(**{name: None}):
            RecipientNotice.objects.filter(pk=each.pk).update(**{name: getattr(each, name) - by})
    for answer in NoticeAnswer.objects.all():
        NoticeAnswer.objects.filter(pk=answer.pk).update(at=answer.at - by)


def only() -> RecipientNotice:
    return RecipientNotice.objects.get()


def standing(request: RightsRequest) -> requests.Standing:
    request.refresh_from_db()
    return requests.standing_of(request)


def state_by_one_query(request: RightsRequest) -> str:
    return with_state().get(pk=request.pk).state


def page_of(request: RightsRequest, more: str = "") -> str:
    return text_of(Client().get(f"/requests/{request.uuid}{more}").content)


def test_an_erasure_completes_when_who_was_told_does_not_answer_in_time_and_says_so(listener):
    request = asked()
    tell()
    by_hand(request)
    later(TERM - timedelta(minutes=1))
    assert lapsing.let_lapse(limit=10) == 0
    assert standing(request).state is RequestState.VERIFYING
    later(timedelta(minutes=1))
    assert lapsing.let_lapse(limit=10) == 1
    assert lapsing.let_lapse(limit=10) == 0
    RightsRequest.objects.update(observed_at=timezone.now() - timedelta(seconds=1))
    assert list(requests.to_observe()) == [request]
    look(request)
    found = standing(request)
    assert (found.state, found.outstanding) == (RequestState.COMPLETED, [])
    assert state_by_one_query(request) == "completed"
    notice = only()
    assert (notice.lapse, found.completed_at) == ("no_answer", notice.lapsed_at)
    assert notice.delivered_at is not None
    on = f"{notice.delivered_at:%Y-%m-%d}"
    assert found.unanswered == [f"recipient Partner Ltd: told on {on}, has not answered"]
    said = certificate(found)
    assert said["unanswered"] == found.unanswered
    [partner] = said["recipients"]
    assert (partner["state"], partner["answer"], partner["lapse"]) == ("lapsed", "", "no_answer")
    assert (partner["told_at"], partner["answered_at"]) == (notice.delivered_at, None)
    assert told(request)[-2:] == ["notice.lapsed", "request.completed"]


def test_the_person_and_the_certificate_are_told_that_nobody_answered(listener):
    request = asked()
    tell()
    by_hand(request)
    later()
    lapsing.let_lapse(limit=10)
    look(request)
    page = page_of(request)
    assert "Nothing is outstanding; not everybody who received your data has answered." in page
    assert "Partner Ltd They were told, and have not said in time what they did." in page
    page = page_of(request, "/certificate")
    assert "Complete: nothing is outstanding, and not everybody who received data has" in page
    assert "Without an answer Nothing here waits for it any more" in page


def test_who_cannot_be_reached_in_time_holds_up_neither_the_forgetting_nor_the_end(listener):
    request = asked()
    given_up(listener)
    assert requests.standing_of(request).outstanding[-2:] == [
        "recipient Partner Ltd: could not be told (500)", "the person's keys: not yet destroyed",
    ]  # fmt: skip
    by_hand(request)
    assert SubjectKey.objects.filter(subject=request.subject).exists()
    later()
    assert lapsing.let_lapse(limit=10) == 1
    assert forgetting.forget(request.pk) == 1
    look(request)
    found = standing(request)
    assert found.state is RequestState.COMPLETED
    assert found.unanswered == ["recipient Partner Ltd: could not be told (500)"]
    assert only().lapse == "not_reached"
    assert "They could not be reached, so they do not know of it." in page_of(request)
    with pytest.raises(notifying.NoticeNotGivenUpError):
        notifying.retry(notice=only())


def test_what_is_still_tried_or_was_settled_does_not_lapse(listener):
    asked()
    listener.answers = [ERROR]
    tell()
    later(2 * TERM)
    assert lapsing.let_lapse(limit=10) == 0, "it is tried again by itself"
    notifying.settle(notice=only(), answer="impossible", reason="dissolved", by=client("eva"))
    assert lapsing.let_lapse(limit=10) == 0
    assert only().lapse == ""


def test_who_accepts_has_the_time_anew(listener):
    asked()
    tell()
    later(TERM - timedelta(days=1))
    notifying.answered(notice=only(), said={"status": "accepted"})
    later(TERM - timedelta(days=1))
    assert lapsing.let_lapse(limit=10) == 0
    later(timedelta(days=1))
    assert lapsing.let_lapse(limit=10) == 1
    assert known.notice(only().uuid).state == "lapsed"


def test_the_term_is_a_setting(listener, settings):
    settings.COLOPHON_RECIPIENT_DAYS = 3
    asked()
    tell()
    later(timedelta(days=3))
    assert lapsing.let_lapse(limit=10) == 1


def test_of_a_refused_request_nothing_lapses(listener):
    request = asked()
    tell()
    RightsRequest.objects.filter(pk=request.pk).update(
        refused_at=timezone.now(), refusal_code="art_17_3_a"
    )
    later()
    assert lapsing.let_lapse(limit=10) == 0


def test_an_answer_that_comes_late_is_kept_and_moves_no_date(listener):
    request = asked()
    tell()
    by_hand(request)
    later()
    lapsing.let_lapse(limit=10)
    look(request)
    completed = standing(request).completed_at
    notifying.answered(notice=only(), said={"status": "accepted"})
    assert standing(request).state is RequestState.COMPLETED, "it does not wait again"
    notifying.answered(notice=only(), said={"status": "done"})
    found = standing(request)
    assert (found.completed_at, found.unanswered) == (completed, [])
    [partner] = certificate(found)["recipients"]
    assert (partner["state"], partner["answer"], partner["lapse"]) == ("ended", "done", "no_answer")
    assert not queues.notices_in(NoticeQueue.LAPSED).exists()


def other_end(said):
    said["recipients"][0]["lapse"] = "not_reached"


def no_end(said):
    said["recipients"][0]["lapse"] = ""


@pytest.mark.parametrize("change", [None, other_end, no_end])
def test_how_it_ended_is_held_against_the_ledger(listener, change):
    request = asked()
    tell()
    later()
    lapsing.let_lapse(limit=10)
    while ledger.sequence():
        pass
    said = certificates.issue(requests.standing_of(request)).certificate
    if change:
        change(said)
    text = signing.sign(said, typ="erasure-certificate+json").encode()
    [finding] = certificate_check.check(text, keys_in(published.key_set()))
    assert finding.ok is (change is None)
    wanted = "Of Partner Ltd the ledger tells another end." if change else "without an answer: 1."
    assert wanted in finding.says


def restricted() -> RightsRequest:
    return open_request(subject=ann(), kind="restriction", key=uuid4(), verified=True)


def heard(listener) -> list[str]:
    return [each.said["type"] for each in listener.heard]


def test_who_was_told_of_a_restriction_is_told_that_the_person_lifted_it(listener):
    request = restricted()
    assert tell() == 1
    restricting.withdraw(request=request)
    assert tell() == 1
    assert heard(listener) == ["restriction.requested", "restriction.lifted"]
    first, second = (each.said["data"] for each in listener.heard)
    assert second["identifiers"] == [{"scheme": "email", "value": ANN}]
    assert (second["asked"], second["datasets"]) == ("restriction", first["datasets"])
    assert first["notice"] != second["notice"]
    assert told(request)[-4:] == [
        "notice.delivered", "restriction.lifted", "notice.opened", "notice.delivered",
    ]  # fmt: skip
    page = page_of(request)
    assert "Partner Ltd That your data is not restricted any more: they were told" in page


def test_they_are_told_as_well_where_an_operator_lifts_it_and_not_before(listener):
    request = restricted()
    tell()
    restricting.announce_lifting(request=request, reason="the dispute is settled")
    mailed(request)
    assert tell() == 0
    restricting.lift(request=request)
    assert tell() == 1
    assert heard(listener)[-1] == "restriction.lifted"


def test_who_was_not_told_yet_is_told_of_neither(listener):
    request = restricted()
    restricting.withdraw(request=request)
    assert tell() == 0
    assert listener.heard == []
    assert (only().lapse, known.untold([ann().pk])) == ("overtaken", set())
    assert "They were not told: you are not restricted any more." in page_of(request)
    with pytest.raises(notifying.NoticeNotGivenUpError):
        notifying.retry(notice=only())


def test_who_may_have_heard_of_it_is_told_of_its_end_and_not_of_it_again(listener):
    request = restricted()
    listener.answers = [ERROR]
    assert tell() == 0
    restricting.withdraw(request=request)
    assert tell() == 1
    assert heard(listener) == ["restriction.requested", "restriction.lifted"]
    assert tell() == 0


def test_the_end_follows_what_is_on_its_way(listener):
    request = restricted()
    pk = only().pk
    assert notifying.claim(RecipientNotice, pk) == 1
    restricting.withdraw(request=request)
    first, second = RecipientNotice.objects.order_by("pk")
    assert second.retry_at == first.lease_until
    assert not known.to_tell().exists()
    notifying._finish(first, 1, notifying.Answer(204))
    first.refresh_from_db()
    assert (first.delivered_at is not None, first.gave_up_at, first.lapse) == (
        True, None, "overtaken",
    )  # fmt: skip


def test_whom_an_operator_settled_is_told_of_neither(listener):
    request = restricted()
    listener.answers = [ERROR]
    tell()
    notifying.settle(notice=only(), answer="impossible", reason="dissolved", by="staff:1")
    restricting.withdraw(request=request)
    assert (only().lapse, tell()) == ("", 0)


def counted(name: str) -> int:
    return next(e.count for e in queues.queues() if (e.kind, e.name) == ("recipients", name))


def test_the_desk_lists_them_tells_again_and_settles(listener):
    request, olga = asked(), colleague()
    given_up(listener)
    at = f"/desk/notices/{only().uuid}"
    listed = read(olga, "/desk/notices?queue=given_up")
    assert "1 notice, the oldest first. Partner Ltd Stands Could not be told" in listed
    page = read(olga, at)
    assert "Told of Erasure, Art. 17, request" in page
    assert "Attempts 10 Last answer 500" in page
    assert listener.url not in olga.get(at).content.decode()
    assert olga.post(f"{at}/tell").headers["Location"] == at
    assert olga.post(f"{at}/tell").status_code == 409
    assert tell() == 1
    assert (counted("given_up"), counted("unanswered")) == (0, 1)
    assert "it ends by itself on" in read(olga, at)
    later()
    lapsing.let_lapse(limit=10)
    assert (counted("unanswered"), counted("lapsed")) == (0, 1)
    page = read(olga, "/desk/notices?queue=lapsed")
    assert "Ended by itself: told, and nothing final was answered in time" in page
    for odd in ({}, {"answer": "done", "reason": "x"}, {"answer": "impossible", "reason": " "}):
        assert olga.post(f"{at}/settle", odd).status_code == 400
    said = {"answer": "disproportionate", "reason": "ten million letters"}
    assert olga.post(f"{at}/settle", said).headers["Location"] == at
    page = read(olga, at)
    assert "Ended: told, and nothing final was answered in time: telling takes an effort" in page
    assert "Settle this notice" not in page
    assert olga.post(f"{at}/settle", said | {"answer": "impossible"}).status_code == 409
    settled = NoticeAnswer.objects.get()
    assert (settled.by, settled.by_staff[:6]) == (None, "staff:")
    assert counted("lapsed") == 0
    assert told(request)[-1] == "notice.answered"


def test_the_desk_s_pages_on_recipients_are_for_staff(listener):
    asked()
    at = f"/desk/notices/{only().uuid}"
    olga, guest = colleague(), colleague("gus", is_staff=False)
    for path in ("/desk/notices", at):
        assert Client().get(path).status_code == 302
        assert guest.get(path).status_code == 403
    for path in (f"{at}/tell", f"{at}/settle"):
        assert (Client().post(path).status_code, guest.post(path).status_code) == (302, 403)
        assert olga.get(path).status_code == 405
    assert olga.get(f"/desk/notices/{uuid4()}").status_code == 404
    assert not NoticeAnswer.objects.exists()
