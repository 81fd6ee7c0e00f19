"""Others are told what happened here: signed, at least once, to checked addresses, of nobody."""

import threading
from datetime import timedelta

import httpx
import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now
from django.utils import timezone

from governance import outbound
from governance.models import ApiClient, WebhookDelivery, WebhookKind, WebhookMessage
from governance.selectors import webhooks as selectors
from governance.services import delivering, rules, webhooks
from tests.factories.listener import listening

POLICY = WebhookKind.POLICY_PUBLISHED
WITHDRAWN = WebhookKind.PERMISSION_CHANGED


@pytest.fixture(autouse=True)
def private(settings):
    settings.COLOPHON_PRIVATE_WEBHOOKS = True


@pytest.fixture
def listener():
    with listening() as made:
        yield made


@pytest.fixture
def registered(db, listener):
    client = ApiClient.objects.create(name="pipeline")
    return webhooks.register(client=client, url=listener.url, kinds=[POLICY, WITHDRAWN])


@transaction.atomic
def announce(kind=POLICY, about="", **facts):
    webhooks.announce(kind=kind, facts=facts, about=about)


def deliver_what_is_due() -> int:
    due = list(selectors.to_deliver().values_list("pk", flat=True))
    return sum(delivering.deliver(delivery_id=pk) for pk in due)


def soon() -> None:
    """Let the waiting be over."""
    WebhookDelivery.objects.filter(delivered_at=None).update(retry_at=Now())


def test_a_published_policy_is_told_signed(registered, listener):
    draft = rules.draft_policy(key="loans", title="Loans", text="We keep them for two weeks.")
    rules.publish_policy(policy=draft.policy)
    assert deliver_what_is_due() == 1
    [heard] = listener.heard
    message = WebhookMessage.objects.get()
    assert heard.path == "/hooks?tenant=7"
    assert heard.headers["webhook-id"] == str(message.uuid)
    assert heard.is_signed_with(registered.secret)
    assert heard.said["type"] == "policy.published"
    assert heard.said["data"] == {
        "policy": "loans", "number": 1, "version": str(draft.uuid),
        "content_sha256": heard.said["data"]["content_sha256"],
    }  # fmt: skip
    delivery = WebhookDelivery.objects.get()
    assert (delivery.attempt, delivery.last_status, delivery.gave_up_at) == (1, 204, None)
    assert delivery.delivered_at is not None
    assert deliver_what_is_due() == 0


def test_what_nobody_wants_is_not_kept(registered):
    announce(kind=WebhookKind.VIOLATION_OPENED)
    assert WebhookMessage.objects.count() == 0


def test_it_is_announced_with_what_happened_or_not_at_all(registered):
    def fails():
        announce()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        transaction.atomic(fails)()
    assert WebhookMessage.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_announcing_outside_a_transaction_is_a_mistake():
    with pytest.raises(RuntimeError):
        webhooks.announce(kind=POLICY, facts={})


def test_a_refusal_is_tried_again_under_the_same_id(registered, listener):
    listener.answers = [(500, {})]
    announce()
    assert deliver_what_is_due() == 0
    failed = WebhookDelivery.objects.get()
    assert (failed.last_status, failed.delivered_at, failed.attempt) == (500, None, 1)
    assert timedelta(seconds=3) < failed.retry_at - timezone.now() < timedelta(seconds=7)
    assert deliver_what_is_due() == 0, "not before its time"
    soon()
    assert deliver_what_is_due() == 1
    assert len({each.headers["webhook-id"] for each in listener.heard}) == 1


def test_the_waiting_that_a_server_asks_for_is_heeded(registered, listener):
    listener.answers = [(503, {"Retry-After": "600"})]
    announce()
    deliver_what_is_due()
    assert WebhookDelivery.objects.get().retry_at > timezone.now() + timedelta(seconds=590)


