"""The operators' desk: who may enter, what it shows, and what its buttons do."""

from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from consent.models import DryRun, ErasureStep, PlanApproval, RequestRecord
from consent.selectors import planned
from consent.services import erasing, looking
from governance.models import Storage
from tests.factories import plans as made
from tests.factories.desk import colleague, read
from tests.factories.portal import signed_in, text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def lake(tmp_path) -> made.Lake:
    return made.lake(tmp_path)


@pytest.fixture
def olga(db) -> Client:
    return colleague()


def at(request, more: str = "") -> str:
    return f"/desk/requests/{request.uuid}{more}"


def step_at(step: ErasureStep, more: str = "") -> str:
    return f"/desk/requests/{step.request.uuid}/steps/{step.uuid}{more}"


def paths(request) -> list[str]:
    step = request.steps.first()
    return ["/desk", "/desk/requests", "/desk/steps", at(request), step_at(step)]


def buttons(request) -> list[str]:
    step = request.steps.first()
    return [
        at(request, "/dry-run"), at(request, "/approve"), at(request, "/reject"),
        step_at(step, "/retry"), step_at(step, "/settle"),
    ]  # fmt: skip


def test_only_staff_may_enter_and_others_are_sent_to_sign_in(lake):
    made.reviewed()
    request = made.asked()
    nobody, person, former = Client(), signed_in(made.ANN), colleague("ivo", is_active=False)
    for path in paths(request):
        for client in (nobody, person, former):
            answer = client.get(path)
            assert answer.headers["Location"] == f"/admin/login/?next={path}"
    guest = colleague("gus", is_staff=False)
    for path in paths(request):
        assert guest.get(path).status_code == 403
    for path in buttons(request):
        assert nobody.post(path).status_code == 302
        assert guest.post(path, {"digest": made.digest(request)}).status_code == 403
    assert not PlanApproval.objects.exists()
    assert not DryRun.objects.exists()


def test_buttons_cannot_be_pressed_by_a_link_or_from_another_site(lake):
    made.reviewed()
    request = made.asked()
    olga = colleague()
    for path in buttons(request):
        assert olga.get(path).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(get_user_model().objects.get())
    for path in buttons(request):
        assert strict.post(path, {"digest": made.digest(request)}).status_code == 403
    assert not PlanApproval.objects.exists()


def test_what_is_not_there_is_not_found(olga, lake):
    request = made.asked()
    for path in (f"/desk/requests/{uuid4()}", at(request, f"/steps/{uuid4()}")):
        assert olga.get(path).status_code == 404
    assert olga.post(at(request, f"/steps/{uuid4()}/retry")).status_code == 404


def test_the_first_page_says_what_waits_and_leads_there(olga, lake):
    assert "0 Waiting for approval" in read(olga, "/desk")
    made.reviewed()
    made.asked()
    page = read(olga, "/desk")
    assert "1 Waiting for approval A policy asks for people to read the plan first." in page
    assert "1 Models to be made good" in page
    assert "Nearest due date" in page
    assert 'href="/desk/requests?state=review"' in olga.get("/desk").content.decode()


def test_requests_are_listed_by_state_and_by_nothing_that_says_who(olga, lake):
    made.reviewed()
    request = made.asked()
    assert str(request.uuid) in read(olga, "/desk/requests?state=review")
    for other in ("verified", "erasing"):
        assert "Nothing waits here." in read(olga, f"/desk/requests?state={other}")
    for odd in ("?state=%00", "?state=odd", "?page=x", "?page=-1", "?page=999999"):
        read(olga, f"/desk/requests{odd}")


def test_long_lists_come_in_pages(olga, lake, monkeypatch):
    monkeypatch.setattr("consent.desk.pages.ROWS", 2)
    request = made.asked()
    made.worked(erasing.carry_out)
    first, second = (read(olga, f"{at(request)}?steps={n}") for n in (1, 2))
    assert "survey" in first
    assert "Page 1 of 2 After" in first
    assert "Before Page 2 of 2" in second
    page = olga.get("/desk/steps?queue=blocked").content.decode()
    assert "2 steps" in page
    monkeypatch.setattr("consent.desk.pages.ROWS", 1)
    page = olga.get("/desk/steps?queue=blocked").content.decode()
    assert 'href="?queue=blocked&amp;page=2"' in page


