"""From each number at the desk to its list, to one of it, and back, in a real browser."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from consent.models import (
    Manifest,
    Reappearance,
    RecipientNotice,
    RightsRequest,
    Tombstone,
)
from consent.selectors import queues
from consent.selectors import remedies as selectors
from consent.services import (
    assessing,
    erasing,
    looking,
    notifying,
    recipients,
    remedies,
    scanning,
)
from governance.models import ApiClient, Dataset, WebhookDelivery, WebhookKind
from governance.services import delivering, webhooks
from tests.browser.test_desk import reads_well
from tests.browser.test_portal import PHONE, visit_of
from tests.factories import plans as made
from tests.factories.listener import listening
from tests.factories.remedies import EVIDENCE
from tests.factories.training import facet, study, train

pytestmark = pytest.mark.django_db(transaction=True)

# What of everything waits below; a queue of another name has nothing in it.
NUMBERS = {
    ("requests", "review"), ("requests", "erasing"), ("requests", "verifying"),
    ("steps", "blocked"), ("steps", "person"), ("dry_runs", "open"), ("remediations", "open"),
    ("measures", "unapproved"), ("violations", "open"), ("reappearances", "open"),
    ("scans", "open"), ("scans", "failed"),
    ("recipients", "given_up"), ("recipients", "unanswered"), ("recipients", "lapsed"),
    ("webhooks", "failing"), ("webhooks", "given_up"), ("webhooks", "disabled"),
}  # fmt: skip


@pytest.fixture
def waiting(transactional_db, tmp_path, settings) -> Iterator[None]:
    """Let something of almost everything wait that can."""
    settings.COLOPHON_PRIVATE_WEBHOOKS = True
    with listening() as listener:
        listener.answers = [(500, {})] * 9
        lake = made.lake(tmp_path)
        received(listener.url)
        measured(made.asked())
        made.worked(erasing.carry_out)
        told()
        study()
        train(facet(), reads=["patients"], name="bad", minutes=30)
        assessing.assess_waiting(limit=10)
        hooks(listener.url)
        made.reviewed()
        looking.ask(request=made.asked(made.person(made.BOB)), by="staff:1")
        made.asked(made.person("carl@example.org"))
        came_back(lake.patients)
        scanning.ask(dataset=lake.features)
        failed = scanning.ask(dataset=lake.patients).scan
        lake.table.unlink()
        scanning.carry_out(scan_id=failed.pk)
        yield


def measured(request: RightsRequest) -> None:
    client, found = ApiClient.objects.create(name="trainer"), request.remediations.get()
    remedies.take(
        remediation=selectors.remediation(found.uuid), kind="unlearn_certified", key=uuid4(),
        evidence=EVIDENCE["unlearn_certified"], by=client,
    )  # fmt: skip


def received(url: str) -> None:
    patients = Dataset.objects.filter(name="patients")
    for name in ("Hub for Statistics", "Laboratory", "Partner Ltd"):
        recipients.register(name=name, url=url, scheme="email", datasets=patients)


def told() -> None:
    first, second, third = RecipientNotice.objects.order_by("pk")
    notifying.deliver(notice_id=first.pk)
    now = timezone.now()
    RecipientNotice.objects.filter(pk=first.pk).update(gave_up_at=now)
    RecipientNotice.objects.exclude(pk=first.pk).update(delivered_at=now, last_status=204)
    RecipientNotice.objects.filter(pk=third.pk).update(lapsed_at=now, lapse="no_answer")
    assert second.recipient.name == "Laboratory"


def hooks(url: str) -> None:
    client = ApiClient.objects.create(name="orchestrator")
    late, dead, off = (
        webhooks.register(client=client, url=url, kinds=[WebhookKind.TEST]).endpoint
        for _ in range(3)
    )
    for endpoint in (late, dead):
        delivering.deliver(delivery_id=webhooks.test(endpoint=endpoint).pk)
    WebhookDelivery.objects.filter(endpoint=dead).update(gave_up_at=timezone.now())
    webhooks.disable(endpoint=off, code="gone")


def came_back(patients: Dataset) -> None:
    stone = Tombstone.objects.create(scheme="email", digest=b"d" * 32)
    manifest = Manifest.objects.get(dataset=patients)
    Reappearance.objects.create(dataset=patients, tombstone=stone, manifest=manifest)


def test_each_number_leads_to_its_list_and_back_and_what_is_listed_can_be_done(
    chromium, live_server, waiting, client
):
    client.force_login(get_user_model().objects.create_user("olga", is_staff=True))
    visit = visit_of(chromium, live_server, viewport=PHONE)
    session = client.cookies["sessionid"].value
    visit.page.context.add_cookies([{"name": "sessionid", "value": session, "url": visit.url}])
    counted = {(each.kind, each.name) for each in queues.queues() if each.count}
    assert counted == NUMBERS
    visit.open("/desk")
    reads_well(visit)
    numbers = visit.page.locator("main h3 a")
    seen, read = set(), set()
    assert numbers.count() == len(NUMBERS)
    for number in range(numbers.count()):
        with visit.page.expect_navigation():
            numbers.nth(number).click()
        path = visit.page.url.partition("?")[0]
        if path not in read:
            reads_well(visit)
        read.add(path)
        assert "Nothing waits here." not in visit.text, visit.page.url
        first = visit.page.locator("main .entry h2 a")
        if first.count():
            seen.add(first.first.get_attribute("href"))
        with visit.page.expect_navigation():
            visit.page.get_by_role("link", name="What waits").click()
        assert visit.page.url == f"{visit.url}/desk"
    kinds = {each.split("/")[2]: each for each in seen}
    assert set(kinds) == {"requests", "violations", "notices", "webhooks", "measures"}
    for kind in ("measures", "violations", "notices", "webhooks"):
        visit.open(kinds[kind])
        reads_well(visit)
    visit.open(kinds["measures"])
    visit.press("I have read it and stand for it")
    assert "You stand for it, and the ledger knows that you do." in visit.text
    visit.open("/desk")
    visit.press("Scans that failed")
    visit.press("Scan again")
    assert "A worker reads it as soon as one is free." in visit.text
    visit.open("/desk")
    visit.press("Messages given up")
    visit.press("Deliver again")
    assert "It is sent again as soon as a worker is free." in visit.text
    visit.open("/desk")
    visit.press("Recipients not reached")
    visit.press("Hub for Statistics")
    visit.press("Settle this notice")
    assert visit.page.get_by_label("Reason").get_attribute("aria-invalid") == "true"
    visit.complaints.clear()  # the browser says itself that the answer was a refusal
    visit.fill("Reason", "it was dissolved")
    visit.press("Settle this notice")
    assert "It is settled, and on record by whom." in visit.text
    assert visit.complaints == []