def test_after_three_days_it_is_given_up_and_can_be_tried_again(registered, listener):
    listener.answers = [(500, {})] * 10
    announce()
    for _ in range(10):
        soon()
        deliver_what_is_due()
    given_up = WebhookDelivery.objects.get()
    assert (given_up.attempt, given_up.delivered_at) == (10, None)
    assert given_up.gave_up_at is not None
    soon()
    assert deliver_what_is_due() == 0
    webhooks.retry(delivery=given_up)
    assert deliver_what_is_due() == 1
    with pytest.raises(webhooks.DeliveryNotEndedError):
        webhooks.retry(delivery=given_up)


def test_who_is_gone_is_told_nothing_more(registered, listener):
    listener.answers = [(410, {})]
    announce()
    announce()
    deliver_what_is_due()
    endpoint = selectors.endpoint(client=registered.endpoint.client, uuid=registered.endpoint.uuid)
    assert endpoint.disabled_code == "gone"
    announce()
    assert len(listener.heard) == 1
    assert not WebhookDelivery.objects.filter(gave_up_at=None).exists()
    with pytest.raises(webhooks.WebhookDisabledError):
        webhooks.test(endpoint=endpoint)


def test_a_redirect_is_not_followed(registered, listener):
    listener.answers = [(302, {"Location": listener.url})]
    announce()
    assert deliver_what_is_due() == 0
    assert len(listener.heard) == 1
    assert WebhookDelivery.objects.get().last_status == 302


def test_a_server_that_does_not_answer_in_time_is_tried_again(registered, listener, monkeypatch):
    monkeypatch.setattr(delivering, "TIMEOUT", httpx.Timeout(0.2))
    listener.pause = 0.6
    announce()
    assert deliver_what_is_due() == 0
    assert WebhookDelivery.objects.get().last_code == "timed_out"


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("https://127.0.0.1/", "peer_forbidden"),
        ("https://169.254.169.254/latest", "peer_forbidden"),
        ("https://[::ffff:10.0.0.1]/", "peer_forbidden"),
        ("https://nowhere.invalid/", "peer_unresolved"),
    ],
)
def test_a_private_address_is_never_spoken_to(db, settings, url, code):
    settings.COLOPHON_PRIVATE_WEBHOOKS = False
    client = ApiClient.objects.create(name="pipeline")
    webhooks.register(client=client, url=url, kinds=[POLICY])
    announce()
    assert deliver_what_is_due() == 0
    assert WebhookDelivery.objects.get().last_code == code


@pytest.mark.parametrize(
    "url",
    ["http://example.org/", "ftp://example.org", "https://", "https:///x", "https://a b/", "x",
     "https://example.org:99999/", "https://example.org/#private", "https://exämple.org/"],
)  # fmt: skip
def test_an_address_that_cannot_be_told_anything_is_refused(db, settings, url):
    settings.COLOPHON_PRIVATE_WEBHOOKS = False
    client = ApiClient.objects.create(name="pipeline")
    with pytest.raises(webhooks.WebhookAddressUnusableError):
        webhooks.register(client=client, url=url, kinds=[POLICY])


def test_a_new_secret_signs_beside_the_old_one_for_a_day(registered, listener):
    renewed = webhooks.renew_secret(endpoint=registered.endpoint)
    announce()
    deliver_what_is_due()
    assert listener.heard[0].is_signed_with(registered.secret)
    assert listener.heard[0].is_signed_with(renewed.secret)
    registered.endpoint.secrets.filter(ends_at__isnull=False).update(ends_at=Now())
    announce()
    deliver_what_is_due()
    assert not listener.heard[1].is_signed_with(registered.secret)
    assert listener.heard[1].is_signed_with(renewed.secret)