def test_the_plan_is_read_before_anything_is_touched(olga, lake):
    made.reviewed()
    request = made.asked()
    page = read(olga, at(request))
    for words in (
        "Waiting for approval Request",
        "It has 4 steps, leaves 3 data sets as they are and affects 1 model version.",
        "health 1 asks for 1 approval before anything is touched.",
        "survey test Data flows on from it, nobody is known to have written it",
        "Concerned Unknown: nobody answers for what it holds.",
        "Storage clinic (sql), patients, people by email",
        "adults test A complete list of who is in it now leaves the person out. proven_without",
        "codes test Every column is masked on every way to it",
        "Way patients → features → model",
        "the plan: waits for approval",
        "Stands Waits for approval",
    ):
        assert words in page
    assert lake.rows() == [made.ANN, made.ANN, made.BOB]


def test_a_dry_run_is_asked_for_and_its_answer_is_on_the_plan(olga, lake):
    made.reviewed()
    request = made.asked()
    answer = olga.post(at(request, "/dry-run"))
    assert (answer.status_code, answer.headers["Location"]) == (302, at(request))
    page = read(olga, at(request))
    assert "The workers are looking. Nothing is touched." in page
    assert "A dry run goes on since" in page
    assert page.count("waits for a worker") == 4
    for due in planned.looks_to_do():
        looking.look(dry_run_id=due.pk)
    page = read(olga, at(request))
    assert "The last dry run was asked for on" in page
    assert "Dry run 2 rows in patients" in page
    assert "Dry run 1 row in part.parquet" in page
    assert "Dry run no_storage: register the storage" in page


def test_two_colleagues_approve_what_they_read(lake):
    made.reviewed(2)
    request = made.asked()
    olga, pete = colleague("olga"), colleague("pete")
    said = {"digest": made.digest(request)}
    answer = olga.post(at(request, "/approve"), said)
    assert (answer.status_code, answer.headers["Location"]) == (302, at(request))
    page = read(olga, at(request))
    assert "Your approval is recorded. It needs somebody else's as well." in page
    assert "You have approved it. Somebody else has to as well." in page
    assert "Approve this plan" not in page
    again = olga.post(at(request, "/approve"), said)
    assert (again.status_code, "you have approved" in text_of(again.content).lower()) == (409, True)
    assert "Approve this plan" in read(pete, at(request))
    pete.post(at(request, "/approve"), said)
    page = read(pete, at(request))
    assert "The erasure begins." in page
    assert "Approved by olga on" in page
    assert "Approved by pete on" in page
    assert "Reject this plan" not in page
    keys = get_user_model().objects.order_by("pk").values_list("pk", flat=True)
    approved = PlanApproval.objects.order_by("pk").values_list("by", flat=True)
    assert list(approved) == [f"staff:{pk}" for pk in keys]


def test_a_plan_that_changed_after_it_was_read_is_shown_anew(olga, lake):
    made.reviewed()
    request = made.asked()
    said = {"digest": made.digest(request)}
    Storage.objects.filter(name="clinic").update(enabled=False)
    answer = olga.post(at(request, "/approve"), said)
    assert answer.status_code == 409
    assert "the plan has changed: read it again" in text_of(answer.content).lower()
    page = read(olga, at(request))
    assert "Plan 2" in page
    assert "Plan 1 was rejected by nobody: what it says had changed on" in page
    assert "Its storage is switched off. Switch it on again." in page
    assert olga.post(at(request, "/approve")).status_code == 400
    assert not PlanApproval.objects.exists()


