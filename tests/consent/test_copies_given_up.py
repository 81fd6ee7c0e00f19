"""A copy that cannot be put together: tried again, given up where people see it, made at last."""

import logging
import os
import signal
import sqlite3
from contextlib import closing
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now
from django.test import Client
from django.utils import timezone

from consent.grounds import Refusal
from consent.models import AccessPackage, CopyAssembly, RightsRequest
from consent.selectors import access, queues, requests
from consent.selectors.queues import CopyQueue
from consent.selectors.requests import RequestState
from consent.selectors.subjects import by_identifier
from consent.services import assembling, packages, refusing, subjects
from consent.services.claims import MOST_DEATHS
from governance.keys import organisation_key
from governance.models import LedgerRecord
from governance.selectors import ledger
from governance.services.registry import register_dataset, register_storage
from tests.factories.consent import registered, take
from tests.factories.desk import colleague, read
from tests.factories.portal import ANN, text_of
from tests.factories.processes import killed
from tests.factories.rights import ask, copied, told

pytestmark = pytest.mark.django_db


@pytest.fixture
def request_of_ann(tmp_path) -> RightsRequest:
    """Ann is in one table, and has asked for a copy; her rows are read."""
    file = tmp_path / "people.db"
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("CREATE TABLE people (email TEXT, note TEXT)")
        database.execute("INSERT INTO people VALUES (?, 'mine')", [ANN])
    shelf = register_storage(name="shelf", kind="sql", address=f"sqlite:///{file}").thing
    people = register_dataset(
        namespace="lake", name="people", storage=shelf, location="people",
        subject_column="email", subject_scheme="email",
    ).thing  # fmt: skip
    subjects.register(identifiers=[("email", ANN)])
    take(people, [ANN], mode="replace", scheme="email")
    return ask("access", by_identifier("email", ANN))


@pytest.fixture
def waiting(request_of_ann, monkeypatch) -> RightsRequest:
    """All is read; nothing is put together yet."""
    with monkeypatch.context() as patched:
        broken(patched)
        assert copied(request_of_ann) is False
    CopyAssembly.objects.all().delete()
    return request_of_ann


def broken(monkeypatch) -> None:
    """Have each try stumble over something that quotes whose it is."""

    def stumbles(*_):
        raise ValueError(f"cannot render {ANN}")

    monkeypatch.setattr(packages, "_archive", stumbles)


def row(request: RightsRequest) -> dict:
    return CopyAssembly.objects.filter(request=request).values().get()


def dies(request: RightsRequest, times: int = 1) -> CopyAssembly | None:
    """Let workers claim it and never be heard of again."""
    due = None
    for _ in range(times):
        due = assembling.claim(request.pk)
        CopyAssembly.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    return due


def given_up(request: RightsRequest) -> None:
    dies(request, MOST_DEATHS)
    assert packages.prepare(request_id=request.pk) is False
    assert row(request)["retry_at"] is None


def page(request: RightsRequest) -> str:
    return text_of(Client().get(f"/requests/{request.uuid}").content)


