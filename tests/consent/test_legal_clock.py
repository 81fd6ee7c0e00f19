"""The clock of a request: what moves its due date, and who is told when it runs out."""

import logging
from datetime import timedelta
from smtplib import SMTPRecipientsRefused, SMTPServerDisconnected
from unittest.mock import patch
from zoneinfo import ZoneInfo

import pytest
from django.core import mail
from django.core.mail import EmailMessage
from django.utils import timezone

from consent import tasks
from consent.deadlines import Law
from consent.models import RequestLetter, RequestPause, RightsRequest
from consent.selectors import requests
from consent.selectors.letters import to_send
from consent.selectors.request_lists import to_remind
from consent.services import clock, letters, planning, refusing
from consent.services import requests as services
from consent.services.subjects import SubjectUnregisteredError
from consent.services.telling import RequestEndedError
from deploy.sweeper import Sweeper
from governance.models import WebhookKind, WebhookMessage
from governance.services import webhooks
from tests.factories.consent import SubjectFactory, registered
from tests.factories.governance import ApiClientFactory
from tests.factories.portal import text_of
from tests.factories.rights import ask, mailed, told

pytestmark = pytest.mark.django_db

ANN = "ann.reader@example.org"


def moved(request: RightsRequest, days: float) -> RightsRequest:
    """Move everything about a request into the past, as if so many days had gone by."""
    back = timedelta(days=days)
    RightsRequest.objects.filter(pk=request.pk).update(received_at=request.received_at - back)
    for each in RequestPause.objects.filter(request=request):
        until = each.until - back if each.until else None
        RequestPause.objects.filter(pk=each.pk).update(since=each.since - back, until=until)
    request.refresh_from_db()
    RightsRequest.objects.filter(pk=request.pk).update(due_at=requests.due_at(request))
    request.refresh_from_db()
    return request


def left(days: float, **said) -> RightsRequest:
    """Return a request that is due in so many days."""
    request = ask("access", **said)
    due_at = timezone.now() + timedelta(days=days)
    RightsRequest.objects.filter(pk=request.pk).update(
        due_at=due_at, received_at=due_at - timedelta(days=30)
    )
    request.refresh_from_db()
    return request


def reminded(request: RightsRequest) -> list[str]:
    while clock.remind(request_id=request.pk):
        pass
    return list(request.letters.order_by("pk").values_list("kind", flat=True))


@pytest.mark.parametrize(("law", "days"), [("gdpr", (28, 32)), ("cpra", (45, 46))])
def test_the_law_of_a_request_is_the_services_own_or_what_is_said(settings, law, days):
    least, most = days
    said = ask("access", law=Law(law))
    settings.COLOPHON_LAW = law
    own = ask("access")
    assert (said.law, own.law) == (law, law)
    for each in (said, own):
        assert least - 1 < (each.due_at - each.received_at) / timedelta(days=1) < most
    assert own.due_at == requests.due_at(own)
    confirm = requests.standing_of(own).confirm_by
    assert (confirm is None) == (law == "gdpr")


@pytest.mark.parametrize("place", ["Pacific/Auckland", "America/Los_Angeles"])
def test_the_days_are_those_of_the_place_that_is_set_and_told_as_such(settings, client, place):
    settings.COLOPHON_LEGAL_ZONE = place
    request = ask("access")
    due = request.due_at.astimezone(ZoneInfo(place))
    assert due.time().isoformat() == "23:59:59.999999"
    assert f"due by {due:%-d %B %Y}." in text_of(client.get(f"/requests/{request.uuid}").content)


def test_an_extension_is_told_with_its_reason_before_the_first_month_ends():
    request = ask("access", registered(("email", ANN)))
    first = request.due_at
    clock.extend(request=request, code="complexity", text="Your loans are in ten places, Ann")
    request.refresh_from_db()
    assert request.due_at == requests.due_at(request) > first + timedelta(days=58)
    assert told(request)[1:] == ["request.extended"]
    assert mailed(request) == [True]
    [sent] = mail.outbox
    assert sent.to == [ANN]
    for words in (
        "Your request is complex.", "Your loans are in ten places, Ann",
        f"until {request.due_at:%d %B %Y}", "complain to a data protection authority",
        f"/requests/{request.uuid}",
    ):  # fmt: skip
        assert words in sent.body
    assert b"ten places" not in bytes(RequestLetter.objects.get().text_sealed)
    with pytest.raises(clock.ExtensionImpossibleError):
        clock.extend(request=request, code="number_of_requests")
    assert RequestLetter.objects.count() == 1


def test_once_the_time_is_up_nobody_takes_longer():
    request = left(-1)
    with pytest.raises(clock.ExtensionImpossibleError):
        clock.extend(request=request, code="complexity")
    request.refresh_from_db()
    assert (request.extended_at, RequestLetter.objects.count()) == (None, 0)


