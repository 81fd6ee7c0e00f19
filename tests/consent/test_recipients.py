"""Whoever received a person's data is told of the request and answers; then all is forgotten."""

import base64
import hashlib
import hmac
import json
import logging
import time
from datetime import timedelta
from uuid import uuid4

import httpx
import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone

from consent.models import (
    Disclosure,
    NoticeAnswer,
    Recipient,
    RecipientNotice,
    RecipientSecret,
    RightsRequest,
    SubjectKey,
)
from consent.selectors import recipients as selectors
from consent.selectors import requests
from consent.selectors.certificates import certificate
from consent.selectors.requests import RequestState
from consent.services import (
    approving,
    certificates,
    forgetting,
    merging,
    notifying,
    planning,
    recipients,
    subjects,
)
from consent.services.requests import confirm_identity, correct, open_automatic, open_request
from governance import certificate_check
from governance.models import Dataset, Model
from governance.selectors import signing as published
from governance.services import ledger, rules, signing
from governance.signing import keys_in
from tests.factories.consent import take as takes
from tests.factories.events import run
from tests.factories.governance import issued_key
from tests.factories.listener import listening
from tests.factories.portal import text_of
from tests.factories.remedies import ann, approve, asked, by_hand, client, library, look, take
from tests.factories.training import ANN, facet, learn, loans_of, train

pytestmark = pytest.mark.django_db
CARD = "CANARY-CARD-77"


@pytest.fixture(autouse=True)
def private(settings):
    settings.COLOPHON_PRIVATE_WEBHOOKS = True
    settings.PUBLIC_URL = "http://testserver"


@pytest.fixture
def listener():
    with listening() as made:
        yield made


@pytest.fixture
def partner(db, listener) -> recipients.Registered:
    library()
    subjects.register(identifiers=[("email", ANN), ("card", CARD)])
    return received(listener)


def received(listener, name="Partner Ltd", datasets=("loans",), models=(), scheme="email"):
    return recipients.register(
        name=name, url=listener.url, scheme=scheme,
        datasets=Dataset.objects.filter(name__in=datasets),
        models=Model.objects.filter(dataset__name__in=models),
    )  # fmt: skip


def tell() -> int:
    """Send what is due, as the worker does."""
    due = list(selectors.to_tell().values_list("pk", flat=True))
    return sum(notifying.deliver(notice_id=pk) for pk in due)


def soon() -> None:
    """Let the waiting be over."""
    RecipientNotice.objects.filter(delivered_at=None).update(retry_at=Now())


def state() -> str:
    return selectors.notice(RecipientNotice.objects.get().uuid).state


def outstanding(request) -> list[str]:
    return [each for each in requests.standing_of(request).outstanding if "recipient" in each]


def test_the_message_is_signed_and_says_who_and_what_and_nothing_of_the_request(partner, listener):
    request = asked()
    assert outstanding(request) == ["recipient Partner Ltd: not told yet"]
    assert tell() == 1
    notice = RecipientNotice.objects.get()
    [heard] = listener.heard
    assert heard.path == "/hooks?tenant=7"
    assert heard.is_signed_with(partner.secret)
    assert heard.headers["webhook-id"] == str(notice.uuid)
    assert heard.said == {
        "type": "erasure.requested",
        "timestamp": heard.said["timestamp"],
        "data": {
            "notice": str(notice.uuid), "law": "GDPR Art. 19", "asked": "erasure",
            "identifiers": [{"scheme": "email", "value": ANN}], "details": [],
            "datasets": [{"namespace": "test", "name": "loans"}], "models": [],
            "answer_to": notifying.answer_address(notice.uuid),
        },
    }  # fmt: skip
    for never in (str(request.uuid), str(request.subject.uuid), CARD):
        assert never.encode() not in heard.body
    assert (notice.attempt, notice.last_status, notice.last_code) == (1, 204, "")
    assert notice.delivered_at is not None
    assert tell() == 0
    assert outstanding(request) == ["recipient Partner Ltd: told, has not answered"]