def test_a_worker_that_dies_after_sending_sends_again_one_lease_later(registered, listener):
    announce()
    pk = WebhookDelivery.objects.get().pk
    token = delivering.claim(WebhookDelivery, pk)
    delivering._sent(WebhookDelivery.objects.get(pk=pk))
    assert delivering.claim(WebhookDelivery, pk) is None
    WebhookDelivery.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert delivering.deliver(delivery_id=pk) is True
    asleep = WebhookDelivery.objects.get(pk=pk)
    delivering._finish(asleep, token, outbound.Answer(500))
    after = WebhookDelivery.objects.get(pk=pk)
    assert (after.last_status, after.attempt) == (204, 2)
    first, second = listener.heard
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


def test_withdrawals_that_come_close_together_are_told_as_one(registered, listener):
    for _ in range(3):
        announce(kind=WITHDRAWN, about="study", purpose="study")
    announce(kind=WITHDRAWN, about="planning", purpose="planning")
    assert deliver_what_is_due() == 0, "they are gathered for a while"
    soon()
    assert deliver_what_is_due() == 2
    assert [each.said["data"] for each in listener.heard] == [
        {"purpose": "study"}, {"purpose": "planning"},
    ]  # fmt: skip
    announce(kind=WITHDRAWN, about="study", purpose="study")
    soon()
    assert deliver_what_is_due() == 1


@pytest.mark.django_db(transaction=True)
def test_a_withdrawal_behind_a_message_that_is_being_sent_gets_one_of_its_own(listener):
    client = ApiClient.objects.create(name="pipeline")
    webhooks.register(client=client, url=listener.url, kinds=[WITHDRAWN])
    announce(kind=WITHDRAWN, about="study", purpose="study")
    soon()
    claimed, announced = threading.Event(), threading.Event()

    def claims() -> None:
        try:
            with transaction.atomic():
                delivering.claim(WebhookDelivery, WebhookDelivery.objects.get().pk)
                claimed.set()
                announced.wait(0.5)
        finally:
            connection.close()

    worker = threading.Thread(target=claims)
    worker.start()
    claimed.wait(5)
    announce(kind=WITHDRAWN, about="study", purpose="study")
    announced.set()
    worker.join()
    assert WebhookMessage.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_message_waits_for_what_it_stands_for(listener):
    client = ApiClient.objects.create(name="pipeline")
    webhooks.register(client=client, url=listener.url, kinds=[WITHDRAWN])
    announce(kind=WITHDRAWN, about="study", purpose="study")
    soon()
    pk = WebhookDelivery.objects.get().pk
    held, order = threading.Event(), []

    def withdraws() -> None:
        try:
            with transaction.atomic():
                webhooks.announce(kind=WITHDRAWN, facts={"purpose": "study"}, about="study")
                held.set()
                threading.Event().wait(0.3)
                order.append("in force")
        finally:
            connection.close()

    person = threading.Thread(target=withdraws)
    person.start()
    held.wait(5)
    assert delivering.deliver(delivery_id=pk) is True
    order.append("told")
    person.join()
    assert order == ["in force", "told"]
    assert WebhookMessage.objects.count() == 1


def test_impossible_rows_are_refused(registered):
    announce()
    endpoint, delivery = registered.endpoint, WebhookDelivery.objects.get()
    message = WebhookMessage.objects.get()
    now = timezone.now()
    impossible = {
        "governance_webhook_disabled_with_code": lambda: type(endpoint).objects.update(
            disabled_code="x"
        ),
        "governance_webhook_wants_a_kind": lambda: type(endpoint).objects.update(kinds=[]),
        "governance_webhook_one_secret": lambda: endpoint.secrets.create(sealed=b"x"),
        "governance_webhookmessage_kind_known": lambda: WebhookMessage.objects.create(
            kind="x", payload={}
        ),
        "governance_webhookdelivery_once": lambda: WebhookDelivery.objects.create(
            message=message, endpoint=endpoint
        ),
        "governance_webhookdelivery_ends_one_way": lambda: WebhookDelivery.objects.filter(
            pk=delivery.pk
        ).update(delivered_at=now, gave_up_at=now),
        "what was told is never changed": lambda: WebhookMessage.objects.update(payload={"a": 1}),
    }
    for constraint, change in impossible.items():
        with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
            change()