@pytest.mark.django_db(transaction=True)
def test_what_kills_each_process_that_puts_it_together_is_given_up_and_made_on_a_press(
    waiting, settings, monkeypatch
):
    due_at, deaths = waiting.due_at, 0
    with monkeypatch.context() as patched:
        settings.COLOPHON_LEASE_SECONDS = 0
        patched.setattr(packages, "_archive", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        for _ in range(MOST_DEATHS + 3):
            for pk in access.to_prepare().values_list("pk", flat=True):
                deaths += killed(lambda pk=pk: packages.prepare(request_id=pk))
    assert deaths == MOST_DEATHS
    found = row(waiting)
    assert (found["failures"], found["attempt"], found["code"]) == (6, 6, "workers_lost")
    assert (found["lease_until"], found["retry_at"]) == (None, None)
    waiting.refresh_from_db()
    assert (waiting.answered_at, waiting.due_at) == (None, due_at)
    assert not AccessPackage.objects.exists()

    settings.COLOPHON_LEASE_SECONDS = 60
    assert packages.prepare(request_id=waiting.pk) is False  # nobody has asked for it
    assert colleague().post(f"/desk/requests/{waiting.uuid}/copy/retry").status_code == 302
    assert list(access.to_prepare()) == [waiting]
    assert packages.prepare(request_id=waiting.pk) is True
    assert requests.standing(waiting.uuid).state is RequestState.COMPLETED
    found = row(waiting)
    assert (found["failures"], found["attempt"], found["code"]) == (0, 7, "")
    assert told(waiting) == ["request.received", "copy.retried", "request.completed"]


@pytest.mark.django_db(transaction=True)
def test_it_is_claimed_for_all_to_see_before_the_work_begins_and_done_outside_of_it(
    waiting, monkeypatch
):
    archive, seen = packages._archive, []

    def watched(*asked):
        seen.append((connection.in_atomic_block, row(waiting)["lease_until"] is not None))
        seen.append((list(access.to_prepare()), assembling.claim(waiting.pk)))
        return archive(*asked)

    monkeypatch.setattr(packages, "_archive", watched)
    assert packages.prepare(request_id=waiting.pk) is True
    assert seen == [(False, True), ([], None)]


def test_it_is_given_up_after_so_many_deaths_and_not_after_one_fewer(waiting, caplog):
    dies(waiting, MOST_DEATHS)
    before = row(waiting)
    assert (before["failures"], before["attempt"]) == (MOST_DEATHS - 1, MOST_DEATHS)
    with caplog.at_level(logging.ERROR):
        assert packages.prepare(request_id=waiting.pk) is False
    assert row(waiting) == before | {
        "code": "workers_lost", "reason": "whoever put the copy together died each time",
        "failures": MOST_DEATHS, "lease_until": None, "retry_at": None,
    }  # fmt: skip
    assert caplog.messages == ["a copy is given up: workers were lost"]


def test_an_error_of_ours_is_put_off_with_growing_pauses_then_given_up_and_never_quoted(
    waiting, monkeypatch, caplog
):
    broken(monkeypatch)
    for tried, pause in enumerate([60, 300, 1800, 7200, 7200], 1):
        before = timezone.now()
        with caplog.at_level(logging.DEBUG):
            assert packages.prepare(request_id=waiting.pk) is False
        found = row(waiting)
        assert (found["failures"], found["code"], found["lease_until"]) == (
            tried, "copy_not_made", None,
        )  # fmt: skip
        assert timedelta(seconds=pause - 2) < found["retry_at"] - before
        assert found["retry_at"] - before < timedelta(seconds=pause + 10)
        assert packages.prepare(request_id=waiting.pk) is False  # not before its time
        assert list(access.to_prepare()) == []
        CopyAssembly.objects.update(retry_at=before)
    assert packages.prepare(request_id=waiting.pk) is False
    found = row(waiting)
    assert (found["failures"], found["attempt"], found["retry_at"]) == (6, 6, None)
    assert "a copy could not be put together: ValueError" in caplog.text
    assert "a copy is given up: it could not be made" in caplog.text
    assert "ann" not in caplog.text.casefold() + found["reason"].casefold()


def test_whoever_gets_through_begins_the_count_anew(request_of_ann):
    dies(request_of_ann, MOST_DEATHS - 1)
    assert packages.prepare(request_id=request_of_ann.pk) is False  # it asks for rows to be read
    found = row(request_of_ann)
    assert (found["failures"], found["attempt"], found["code"]) == (0, MOST_DEATHS, "")
    assert found["lease_until"] is None
    assert copied(request_of_ann)


def test_the_page_of_the_request_says_that_the_copy_is_delayed_and_the_day_stays(
    waiting, monkeypatch
):
    assert "delayed" not in page(waiting)
    delayed = "The copy is delayed: our own programs broke off while they put it together."
    stays = "The day by which it is due stays as it is."
    with monkeypatch.context() as patched:
        broken(patched)
        packages.prepare(request_id=waiting.pk)
    assert f"{delayed} It is tried again by itself. {stays}" in page(waiting)
    CopyAssembly.objects.update(retry_at=Now(), failures=0)
    given_up(waiting)
    said = page(waiting)
    assert f"{delayed} Somebody here has to look first. {stays}" in said
    assert f"It is due by {waiting.due_at:%-d %B %Y}" in said
    standing = requests.standing(waiting.uuid)
    assert standing.state is RequestState.VERIFIED
    assert standing.outstanding == ["the copy: could not be put together yet"]
    yesterday = timezone.now() - timedelta(days=1)
    RightsRequest.objects.update(received_at=yesterday - timedelta(days=30), due_at=yesterday)
    assert "and it is late" in page(waiting)


def test_the_desk_names_the_request_with_code_and_reason_and_has_it_tried_again_once(waiting):
    olga = colleague()
    assert "Nothing waits here." in read(olga, "/desk/copies")
    given_up(waiting)
    [queue] = [each for each in queues.queues() if each.kind == "copies" and each.count]
    begun_at = row(waiting)["begun_at"]
    assert queue == queues.Queue("copies", CopyQueue.GIVEN_UP, 1, begun_at, waiting.due_at)
    listed = olga.get("/desk").content.decode()
    assert '<a href="/desk/copies?queue=given_up">Copies given up</a>' in listed
    at = f"/desk/requests/{waiting.uuid}"
    for path in ("/desk/copies", at):
        said = read(olga, path)
        assert "Code workers_lost Reason whoever put the copy together died each time" in said
        assert "Attempts 6 Next try when somebody asks for it" in said
    assert f'href="{at}"' in olga.get("/desk/copies").content.decode()
    path = f"{at}/copy/retry"
    assert olga.post(path).headers["Location"] == at
    before = LedgerRecord.objects.count()
    again = olga.post(path)
    assert (again.status_code, "copy_not_stuck" in text_of(again.content)) == (409, True)
    assert LedgerRecord.objects.count() == before
    record = waiting.records.get(kind="copy.retried").record
    facts = ledger.opened(record, organisation_key())["facts"]
    assert facts == {"request": str(waiting.uuid), "by": "staff:" + olga.session["_auth_user_id"]}
    assert "was given up" not in read(olga, at)
    assert list(access.to_prepare()) == [waiting]


def test_one_that_is_tried_again_by_itself_is_listed_with_when_and_can_be_hurried(
    waiting, monkeypatch
):
    with monkeypatch.context() as patched:
        broken(patched)
        packages.prepare(request_id=waiting.pk)
    olga = colleague()
    said = read(olga, "/desk/copies?queue=failing")
    assert "1 copy, the nearest due date first." in said
    assert "Code copy_not_made Reason the program broke off: see the workers' log" in said
    assert "Nothing waits here." in read(olga, "/desk/copies?queue=given_up")
    assert olga.post(f"/desk/requests/{waiting.uuid}/copy/retry").status_code == 302
    assert packages.prepare(request_id=waiting.pk) is True


def test_only_staff_sees_and_presses_and_only_for_what_is_stuck(waiting):
    given_up(waiting)
    path = f"/desk/requests/{waiting.uuid}/copy/retry"
    guest, before = colleague("gus", is_staff=False), row(waiting)
    for answer in (Client().get("/desk/copies"), Client().post(path)):
        assert answer.headers["Location"].startswith("/admin/login/?next=")
    assert [guest.get("/desk/copies").status_code, guest.post(path).status_code] == [403, 403]
    strict, olga = Client(enforce_csrf_checks=True), colleague()
    strict.cookies = olga.cookies
    assert (strict.post(path).status_code, olga.get(path).status_code) == (403, 405)
    assert olga.post(f"/desk/requests/{before['token']}/copy/retry").status_code == 404
    other = ask("objection", registered())
    assert olga.post(f"/desk/requests/{other.uuid}/copy/retry").status_code == 409
    for odd in ("?queue=%00&page=x", "?queue=odd", "?page=-1"):
        read(olga, f"/desk/copies{odd}")
    assert row(waiting) == before


def test_what_was_refused_waits_for_nobody_any_more(waiting):
    given_up(waiting)
    refusing.refuse(request=waiting, ground=Refusal.EXCESSIVE)
    assert list(access.stuck()) == []
    with pytest.raises(assembling.CopyNotStuckError):
        assembling.try_again(request=waiting, by="staff:1")


def test_who_is_refused_while_it_is_put_together_is_given_nothing(waiting, monkeypatch):
    archive = packages._archive

    def refused(*asked):
        refusing.refuse(request=waiting, ground=Refusal.EXCESSIVE)
        return archive(*asked)

    monkeypatch.setattr(packages, "_archive", refused)
    assert packages.prepare(request_id=waiting.pk) is False
    assert not AccessPackage.objects.exists()
    assert row(waiting)["failures"] == 0
    assert told(waiting) == ["request.received", "request.refused"]


def test_a_worker_that_wakes_after_its_lease_hands_nothing_over(waiting, monkeypatch):
    archive = packages._archive

    def overtaken(*asked):
        made = archive(*asked)
        CopyAssembly.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        assert assembling.claim(waiting.pk).token == 2
        return made

    monkeypatch.setattr(packages, "_archive", overtaken)
    assert packages.prepare(request_id=waiting.pk) is False
    assert not AccessPackage.objects.exists()
    found = row(waiting)
    assert (found["failures"], found["token"], found["lease_until"] is None) == (1, 2, False)


VIOLATIONS = {
    "consent_assembly_failures_of_attempts": {"failures": 1},
    "consent_assembly_given_up_says_why": {"retry_at": None},
}


@pytest.mark.parametrize("name", VIOLATIONS)
def test_each_constraint_fires(name):
    with pytest.raises(IntegrityError, match=name), transaction.atomic():
        CopyAssembly.objects.create(request=ask("access", registered()), **VIOLATIONS[name])


def test_every_constraint_is_tried():
    assert set(VIOLATIONS) == {each.name for each in CopyAssembly._meta.constraints}