def test_whoever_received_a_model_only_learns_of_the_model_and_of_nobody(partner, listener):
    train(facet())
    received(listener, name="Hub", datasets=(), models=("model",))
    asked()
    assert tell() == 2
    [told] = [each.said["data"] for each in listener.heard if not each.said["data"]["datasets"]]
    assert told["identifiers"] == []
    version = RightsRequest.objects.get().remediations.get().model_version
    assert told["models"] == [
        {"namespace": "test", "name": "model", "versions": [str(version.uuid)]}
    ]
    assert ANN not in json.dumps(told)


def test_who_received_nothing_of_the_person_is_told_nothing(partner, listener):
    loans_of("else@example.org", name="other")
    received(listener, name="Stranger", datasets=("other",))
    asked()
    assert RecipientNotice.objects.get().recipient.name == "Partner Ltd"


def test_who_received_what_the_person_has_left_is_told_all_the_same(partner):
    learn(run("load", 10, 11, writes=["loans"]))
    loans = Dataset.objects.get(name="loans")
    takes(loans, ["bob@example.org"], mode="replace", scheme="email")
    assert not asked().steps.filter(dataset=loans).exists()
    assert RecipientNotice.objects.get().names_person


def copied(listener) -> RightsRequest:
    """Ask where a recipient received only a data set that was derived, and may hold the person."""
    learn(run("copy", 4, 5, reads=["loans"], writes=["copy"]))
    received(listener, name="Copyist", datasets=("copy",))
    return asked()


def ends(request, name: str, outcome: str) -> None:
    rows = 0 if outcome == "not_found" else 2
    request.steps.filter(dataset__name=name).update(
        state="done", outcome=outcome, located_rows=rows, finished_at=timezone.now()
    )


@pytest.mark.parametrize(("outcome", "told"), [("erased", True), ("not_found", False)])
def test_a_derived_data_set_tells_its_recipients_once_rows_were_found_there(
    partner, listener, outcome, told
):
    request = copied(listener)
    tell()
    listener.heard.clear()
    ends(request, "copy", outcome)
    ends(request, "loans", "erased")
    assert forgetting.forget(request.pk) != told
    assert tell() == int(told)
    assert forgetting.forget(request.pk) == told


def test_an_answer_in_the_reply_ends_it(partner, listener):
    listener.answers = [(200, {}, b'{"status": "done"}')]
    request = asked()
    tell()
    assert state() == "ended"
    assert outstanding(request) == []
    [told] = certificate(requests.standing_of(request))["recipients"]
    assert (told["recipient"], told["answer"], told["state"]) == ("Partner Ltd", "done", "ended")
    assert [each.kind for each in request.records.order_by("pk")][-2:] == [
        "notice.delivered", "notice.answered",
    ]  # fmt: skip


def other_answer(told):
    told["recipients"][0]["answer"] = "refused"


def other_notice(told):
    told["recipients"][0]["notice"] = str(uuid4())


def other_evidence(told):
    told["models"][0]["measures"][0]["evidence_sha256"] = "0" * 64


@pytest.mark.parametrize(
    ("change", "says"),
    [(None, ""), (other_answer, "Of Partner Ltd the ledger tells another answer."),
     (other_notice, "Of Partner Ltd the ledger tells another answer."),
     (other_evidence, "Of model the ledger tells other evidence.")],
)  # fmt: skip
def test_the_certificate_s_answers_and_measures_are_held_against_the_ledger(
    partner, listener, change, says
):
    train(facet())
    listener.answers = [(200, {}, b'{"status": "done"}')]
    request = asked()
    take(request, "unlearn_approximate")
    tell()
    while ledger.sequence():
        pass
    told = certificates.issue(requests.standing_of(request)).certificate
    if change:
        change(told)
    text = signing.sign(told, typ="erasure-certificate+json").encode()
    [finding] = certificate_check.check(text, keys_in(published.key_set()))
    assert (finding.ok, finding.says if change else "") == (change is None, says)


def test_a_refusal_has_a_reason_of_a_closed_list(partner, listener):
    listener.answers = [(200, {}, b'{"status": "refused", "reason": "a17_legal_claims"}')]
    request = asked()
    tell()
    answer = NoticeAnswer.objects.get()
    assert (answer.answer, answer.code, answer.by) == ("refused", "a17_legal_claims", None)
    page = text_of(Client().get(f"/requests/{request.uuid}").content)
    assert "Who else was told" in page
    assert "Partner Ltd They were told and refuse. Reason on record: a17_legal_claims." in page


