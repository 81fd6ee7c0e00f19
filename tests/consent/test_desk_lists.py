"""Every number at the desk leads to a list of what waits, and that to what can be done about it."""

import re
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone

from consent.models import MembershipScan, Reappearance, Violation
from consent.selectors import queues
from consent.services import assessing, reappearances, scanning
from governance.keys import organisation_key
from governance.models import ApiClient, LedgerRecord, Storage, WebhookDelivery, WebhookKind
from governance.selectors import webhooks as known
from governance.selectors.ledger import opened
from governance.services import delivering, webhooks
from tests.factories import plans
from tests.factories.clinic import ANN, Clinic
from tests.factories.desk import colleague, read
from tests.factories.listener import listening
from tests.factories.portal import text_of
from tests.factories.training import BOB, facet, loans_of, says, study, train

pytestmark = pytest.mark.django_db

HOOK = "/hooks?tenant=7"
LISTS = (
    "/desk/models", "/desk/measures", "/desk/violations", "/desk/reappearances",
    "/desk/scans?queue=open", "/desk/scans?queue=failed", "/desk/deliveries?queue=failing",
    "/desk/deliveries?queue=given_up", "/desk/webhooks/disabled",
)  # fmt: skip


@pytest.fixture
def olga(db) -> Client:
    return colleague()


@pytest.fixture
def violation(db) -> Violation:
    """A training that used the data of somebody who had refused."""
    study()
    loans_of(ANN, BOB)
    says(BOB, "refused", -600)
    says(ANN, "given", -600)
    train(facet())
    assessing.assess_waiting(limit=10)
    return Violation.objects.get()


@pytest.fixture
def listener(settings):
    settings.COLOPHON_PRIVATE_WEBHOOKS = True
    with listening() as made:
        yield made


@pytest.fixture
def hook(db, listener):
    """An endpoint that has answered one message with an error."""
    client = ApiClient.objects.create(name="listener")
    made = webhooks.register(client=client, url=listener.url, kinds=[WebhookKind.TEST])
    listener.answers = [(500, {})]
    sent(webhooks.test(endpoint=made.endpoint))
    return made


def sent(delivery: WebhookDelivery) -> bool:
    WebhookDelivery.objects.filter(pk=delivery.pk).update(retry_at=Now())
    return delivering.deliver(delivery_id=delivery.pk)


def given_up() -> WebhookDelivery:
    WebhookDelivery.objects.update(attempt=10, gave_up_at=timezone.now())
    return WebhookDelivery.objects.get()


def scanned(scan: MembershipScan) -> MembershipScan:
    scanning.carry_out(scan_id=scan.pk)
    scan.refresh_from_db()
    return scan


def counted(kind: str, name: str = "open") -> int:
    return next(e.count for e in queues.queues() if (e.kind, e.name) == (kind, name))


def facts(kind: str) -> dict:
    record = LedgerRecord.objects.filter(kind=kind).latest("pk")
    return opened(record.uuid, organisation_key())["facts"]


def test_every_number_leads_to_its_list_and_the_list_back(violation, hook, tmp_path):
    lake = plans.lake(tmp_path)
    plans.reviewed()
    plans.asked()
    clinic = Storage.objects.get(name="clinic")
    scanning.ask(dataset=lake.patients)
    failed = scanning.ask(dataset=lake.features).scan
    Storage.objects.exclude(pk=clinic.pk).update(enabled=False)
    assert scanned(failed).outcome == "failed"
    chief = colleague("chief")
    page = chief.get("/desk").content.decode()
    ways = {each.replace("&amp;", "&") for each in re.findall(r'<h3><a href="([^"]+)"', page)}
    assert ways >= {
        "/desk/violations", "/desk/models", "/desk/scans?queue=open", "/desk/scans?queue=failed",
        "/desk/deliveries?queue=failing", "/desk/requests?state=review",
    }  # fmt: skip
    for way in ways:
        assert "Nothing waits here." not in read(chief, way), way
        assert 'href="/desk">What waits</a>' in chief.get(way).content.decode(), way