def test_a_plan_is_rejected_with_a_reason(olga, lake):
    made.reviewed()
    request = made.asked()
    said = {"digest": made.digest(request), "reason": ""}
    refused = olga.post(at(request, "/reject"), said)
    assert (refused.status_code, "Please say why." in text_of(refused.content)) == (400, True)
    assert olga.post(at(request, "/reject"), said | {"reason": "too early"}).status_code == 302
    page = read(olga, at(request))
    assert "The plan is rejected. This is the one made in its place." in page
    assert "Plan 1 was rejected by olga on" in page
    assert "too early" in page


def test_a_blocked_step_says_what_to_do_and_is_tried_again_by_a_press(olga, lake):
    Storage.objects.filter(name="clinic").update(enabled=False)
    request = made.asked()
    made.worked(erasing.carry_out)
    step = request.steps.get(dataset=lake.patients)
    listed = read(olga, "/desk/steps?queue=person")
    assert "patients test Its storage is switched off. Switch it on again." in listed
    page = read(olga, step_at(step))
    for words in ("Blocked. Its storage is switched off.", "What to do next. Switch it on again.",
                  "Code storage_disabled", "Attempts 1", "Concerned Proven"):  # fmt: skip
        assert words in page
    Storage.objects.update(enabled=True)
    answer = olga.post(step_at(step, "/retry"))
    assert (answer.status_code, answer.headers["Location"]) == (302, step_at(step))
    page = read(olga, step_at(step))
    assert "It is tried again as soon as a worker is free." in page
    assert "Waits for its turn." in page
    assert olga.post(step_at(step, "/retry")).status_code == 409
    made.worked(erasing.carry_out)
    assert "Erased, and read back." in read(olga, step_at(step))
    assert lake.rows() == [made.BOB]


def test_a_step_is_settled_by_hand_with_evidence(olga, lake):
    request = made.asked()
    made.worked(erasing.carry_out)
    step = request.steps.get(dataset__name="export")
    said = {"outcome": "by_hand", "code": "table_dropped", "reason": "it was dropped",
            "evidence": "looked with a colleague", "document_sha256": "xyz"}  # fmt: skip
    wrong = olga.post(step_at(step, "/settle"), said)
    assert wrong.status_code == 400
    assert "A SHA-256 is 64 digits" in text_of(wrong.content)
    nothing = {"evidence": " ", "document_sha256": ""}
    for outcome in ("by_hand", "not_found"):
        empty = olga.post(step_at(step, "/settle"), said | nothing | {"outcome": outcome})
        assert empty.status_code == 400
        assert "Please say how it was done, or name a document." in text_of(empty.content)
    step.refresh_from_db()
    assert step.state == "blocked"
    answer = olga.post(step_at(step, "/settle"), said | {"document_sha256": "0" * 64})
    assert (answer.status_code, answer.headers["Location"]) == (302, step_at(step))
    page = read(olga, step_at(step))
    for words in (
        "Erased by hand, on a person's word; not read back.",
        "Evidence looked with a colleague",
        f"SHA-256 {'0' * 64}",
    ):
        assert words in page
    assert "Settle this step" not in page
    assert olga.post(step_at(step, "/settle"), said | {"document_sha256": ""}).status_code == 409
    told = RequestRecord.objects.filter(request=request, kind="erasure.settled")
    assert told.count() == 1


def test_a_request_without_a_plan_says_so(olga, lake):
    from consent.services.requests import open_erasure

    request = open_erasure(subject=made.person(), key=uuid4(), verified=False)
    page = read(olga, at(request))
    assert "Identity not confirmed" in page
    assert "There is none yet." in page


def test_the_person_is_told_that_the_plan_waits(lake):
    made.reviewed()
    request = made.asked()
    page = text_of(Client().get(f"/requests/{request.uuid}").content)
    assert "Planned (now)" in page
    assert "The plan waits for people here to approve it." in page
    assert "What is outstanding The plan: people here have to approve it." in page


def test_a_policy_that_asks_for_approvals_says_so_in_public(lake):
    made.reviewed(2)
    page = text_of(Client().get("/policies/health").content)
    assert "What is asked before an erasure Before data about health is erased, two" in page
    assert "What is checked before every training" not in page