@pytest.mark.parametrize(
    "body",
    [b"OK", b"[]", b'{"status": "maybe"}', b'{"status": "refused"}', b'{"status": ["done"]}',
     b'{"status": "refused", "reason": "ann@example.org"}', b"\xff", b"[" * 5000],
)  # fmt: skip
def test_a_reply_that_says_nothing_known_is_an_arrival_and_nothing_of_it_is_kept(
    partner, listener, body
):
    listener.answers = [(200, {}, body)]
    asked()
    assert tell() == 1
    assert state() == "delivered"
    notice = RecipientNotice.objects.get()
    assert notice.last_code in {"malformed_json", "answer_unusable"}
    assert not NoticeAnswer.objects.exists()


def test_a_server_that_fails_is_told_again_under_the_same_id(partner, listener):
    listener.answers = [(500, {}), (302, {"Location": listener.url}), (403, {})]
    asked()
    assert tell() == 0
    failed = RecipientNotice.objects.get()
    assert (failed.last_status, failed.attempt) == (500, 1)
    assert timedelta(seconds=3) < failed.retry_at - timezone.now() < timedelta(seconds=7)
    assert tell() == 0, "not before its time"
    for _ in range(2):
        soon()
        assert tell() == 0
    soon()
    assert tell() == 1
    assert len(listener.heard) == 4
    assert len({each.headers["webhook-id"] for each in listener.heard}) == 1
    assert len({each.body for each in listener.heard}) == 1


def test_who_acted_and_answered_too_late_is_told_again_and_says_so(partner, listener, monkeypatch):
    monkeypatch.setattr(notifying, "TIMEOUT", httpx.Timeout(0.2))
    listener.pause = 0.5
    listener.answers = [(200, {}, b'{"status": "done"}'), (200, {}, b'{"status": "done"}')]
    asked()
    assert tell() == 0
    assert RecipientNotice.objects.get().last_code == "timed_out"
    assert not NoticeAnswer.objects.exists()
    listener.pause = 0
    soon()
    assert tell() == 1
    assert state() == "ended"
    first, second = listener.heard
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


def test_a_worker_that_dies_after_sending_sends_again_one_lease_later(partner, listener):
    asked()
    pk = RecipientNotice.objects.get().pk
    assert notifying.claim(RecipientNotice, pk) == 1
    assert tell() == 0
    RecipientNotice.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    asleep = RecipientNotice.objects.get()
    assert tell() == 1
    notifying._finish(asleep, 1, notifying.Answer(500))
    notifying._finish(asleep, 1, notifying.Answer(200, body=b'{"status": "refused"}'))
    after = RecipientNotice.objects.get()
    assert (after.last_status, after.attempt, after.gave_up_at) == (204, 2, None)


def test_after_three_days_it_is_given_up_named_and_can_be_tried_again(partner, listener):
    listener.answers = [(500, {})] * 10
    request = asked()
    for _ in range(10):
        soon()
        tell()
    assert state() == "given_up"
    soon()
    assert tell() == 0
    notice = RecipientNotice.objects.get()
    notifying.retry(notice=notice)
    assert tell() == 1
    with pytest.raises(notifying.NoticeNotGivenUpError):
        notifying.retry(notice=notice)
    assert outstanding(request) == ["recipient Partner Ltd: told, has not answered"]


def test_a_private_address_is_never_spoken_to(partner, settings):
    settings.COLOPHON_PRIVATE_WEBHOOKS = False
    asked()
    assert tell() == 0
    assert RecipientNotice.objects.get().last_code == "peer_forbidden"


def test_forgetting_waits_until_everybody_was_told(partner, listener):
    listener.answers = [(500, {})]
    request = asked()
    tell()
    by_hand(request)
    request.refresh_from_db()
    assert (request.forgotten_at, SubjectKey.objects.filter(subject=request.subject).count()) == (
        None, 1,
    )  # fmt: skip
    assert "the person's keys: not yet destroyed" in requests.standing_of(request).outstanding
    RightsRequest.objects.update(observed_at=timezone.now() + timedelta(hours=1))
    assert not requests.to_observe().exists(), "nothing to do before they were told"
    soon()
    assert tell() == 1
    assert list(requests.to_observe()) == [request]
    assert forgetting.forget(request.pk) == 1
    assert not SubjectKey.objects.filter(subject=request.subject).exists()
    assert requests.standing_of(request).state is RequestState.VERIFYING
    assert outstanding(request) == ["recipient Partner Ltd: told, has not answered"]