def test_while_the_clock_stands_still_the_time_is_not_up():
    request = ask("access", verified=False)
    clock.pause(request=request)
    moved(request, 40)
    clock.extend(request=request, code="complexity")
    request.refresh_from_db()
    assert request.extended_at is not None


def test_what_has_ended_is_not_extended():
    request = ask("access")
    services.answer(request=request)
    with pytest.raises(RequestEndedError):
        clock.extend(request=request, code="complexity")


def test_an_explanation_that_cannot_be_sealed_is_not_written():
    request = ask("erasure", SubjectFactory())
    with pytest.raises(SubjectUnregisteredError):
        clock.extend(request=request, code="complexity", text="in clear")
    request.refresh_from_db()
    assert (request.extended_at, RequestLetter.objects.count()) == (None, 0)
    clock.extend(request=request, code="complexity")
    assert mailed(request) == [False]
    assert RequestLetter.objects.get().outcome == "no_address"


def test_the_clock_stands_still_while_it_is_checked_who_asks():
    request = ask("access", verified=False)
    clock.pause(request=request)
    clock.pause(request=request)
    assert RequestPause.objects.count() == 1
    moved(request, 40)
    assert requests.standing_of(request).overdue is False
    assert not to_remind().exists()
    services.confirm_identity(request=request)
    request.refresh_from_db()
    paused = RequestPause.objects.get()
    assert (paused.until.date() - paused.since.date()).days == 40
    assert request.due_at == requests.due_at(request)
    assert timedelta(days=26) < request.due_at - timezone.now() < timedelta(days=32)
    assert told(request)[1:] == ["request.paused", "request.resumed", "request.verified"]


def test_a_clock_that_runs_on_counts_what_it_stood():
    request = ask("access", verified=False)
    first = request.due_at
    with pytest.raises(clock.ClockNotPausedError):
        clock.resume(request=request)
    clock.pause(request=request)
    RequestPause.objects.update(since=timezone.now() - timedelta(days=3))
    clock.resume(request=request)
    request.refresh_from_db()
    assert request.due_at == first + timedelta(days=3)
    clock.pause(request=request)
    clock.resume(request=request)
    request.refresh_from_db()
    assert request.due_at == first + timedelta(days=3)


@pytest.mark.parametrize("said", [{"law": Law.CPRA, "verified": False}, {"verified": True}])
def test_a_clock_stands_still_only_where_the_law_says_so_and_nobody_is_known(said):
    request = ask("access", **said)
    with pytest.raises(clock.ClockCannotPauseError):
        clock.pause(request=request)
    assert not RequestPause.objects.exists()


def test_a_refusal_ends_the_pause():
    request = ask("access", verified=False)
    clock.pause(request=request)
    refusing.refuse(request=request, ground="art_12_2_not_identifiable")
    assert RequestPause.objects.get().until is not None


@pytest.mark.parametrize(
    ("days", "reminders"),
    [
        (7.1, []),
        (6.9, ["week_left"]),
        (2.1, ["week_left"]),
        (1.9, ["two_days_left"]),
        (-0.1, ["overdue"]),
        (-90, ["overdue"]),
    ],
)
def test_the_most_urgent_reminder_is_given_once(days, reminders):
    request = left(days)
    assert reminded(request) == reminders
    assert reminded(request) == reminders
    assert told(request)[1:] == ["request.reminded"] * len(reminders)
    assert not to_remind().exists()


def test_each_reminder_is_given_once_as_the_time_runs_out():
    request = left(6)
    for days, given in ((6, 1), (3, 1), (1, 2), (0.5, 2), (-1, 3), (-5, 3)):
        due_at = timezone.now() + timedelta(days=days)
        RequestLetter.objects.update(due_at=due_at)
        RightsRequest.objects.update(due_at=due_at, received_at=due_at - timedelta(days=30))
        assert reminded(request) == ["week_left", "two_days_left", "overdue"][:given]


def test_a_date_that_was_moved_is_reminded_of_anew():
    request = left(1)
    reminded(request)
    clock.extend(request=request, code="complexity")
    request.refresh_from_db()
    RightsRequest.objects.update(due_at=timezone.now() + timedelta(days=1))
    assert reminded(request) == ["two_days_left", "extended", "two_days_left"]


@pytest.mark.parametrize("how", ["answered", "refused", "joined", "paused"])
def test_nobody_is_reminded_of_what_waits_for_nobody(how):
    request = left(1, verified=how != "paused")
    if how == "answered":
        services.answer(request=request)
    elif how == "refused":
        refusing.refuse(request=request, ground="art_12_5_excessive")
    elif how == "paused":
        clock.pause(request=request)
    else:
        reminded(request)
        request = ask("access", request.subject)
    assert not to_remind().exists()
    assert clock.remind(request_id=request.pk) is False


