"""The operators' desk in a real browser: a colleague reads a plan, looks, approves and settles."""

import pytest
from django.contrib.auth import get_user_model

from consent.selectors import planned
from consent.services import erasing, looking
from tests.browser.test_portal import DESK, PHONE, Visit, visit_of
from tests.factories import plans as made

pytestmark = pytest.mark.django_db(transaction=True)


def reads_well(visit: Visit) -> None:
    """Look at the page on a desk too, and go back to the phone."""
    for viewport in (DESK, PHONE):
        visit.page.set_viewport_size(viewport)
        visit.look()


def test_a_colleague_reads_looks_approves_and_settles(chromium, live_server, tmp_path):
    lake = made.lake(tmp_path)
    made.reviewed()
    request = made.asked()
    get_user_model().objects.create_user("olga", password="a long one", is_staff=True)
    visit = visit_of(chromium, live_server, viewport=PHONE)
    visit.page.goto(f"{visit.url}/desk")
    visit.page.get_by_label("Username").fill("olga")
    visit.page.get_by_label("Password").fill("a long one")
    visit.page.get_by_role("button", name="Log in").click()
    visit.page.wait_for_url("**/desk")
    visit.complaints.clear()  # the page to sign in is Django's
    visit.open("/desk")
    reads_well(visit)
    visit.press("Waiting for approval")
    visit.press(str(request.uuid))
    visit.press("Look without touching")
    for due in planned.looks_to_do():
        looking.look(dry_run_id=due.pk)
    visit.open(f"/desk/requests/{request.uuid}")
    reads_well(visit)
    assert "2 rows in patients" in visit.text
    visit.press("Approve this plan")
    assert "The erasure begins." in visit.text
    made.worked(erasing.carry_out)
    assert lake.rows() == [made.BOB]
    visit.open("/desk")
    visit.press("Waiting for a person")
    visit.press("export")
    reads_well(visit)
    visit.fill("Code", "dropped")
    visit.press("Settle this step")
    assert visit.page.get_by_label("Reason").get_attribute("aria-invalid") == "true"
    visit.complaints.clear()  # the browser says itself that the answer was a refusal
    visit.fill("Reason", "the table was dropped")
    visit.press("Settle this step")
    assert visit.page.get_by_label("Evidence").get_attribute("aria-invalid") == "true"
    visit.complaints.clear()
    visit.fill("Evidence", "looked with a colleague")
    visit.press("Settle this step")
    assert "Erased by hand, on a person's word; not read back." in visit.text
    assert request.steps.get(dataset__name="export").code == "dropped"
    assert visit.complaints == []