def test_a_second_request_of_the_same_person_keeps_the_key_until_it_was_told_as_well(
    partner, listener
):
    first = asked()
    assert tell() == 1
    second = opened("restriction")
    by_hand(first)
    assert SubjectKey.objects.filter(subject=first.subject).exists()
    assert tell() == 1
    assert forgetting.forget(first.pk) == 1
    assert second.notices.get().delivered_at is not None


def test_who_becomes_known_after_the_forgetting_is_told_of_models_only(partner, listener):
    train(facet())
    request = asked()
    tell()
    by_hand(request)
    received(listener, name="Late", datasets=("loans",), models=("model",))
    received(listener, name="Later", datasets=("loans",))
    look(request)
    assert list(request.notices.order_by("pk").values_list("recipient__name", "names_person")) == [
        ("Partner Ltd", True), ("Late", False),
    ]  # fmt: skip
    assert tell() == 1
    assert listener.heard[-1].said["data"]["datasets"] == []


def opened(kind: str, *, verified=True, **more) -> RightsRequest:
    return open_request(subject=ann(), kind=kind, key=uuid4(), verified=verified, **more)


def test_of_a_restriction_they_are_told_once_it_is_known_who_asked(partner, listener):
    request = opened("restriction", verified=False)
    assert not RecipientNotice.objects.exists()
    confirm_identity(request=request)
    assert tell() == 1
    told = listener.heard[0].said
    assert (told["type"], told["data"]["asked"]) == ("restriction.requested", "restriction")
    assert told["data"]["identifiers"] == [{"scheme": "email", "value": ANN}]


def test_of_a_correction_they_are_told_with_what_was_wrong_once_it_is_made(partner, listener):
    request = opened("rectification", details="I was born in 1980.")
    assert not RecipientNotice.objects.exists()
    correct(request=request, reason="corrected")
    assert tell() == 1
    told = listener.heard[0].said
    assert (told["type"], told["data"]["details"]) == (
        "rectification.requested", ["I was born in 1980."],
    )  # fmt: skip
    page = text_of(Client().get(f"/requests/{request.uuid}").content)
    assert "Partner Ltd They were told, and have not answered yet." in page


def test_while_a_plan_waits_for_approval_nobody_is_told(partner):
    draft = rules.draft_policy(
        key="careful", title="c", text="x", rules={"needs": [{"approvals": 1}]}
    )
    rules.publish_policy(policy=draft.policy)
    request = asked()
    assert not request.notices.exists()
    look(request)
    assert not request.notices.exists()
    plan = request.plans.get()
    approving.approve(request=request, digest=plan.digest, by="eva")
    assert request.notices.count() == 1


def test_of_data_that_merely_came_back_nobody_is_told_again(partner):
    request = open_automatic(subject=ann(), key=uuid4())
    planning.plan(request.pk)
    assert not request.notices.exists()


def test_of_a_copy_nobody_is_told(partner):
    opened("access")
    assert not RecipientNotice.objects.exists()


def test_a_person_in_several_rows_is_named_by_all_and_kept_until_that_is_told(partner, listener):
    other = subjects.register(identifiers=[("email", "ann@work.example.org")]).subject
    merging.merge(subject=ann(), other=other, key=uuid4(), reason="she says so")
    first = asked()
    second = opened("restriction")
    assert tell() == 2
    assert [each.said["data"]["identifiers"] for each in listener.heard] == 2 * [
        [{"scheme": "email", "value": ANN}, {"scheme": "email", "value": "ann@work.example.org"}]
    ]
    assert second.notices.count() == 1
    by_hand(first)
    assert not SubjectKey.objects.filter(subject__in=[first.subject, other]).exists()