@pytest.mark.parametrize("path", LISTS)
def test_lists_are_for_staff_and_say_when_nothing_waits(olga, path):
    assert "Nothing waits here." in read(olga, path)
    assert Client().get(path).headers["Location"].startswith("/admin/login/?next=")
    assert colleague("gus", is_staff=False).get(path).status_code == 403
    bare = path.partition("?")[0]
    for odd in ("?queue=%00&page=x", "?queue=odd", "?page=-1", "?page=999999", "?queue=%ff"):
        read(olga, bare + odd)


def buttons(violation, hook) -> list[str]:
    delivery = WebhookDelivery.objects.get()
    at = f"/desk/webhooks/{hook.endpoint.uuid}"
    return [
        f"/desk/violations/{violation.uuid}/assign", f"/desk/violations/{violation.uuid}/resolve",
        f"{at}/deliveries/{delivery.uuid}/deliver", f"{at}/disable",
        f"/desk/datasets/{uuid4()}/scan",
    ]  # fmt: skip


def test_buttons_are_for_staff_and_for_our_own_pages(violation, hook):
    olga, guest = colleague(), colleague("gus", is_staff=False)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(get_user_model().objects.get(username="olga"))
    said = {"to": "x", "resolution": "false_alarm", "reason": "x"}
    before = LedgerRecord.objects.count()
    for path in buttons(violation, hook):
        assert Client().post(path, said).headers["Location"].startswith("/admin/login/")
        assert [each.post(path, said).status_code for each in (guest, strict)] == [403, 403]
        assert olga.get(path).status_code == 405
    violation.refresh_from_db()
    assert (violation.assigned_to, violation.resolved_at) == ("", None)
    assert LedgerRecord.objects.count() == before


def test_what_is_not_there_is_not_found(olga, hook):
    for path in (f"/desk/violations/{uuid4()}", f"/desk/webhooks/{uuid4()}"):
        assert olga.get(path).status_code == 404
    for path in (
        f"/desk/violations/{uuid4()}/assign", f"/desk/datasets/{uuid4()}/scan",
        f"/desk/webhooks/{hook.endpoint.uuid}/deliveries/{uuid4()}/deliver",
        f"/desk/webhooks/{uuid4()}/disable",
    ):  # fmt: skip
        assert olga.post(path, {"to": "x"}).status_code == 404


def test_a_violation_is_read_assigned_and_settled_once(olga, violation):
    at = f"/desk/violations/{violation.uuid}"
    listed = read(olga, "/desk/violations")
    assert "1 violation, the oldest first. model People had not permitted it." in listed
    assert "Seen to by nobody yet" in listed
    assert "People 1 had not permitted it" in read(olga, at)
    wrong = olga.post(f"{at}/assign", {"to": ""})
    assert (wrong.status_code, "Please say who." in text_of(wrong.content)) == (400, True)
    assert olga.post(f"{at}/assign", {"to": "privacy team"}).headers["Location"] == at
    assert "Seen to by privacy team" in read(olga, "/desk/violations")
    for odd in ({}, {"resolution": "odd", "reason": "x"}, {"resolution": "false_alarm"},
                {"resolution": "false_alarm", "reason": "\x00"}):  # fmt: skip
        assert olga.post(f"{at}/resolve", odd).status_code == 400
    assert Violation.objects.filter(resolved_at=None).count() == 1
    said = {"resolution": "data_removed", "reason": "version 2 is without it"}
    assert olga.post(f"{at}/resolve", said).headers["Location"] == at
    page = read(olga, at)
    assert "a later version was trained without the data Reason version 2 is without it" in page
    assert "Settle this violation" not in page
    for path in (f"{at}/resolve", f"{at}/assign"):
        assert olga.post(path, said | {"to": "x"}).status_code == 409
    by = f"staff:{get_user_model().objects.get().pk}"
    told = {"violation": str(violation.uuid), "by": by}
    assert facts("violation.assigned") == told
    assert facts("violation.resolved") == told | {"resolution": "data_removed"}
    assert counted("violations") == 0


def test_data_that_came_back_leads_to_what_sees_to_it_and_never_says_whose(olga, tmp_path):
    clinic = Clinic(tmp_path)
    clinic.erased(ANN)
    clinic.comes_back()
    page = read(olga, "/desk/reappearances")
    assert "1 case, the oldest first. raw test The erasure is opened again by itself." in page
    back = Reappearance.objects.get()
    request = reappearances.reopen(tombstone_id=back.tombstone_id)
    assert request is not None
    assert "An erasure sees to it: it was opened by itself." in read(olga, "/desk/reappearances")
    page = olga.get("/desk/reappearances").content.decode()
    assert f'href="/desk/requests/{request.uuid}"' in page
    assert str(back.tombstone.digest.hex()) not in page