def test_an_erasure_under_way_is_reminded_of_until_it_is_complete():
    request = ask("erasure")
    planning.plan(request.pk)
    RightsRequest.objects.update(due_at=timezone.now() + timedelta(hours=1))
    assert reminded(request) == ["two_days_left"]
    RightsRequest.objects.update(
        forgotten_at=timezone.now(), due_at=timezone.now() + timedelta(minutes=1)
    )
    assert requests.standing_of(RightsRequest.objects.get()).state.value == "completed"
    assert reminded(request) == ["two_days_left"]  # complete, though the ledger does not know yet


def test_operators_are_mailed_where_an_address_is_set_and_webhooks_name_the_request_only(settings):
    settings.COLOPHON_OPERATOR_MAIL = ["privacy@example.org"]
    client, kinds = ApiClientFactory(), [WebhookKind.REQUEST_DUE]
    webhooks.register(client=client, url="https://example.org/", kinds=kinds)
    request = left(-1, subject=registered(("email", ANN)))
    reminded(request)
    assert WebhookMessage.objects.get().payload == {"request": str(request.uuid)}
    assert mailed(request) == [True]
    [sent] = mail.outbox
    assert sent.to == ["privacy@example.org"]
    assert f"/requests/{request.uuid}" in sent.body
    assert "the request is late" in sent.subject
    assert ANN not in sent.body
    assert str(request.subject.uuid) not in sent.body


def test_without_an_operators_address_nothing_is_mailed():
    request = left(-1)
    reminded(request)
    assert mailed(request) == [False]
    assert (RequestLetter.objects.get().outcome, mail.outbox) == ("no_address", [])


def letter() -> RequestLetter:
    request = ask("access", registered(("email", ANN)))
    clock.extend(request=request, code="complexity", text="a private word")
    return RequestLetter.objects.get()


def test_a_letter_is_sent_once_however_often_the_message_comes():
    waiting = letter()
    assert [letters.send(letter_id=waiting.pk) for _ in range(3)] == [True, False, False]
    assert len(mail.outbox) == 1
    waiting.refresh_from_db()
    assert (waiting.outcome, waiting.attempt) == ("sent", 1)
    assert not to_send().exists()


def test_a_letter_that_a_worker_died_over_is_sent_again_later():
    waiting = letter()
    assert letters._claimed(waiting.pk)
    assert not to_send().exists()
    assert letters.send(letter_id=waiting.pk) is False
    RequestLetter.objects.update(retry_at=timezone.now() - timedelta(seconds=1))
    assert list(to_send()) == [waiting]
    assert letters.send(letter_id=waiting.pk) is True


def test_the_sweeper_finds_what_to_remind_of_and_what_to_mail(monkeypatch):
    told: list[tuple[str, tuple[int, ...]]] = []
    monkeypatch.setattr(Sweeper, "_send", lambda _, task, ids: told.append((task.name, ids)))
    waiting, late = letter(), left(-1)
    Sweeper().sweep()
    assert ("consent.remind", (late.pk,)) in told
    assert ("consent.send_letter", (waiting.pk,)) in told
    assert tasks.remind(late.pk)
    assert tasks.send_letter(waiting.pk)
    told.clear()
    Sweeper().sweep()
    assert [each for each in told if each[0] == "consent.remind"] == []
    reminder = late.letters.get()
    assert [each for each in told if each[0] == "consent.send_letter"] == [
        ("consent.send_letter", (reminder.pk,))
    ]


def failing(error: Exception):
    return patch.object(EmailMessage, "send", side_effect=error)


def test_a_mail_server_that_is_away_is_tried_again_until_it_is_given_up(caplog):
    caplog.set_level(logging.DEBUG)
    waiting = letter()
    with failing(SMTPServerDisconnected(f"lost {ANN}")):
        for attempt in range(1, len(letters.SCHEDULE) + 1):
            RequestLetter.objects.update(retry_at=timezone.now() - timedelta(seconds=1))
            assert letters.send(letter_id=waiting.pk) is False
            waiting.refresh_from_db()
            assert waiting.attempt == attempt
            assert waiting.retry_at > timezone.now() + timedelta(seconds=50)
    assert waiting.outcome == "given_up"
    assert "a letter was not sent: SMTPServerDisconnected" in caplog.text
    assert ANN not in caplog.text
    assert "private word" not in caplog.text


def test_an_address_that_is_refused_is_given_up_at_once(caplog):
    caplog.set_level(logging.DEBUG)
    waiting = letter()
    with failing(SMTPRecipientsRefused({ANN: (550, b"no")})):
        assert letters.send(letter_id=waiting.pk) is False
    waiting.refresh_from_db()
    assert waiting.outcome == "given_up"
    assert ANN not in caplog.text