def test_an_operator_settles_what_cannot_be_told_and_it_is_forgotten_then(partner, listener):
    listener.answers = [(500, {})]
    request = asked()
    tell()
    by_hand(request)
    notice = RecipientNotice.objects.get()
    with pytest.raises(notifying.AnswerUnusableError):
        notifying.settle(notice=notice, answer="done", reason="x", by=client("eva"))
    for _ in range(2):
        notifying.settle(notice=notice, answer="impossible", reason="dissolved", by=client("eva"))
    with pytest.raises(notifying.NoticeEndedError):
        notifying.settle(notice=notice, answer="disproportionate", reason="x", by=client("eva"))
    assert NoticeAnswer.objects.count() == 1
    soon()
    assert tell() == 0
    assert len(listener.heard) == 1
    assert forgetting.forget(request.pk) == 1
    assert outstanding(request) == []


def test_a_person_who_is_not_known_by_their_kind_of_identifier_cannot_be_named(partner, listener):
    Recipient.objects.update(scheme="passport")
    request = asked()
    assert tell() == 0
    assert listener.heard == []
    assert outstanding(request) == ["recipient Partner Ltd: could not be told (identifier_missing)"]
    by_hand(request)
    request.refresh_from_db()
    assert request.forgotten_at is None
    subjects.register(identifiers=[("email", ANN), ("passport", "P-1")])
    notifying.retry(notice=RecipientNotice.objects.get())
    assert tell() == 1
    assert listener.heard[0].said["data"]["identifiers"] == [{"scheme": "passport", "value": "P-1"}]


def test_nothing_is_sent_to_who_has_ended(partner, listener):
    recipients.end(recipient=partner.recipient)
    request = asked()
    assert tell() == 0
    assert listener.heard == []
    assert outstanding(request) == ["recipient Partner Ltd: could not be told (recipient_ended)"]


def test_a_request_is_complete_once_the_last_has_answered(partner, listener):
    train(facet())
    request = asked()
    approve(take(request, "exempt_legal"))
    tell()
    by_hand(request)
    assert requests.standing_of(request).state is RequestState.VERIFYING
    notifying.answered(notice=RecipientNotice.objects.get(), said={"status": "accepted"})
    assert outstanding(request) == ["recipient Partner Ltd: accepted, not done yet"]
    notifying.answered(notice=RecipientNotice.objects.get(), said={"status": "done"})
    RightsRequest.objects.update(observed_at=timezone.now() - timedelta(seconds=1))
    assert list(requests.to_observe()) == [request]
    look(request)
    request.refresh_from_db()
    standing = requests.standing_of(request)
    assert standing.state is RequestState.COMPLETED
    assert request.completion_recorded_at is not None
    assert standing.completed_at == NoticeAnswer.objects.get(answer="done").at


def test_an_acceptance_that_comes_late_changes_nothing(partner, listener):
    asked()
    tell()
    notice = RecipientNotice.objects.get()
    for status in ("done", "accepted", "done"):
        notifying.answered(notice=notice, said={"status": status})
    assert list(NoticeAnswer.objects.values_list("answer", flat=True)) == ["done"]
    with pytest.raises(notifying.NoticeEndedError):
        notifying.answered(notice=notice, said={"status": "refused", "reason": "own_obligation"})


def answers(body: bytes, secret: str, *, url="", at=0.0, sign=None):
    """Answer as a recipient does, with nothing of the service's."""
    said, moment = str(uuid4()), str(int(time.time() + at))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    content = b".".join([said.encode(), moment.encode(), body if sign is None else sign])
    signed = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    url = url or notifying.answer_address(RecipientNotice.objects.get().uuid)
    return Client().post(
        url.removeprefix("http://testserver"), body, content_type="application/json",
        headers={"webhook-id": said, "webhook-timestamp": moment,
                 "webhook-signature": f"v1,{signed}"},
    )  # fmt: skip


def test_a_recipient_answers_later_signed_at_the_address_it_was_told(partner, listener):
    asked()
    tell()
    url = listener.heard[0].said["data"]["answer_to"]
    assert answers(b'{"status": "accepted"}', partner.secret, url=url).status_code == 204
    assert state() == "accepted"
    for _ in range(2):
        assert answers(b'{"status": "done"}', partner.secret, url=url).status_code == 204
    assert state() == "ended"
    other = answers(b'{"status": "refused", "reason": "own_obligation"}', partner.secret, url=url)
    assert (other.status_code, other.json()["code"]) == (409, "notice_ended")