def test_a_message_that_failed_says_what_was_answered_and_not_where_it_goes(olga, hook, listener):
    assert counted("webhooks", "failing") == 1, "answered by 500"
    for path in ("/desk/deliveries?queue=failing", f"/desk/webhooks/{hook.endpoint.uuid}"):
        page = read(olga, path)
        assert "Message webhook.test: sent on request, to try an endpoint" in page
        assert "Attempts 1 Last answer 500 Next try" in page
        assert "Deliver again" not in page
        for secret in (HOOK, listener.url, hook.secret):
            assert secret not in olga.get(path).content.decode()


def test_a_message_that_was_given_up_is_delivered_again_on_a_press(olga, hook, listener):
    delivery = given_up()
    at = f"/desk/webhooks/{hook.endpoint.uuid}"
    assert "Given up" in read(olga, "/desk/deliveries?queue=given_up")
    assert counted("webhooks", "failing") == 0
    path = f"{at}/deliveries/{delivery.uuid}/deliver"
    assert olga.post(path).headers["Location"] == at
    again = olga.post(path)
    assert (again.status_code, "delivery_not_given_up" in text_of(again.content)) == (409, True)
    assert sent(delivery) is True
    assert "Everything arrived, or is on its way." in read(olga, at)
    assert len(listener.heard) == 2


def test_a_webhook_is_switched_off_and_what_waits_for_it_is_given_up(olga, hook):
    at = f"/desk/webhooks/{hook.endpoint.uuid}"
    for _ in range(2):
        assert olga.post(f"{at}/disable").headers["Location"] == at
    page = read(olga, at)
    assert "Switched off" in page
    assert "by_operator" in read(olga, "/desk/webhooks/disabled")
    assert "Deliver again" not in page
    assert (known.failing().count(), known.given_up().count()) == (0, 0)
    told = LedgerRecord.objects.filter(kind="webhook.disabled")
    assert told.count() == 1
    again = olga.post(f"{at}/deliveries/{WebhookDelivery.objects.get().uuid}/deliver")
    assert again.status_code == 409


def test_a_scan_that_failed_is_asked_for_again_and_then_waits_among_the_others(olga, tmp_path):
    lake = plans.lake(tmp_path)
    scan = scanning.ask(dataset=lake.patients).scan
    assert "Stands Waits for a worker" in read(olga, "/desk/scans?queue=open")
    lake.table.unlink()
    assert scanned(scan).outcome == "failed"
    page = read(olga, "/desk/scans?queue=failed")
    assert "Stands Nothing was taken Code storage_missing Reason" in page
    path = f"/desk/datasets/{lake.patients.uuid}/scan"
    for _ in range(2):
        assert olga.post(path).headers["Location"] == "/desk/scans?queue=open"
    assert (counted("scans"), counted("scans", "failed")) == (1, 0)
    Storage.objects.update(enabled=False)
    refused = olga.post(path)
    assert refused.status_code == 409
    assert "storage_disabled" in text_of(refused.content)


def test_models_to_be_made_good_lead_to_their_request(olga, tmp_path):
    plans.lake(tmp_path)
    request = plans.asked()
    assert "1 model version, the oldest first. model 1 test Waits for a clean training." in read(
        olga, "/desk/models"
    )
    assert f'href="/desk/requests/{request.uuid}"' in olga.get("/desk/models").content.decode()


def test_lists_begin_with_the_oldest(olga, hook, monkeypatch):
    monkeypatch.setattr("consent.desk.pages.ROWS", 1)
    webhooks.test(endpoint=hook.endpoint)
    newer, older = WebhookDelivery.objects.order_by("-pk")
    WebhookDelivery.objects.update(attempt=10, last_code="timed_out", gave_up_at=timezone.now())
    path = "/desk/deliveries?queue=given_up"
    assert str(older.uuid) in olga.get(path).content.decode()
    assert "Page 1 of 2" in read(olga, path)
    assert 'href="?queue=given_up&amp;page=2"' in olga.get(path).content.decode()
    assert str(newer.uuid) in olga.get(f"{path}&page=2").content.decode()