def test_a_new_secret_signs_and_is_believed_beside_the_old_one_for_a_day(partner, listener):
    renewed = recipients.renew_secret(recipient=partner.recipient)
    asked()
    tell()
    assert listener.heard[0].is_signed_with(partner.secret)
    assert listener.heard[0].is_signed_with(renewed.secret)
    assert answers(b'{"status": "accepted"}', partner.secret).status_code == 204
    partner.recipient.secrets.filter(ends_at__isnull=False).update(ends_at=Now())
    assert answers(b'{"status": "done"}', partner.secret).status_code == 401
    assert answers(b'{"status": "done"}', renewed.secret).status_code == 204


def test_an_answer_that_is_not_by_the_recipient_changes_nothing(partner, listener):
    other = received(listener, name="Other", datasets=())
    asked()
    tell()
    good, notice = b'{"status": "done"}', RecipientNotice.objects.get()
    right = notifying.answer_address(notice.uuid)
    wrong = [
        answers(good, other.secret), answers(good, partner.secret, at=-400),
        answers(good, partner.secret, sign=b"{}"), answers(good, partner.secret, url=right[:-1]),
        answers(good, partner.secret, url=right.replace(str(notice.uuid), str(uuid4()))),
        answers(good, partner.secret, url=f"{right}é"),
    ]  # fmt: skip
    assert {(each.status_code, each.json()["code"]) for each in wrong} == {
        (401, "signature_invalid")
    }
    assert len({each.json()["detail"] for each in wrong if "seconds" not in str(each.json())}) == 1
    assert not NoticeAnswer.objects.exists()


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [(b"{", 400, "malformed_json"), (b"[]", 422, "answer_unusable"),
     (b'{"status": null}', 422, "answer_unusable"), (b"", 400, "malformed_json"),
     (b'{"status": "impossible"}', 422, "answer_unusable"),
     (b" " * 70_000, 413, "body_too_large")],
)  # fmt: skip
def test_an_answer_that_cannot_be_read_is_refused_with_its_code(
    partner, listener, body, status, code
):
    asked()
    answer = answers(body, partner.secret)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert Client().get(notifying.answer_address(uuid4())).status_code == 405


def everything() -> str:
    """Return every table as text."""
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT string_agg(t::text, chr(10)) FROM "{table}" t')
            found.append(cursor.fetchone()[0] or "")
    return "\n".join(found).casefold()


def test_no_identifier_is_kept_before_or_after_nor_said_in_any_log(partner, listener, caplog):
    caplog.set_level(logging.DEBUG)
    received(listener, name="By card", scheme="card")
    said = json.dumps({"status": "refused", "reason": ANN}).encode()
    listener.answers = [(500, {}), (200, {}, said)]
    request = asked()
    tell()
    canaries = [ANN, CARD.casefold(), ANN.encode().hex(), CARD.encode().hex()]
    assert not [each for each in canaries if each in everything()]
    soon()
    tell()
    by_hand(request)
    request.refresh_from_db()
    assert request.forgotten_at is not None
    assert not request.subject.identifiers.exists()
    assert {each.said["data"]["identifiers"][0]["value"] for each in listener.heard} == {ANN, CARD}
    assert not [each for each in canaries if each in everything()]
    assert not [each for each in canaries if each in caplog.text.casefold()]


class Desk:
    """An operator with a key."""

    def __init__(self) -> None:
        scopes = ("requests:read", "requests:write", "registry:read", "registry:write")
        self.client = Client(headers={"Authorization": f"Bearer {issued_key(*scopes)}"})

    def post(self, path: str, body=None):
        return self.client.post(f"/api/v1/recipients{path}", body or {}, "application/json")

    def get(self, path: str = "", **asked):
        return self.client.get(f"/api/v1/recipients{path}", asked).json()


def test_operators_register_list_and_settle_over_http(partner, listener):
    train(facet())
    desk = Desk()
    said = {"name": "Lab", "url": listener.url, "scheme": "email", "models": [
        {"namespace": "test", "name": "model"}]}  # fmt: skip
    made = desk.post("", said)
    assert (made.status_code, made.json()["secret"][:6]) == (201, "whsec_")
    again = desk.post("", said | {"datasets": [{"namespace": "test", "name": "loans"}]})
    assert (again.status_code, again.json()["secret"]) == (200, "")
    lab = again.json()["uuid"]
    assert len(again.json()["datasets"] + again.json()["models"]) == 2
    assert len(desk.get()["results"]) == 2
    assert listener.url not in json.dumps(desk.get())
    assert desk.post(f"/{lab}/secret").json()["secret"].startswith("whsec_")
    request = asked()
    assert len(desk.get("/notices", request=request.uuid)["results"]) == 2
    [mine] = [e for e in desk.get("/notices")["results"] if e["name"] == "Lab"]
    assert (mine["state"], mine["answer"], mine["names_person"]) == ("waiting", None, True)
    refused = desk.post(f"/notices/{mine['uuid']}/retry")
    assert (refused.status_code, refused.json()["code"]) == (409, "notice_not_given_up")
    why = {"answer": "disproportionate", "reason": "ten million letters"}
    settled = desk.post(f"/notices/{mine['uuid']}/settlement", why)
    assert (settled.json()["state"], settled.json()["reason"]) == ("ended", "ten million letters")
    assert [e["name"] for e in desk.get("/notices")["results"]] == ["Partner Ltd"]
    ended = desk.client.delete(f"/api/v1/recipients/{lab}").json()
    assert ended["ended_at"] is not None
    assert desk.post("", said).json()["code"] == "recipient_ended"


@pytest.mark.parametrize(
    ("wrong", "status", "code"),
    [({"url": "http://example.org/"}, 422, "recipient_address_unusable"),
     ({"url": "https://a b/"}, 422, "recipient_address_unusable"),
     ({"scheme": "No Scheme"}, 400, "identifier_malformed"),
     ({"models": [{"namespace": "test", "name": "loans"}]}, 400, "invalid"),
     ({"datasets": [{"namespace": "test", "name": "nothing"}]}, 400, "invalid")],
)  # fmt: skip
def test_a_recipient_that_cannot_be_told_is_not_registered(partner, settings, wrong, status, code):
    settings.COLOPHON_PRIVATE_WEBHOOKS = False
    said = {"name": "New", "url": "https://example.org/", "scheme": "email"} | wrong
    answer = Desk().post("", said)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert Recipient.objects.count() == 1


def impossible(notice: RecipientNotice) -> dict:
    recipient, loans = notice.recipient, Dataset.objects.get(name="loans")
    model = Model.objects.get()
    eva, late = client("eva"), timezone.now()

    def twice(make):
        return lambda: [make() for _ in range(2)]

    def answer(answer, **more):
        return NoticeAnswer.objects.create(notice=notice, answer=answer, **more)

    disclosures = recipient.disclosures
    return {
        "consent_recipient_scheme_is_a_name": lambda: Recipient.objects.update(scheme="A b"),
        "consent_recipient_has_a_name": lambda: Recipient.objects.update(name=""),
        "consent_recipient_one_secret": lambda: recipient.secrets.create(sealed=b"x"),
        "consent_disclosure_of_dataset_once": lambda: disclosures.create(dataset=loans),
        "consent_disclosure_of_model_once": twice(lambda: disclosures.create(model=model)),
        "consent_disclosure_of_one_thing": disclosures.create,
        "consent_notice_once": lambda: RecipientNotice.objects.create(
            request=notice.request, recipient=recipient, names_person=True
        ),
        "consent_notice_ends_one_way": lambda: RecipientNotice.objects.update(
            delivered_at=late, gave_up_at=late
        ),
        "consent_notice_of_known": lambda: RecipientNotice.objects.update(told_of="x"),
        "consent_notice_lapses_as_it_stands": lambda: RecipientNotice.objects.update(
            lapsed_at=late, lapse="no_answer"
        ),
        "consent_answer_once": twice(lambda: answer("accepted")),
        "consent_answer_ends_once": lambda: [
            answer("done"), answer("impossible", by=eva, reason="x")
        ],
        "consent_answer_by_whom_it_can_be": lambda: answer("impossible", reason="x"),
    }  # fmt: skip


def test_impossible_rows_are_refused(partner):
    train(facet())
    asked()
    notice = RecipientNotice.objects.get()
    models = (Recipient, RecipientSecret, Disclosure, RecipientNotice, NoticeAnswer)
    named = {each.name for model in models for each in model._meta.constraints}
    assert named == set(impossible(notice))
    for constraint, change in impossible(notice).items():
        with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
            change()
