"""A person in several rows sees everything of theirs by any name, and is erased as one."""

import json
from uuid import UUID, uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone
from pyroaring import BitMap

from consent.models import ErasureStep, RightsRequest, Subject, SubjectMerge
from consent.rules import DecisionKind
from consent.selectors import membership, portal, requests, uses
from consent.selectors.decisions import excluded_from
from consent.selectors.subjects import by_identifier
from consent.services import clock, decisions, erasing, forgetting, merging, planning, receipts
from consent.services.requests import open_erasure
from consent.services.settling import settle_step
from governance.models import Purpose
from governance.services import ledger
from governance.services.registry import register_dataset, register_storage
from tests.factories.consent import registered, take, version_after
from tests.factories.governance import DatasetFactory, PurposeFactory, issued_key
from tests.factories.portal import ANN, STRANGER, library, signed_in, text_of
from tests.factories.rights import ask, mailed

pytestmark = pytest.mark.django_db
PEOPLE = {"email": ["ada@example.org", "bob@example.org"], "card": ["A-1", "B-2"]}


def merged(one: Subject, other: Subject) -> SubjectMerge:
    said = {"key": uuid4(), "reason": "she wrote from both"}
    return merging.merge(subject=one, other=other, **said).merge


def says(subject: Subject, purpose: Purpose, kind: str) -> None:
    decisions.record(
        subject=subject, purpose=purpose, kind=DecisionKind(kind), key=uuid4(),
        decided_at=timezone.now(),
    )  # fmt: skip


@pytest.fixture
def lake(tmp_path):
    """Two data sets, one of addresses and one of cards, each with Ada and Bob."""
    storage = register_storage(name="lake", kind="files", address=str(tmp_path)).thing
    made = {}
    for scheme, people in PEOPLE.items():
        pq.write_table(pa.table({"who": people}), tmp_path / f"{scheme}.parquet")
        made[scheme] = register_dataset(
            namespace="test", name=scheme, storage=storage, location=f"{scheme}.parquet",
            subject_column="who", subject_scheme=scheme,
        ).thing  # fmt: skip
        take(made[scheme], people, mode="replace", scheme=scheme)
    return made


@pytest.fixture
def ada(lake) -> list[Subject]:
    return [registered((scheme, people[0])) for scheme, people in PEOPLE.items()]


def left(tmp_path) -> dict[str, list[str]]:
    return {
        scheme: pq.read_table(tmp_path / f"{scheme}.parquet")["who"].to_pylist()
        for scheme in PEOPLE
    }


def planned(subject: Subject) -> RightsRequest:
    request = open_erasure(subject=subject, key=uuid4(), verified=True)
    planning.plan(request.pk)
    return request


def carried_out(request: RightsRequest) -> None:
    for _ in range(3):
        for pk in requests.datasets_to_erase_from():
            erasing.carry_out(dataset_id=pk)
    forgetting.forget(request.pk)


def test_an_erasure_asked_for_under_one_name_is_carried_out_under_all(ada, lake, tmp_path):
    merged(*ada)
    request = planned(ada[1])
    carried_out(request)
    assert left(tmp_path) == {"email": ["bob@example.org"], "card": ["B-2"]}
    steps = request.steps.order_by("dataset__name").values_list("outcome", "located_rows", "others")
    assert list(steps) == [("erased", 1, [ada[0].pk])] * 2
    for each in ada:
        each.refresh_from_db()
        assert each.erased_at is not None
        assert list(membership.datasets_of(each)) == []
    assert [len(membership.members(each.pk)) for each in lake.values()] == [1, 1]


def test_asking_for_erasure_under_one_name_takes_back_every_permission(ada):
    study = PurposeFactory()
    for each in ada:
        says(each, study, "given")
    merge, rows = merged(*ada), {each.pk for each in ada}
    assert not excluded_from(rows, study, timezone.now())
    open_erasure(subject=ada[0], key=uuid4(), verified=False)
    assert set(excluded_from(rows, study, timezone.now())) == rows
    merging.undo(merge=merge, reason="a namesake")
    assert set(excluded_from(rows, study, timezone.now())) == {ada[0].pk}, "the other said nothing"


def test_who_is_parted_before_it_is_their_turn_is_not_erased(ada, tmp_path):
    merge = merged(*ada)
    request = planned(ada[0])
    merging.undo(merge=merge, reason="a namesake")
    carried_out(request)
    assert left(tmp_path) == {"email": ["bob@example.org"], "card": ["A-1", "B-2"]}
    step = request.steps.get(dataset__name="card")
    assert (step.state, step.code) == ("blocked", "identifier_missing")
    assert membership.datasets_of(ada[1]).count() == 1
    assert by_identifier("card", "A-1") == ada[1]


def test_what_was_erased_stays_so_for_a_row_that_is_parted_and_for_none_that_comes_later(ada):
    merge, later = merged(*ada), registered()
    request = planned(ada[0])
    erasing.carry_out(dataset_id=request.steps.get(dataset__name="card").dataset_id)
    version = request.steps.get(dataset__name="card").version_id
    ErasureStep.objects.filter(dataset__name="email").update(state="blocked", code="x")
    step = request.steps.get(dataset__name="email")
    settle_step(step=step, outcome="exempt", code="a17_legal_claims", reason="a lawsuit")
    forgetting.forget(request.pk)
    RightsRequest.objects.update(completion_recorded_at=timezone.now())
    merged(ada[0], later)
    merging.undo(merge=merge, reason="a namesake")
    known_without = [uses._stops(each.pk, [each.pk], BitMap([version])) for each in (*ada, later)]
    assert known_without == [{version}, {version}, set()]
    assert list(membership.datasets_of(ada[1])) == []


def test_signing_in_by_either_address_shows_everything_of_the_person(tmp_path):
    made = library(tmp_path)
    other = registered(("email", STRANGER))
    ann = registered(("email", ANN))
    says(other, made.suggest, "given")
    assert "Nothing here holds your data." in text_of(signed_in(STRANGER).get("/me").content)
    merge = merged(ann, other)
    pages = [text_of(signed_in(each).get("/me").content) for each in (ANN, STRANGER)]
    assert pages[0] == pages[1]
    assert "public.loans" in pages[0]
    assert "what-to-read-next 1.0" in pages[0]
    assert "You gave your permission on" in pages[0]
    browser = signed_in(STRANGER)
    browser.post("/me/erase", {"key": uuid4()})
    asked = RightsRequest.objects.get()
    assert signed_in(ANN).post("/me/erase", {"key": uuid4()}).headers["Location"] == (
        f"/requests/{asked.uuid}"
    )
    merging.undo(merge=merge, reason="a namesake")
    page = text_of(browser.get("/me").content)
    assert "public.loans" not in page


def test_one_data_set_that_holds_two_rows_of_a_person_is_told_of_as_one_stay(ada):
    dataset = DatasetFactory()
    versions = [version_after(dataset, hours) for hours in range(1, 6)]
    take(dataset, ["ada@example.org"], scheme="email", version=versions[0])
    take(dataset, ["A-1"], scheme="card", version=versions[1])
    take(dataset, ["ada@example.org"], mode="remove", scheme="email", version=versions[2])
    take(dataset, ["A-1"], mode="remove", scheme="card", version=versions[3])
    take(dataset, ["ada@example.org"], scheme="email", version=versions[4])
    merged(*ada)

    def stays(subject: Subject) -> list[tuple]:
        return [
            (each.since, each.until) for each in portal.holdings(subject) if each.dataset == dataset
        ]

    told = [(versions[0].complete_at, versions[3].complete_at), (versions[4].complete_at, None)]
    assert stays(ada[0]) == stays(ada[1]) == told


def test_every_receipt_is_opened_with_the_key_of_its_own_row(ada):
    study = PurposeFactory(key="study")
    says(ada[0], study, "given")
    says(ada[1], study, "withdrawn")
    while ledger.sequence():
        pass
    merge = merged(*ada)
    told = receipts.history(ada[1])["decisions"]
    records = [each["receipt"]["dpv:hasRecordOfActivity"] for each in told]
    assert [each["dpv:hasDataSubject"]["@id"] for each in records] == [
        f"urn:uuid:{each.uuid}" for each in ada
    ]
    assert all(len(each["dpv:hasConsentStatus"]) == 1 for each in records)
    assert all(each["receipt"]["ledger"]["proof"] for each in told)
    merging.undo(merge=merge, reason="a namesake")
    [kept] = receipts.history(ada[1])["decisions"]
    assert kept["receipt"]["dpv:hasRecordOfActivity"]["@id"] == records[1]["@id"]


class Desk:
    """An operator's client."""

    def __init__(self, *scopes: str) -> None:
        key = issued_key(*scopes, client_name="desk")
        self._client = Client(raise_request_exception=False)
        self._headers = {"Authorization": f"Bearer {key}"}

    def post(self, path: str, body: object, key: UUID | None = None) -> tuple[int, dict]:
        headers = self._headers | ({"Idempotency-Key": str(key)} if key else {})
        answer = self._client.post(
            f"/api/v1/subjects/{path}", json.dumps(body), content_type="application/json",
            headers=headers,
        )  # fmt: skip
        return answer.status_code, answer.json()

    def get(self, path: str) -> dict:
        return self._client.get(f"/api/v1/subjects/{path}", headers=self._headers).json()


def test_a_letter_goes_once_to_every_address_of_the_person_whichever_row_asked():
    ann, card = registered(("email", ANN)), registered(("card", "A-1"))
    home = registered(("email", "ann@home.example"), ("phone", "+49 30 1234567"))
    other = registered(("email", "bob@example.org"))
    merged(ann, card)
    joins = merged(card, home)
    for kind, asking in (("access", card), ("portability", home), ("access", other)):
        clock.extend(request=ask(kind, asking), code="complexity")
    for request in RightsRequest.objects.order_by("pk"):
        assert mailed(request) == [True]
    everywhere = [ANN, "ann@home.example"]
    assert [each.to for each in mail.outbox] == [everywhere, everywhere, ["bob@example.org"]]
    merging.undo(merge=joins, reason="two people after all")
    clock.extend(request=ask("rectification", card), code="complexity")
    mailed(RightsRequest.objects.latest("pk"))
    assert mail.outbox[-1].to == [ANN]


def test_operators_merge_list_and_undo_over_rest_and_a_repeat_changes_nothing():
    desk = Desk("consent:read", "consent:write")
    one, other, third = registered(), registered(), registered()
    key, body = uuid4(), {"other": str(other.uuid), "reason": "she wrote from both"}
    status, made = desk.post(f"{one.uuid}/merges", body, key)
    assert status == 201
    assert made == {
        "uuid": made["uuid"], "subjects": [str(one.uuid), str(other.uuid)],
        "merged_at": made["merged_at"], "merged_by": "desk", "undone_at": None, "undone_by": None,
    }  # fmt: skip
    assert desk.post(f"{one.uuid}/merges", body, key) == (200, made)
    assert desk.get(f"{other.uuid}/merges") == {"results": [made], "next": None}
    assert desk.get(f"{third.uuid}/merges")["results"] == []
    undo = f"{other.uuid}/merges/{made['uuid']}/undo"
    assert desk.post(undo.replace(str(other.uuid), str(third.uuid)), {"reason": "x"})[0] == 404
    status, undone = desk.post(undo, {"reason": "a namesake"})
    assert status == 200
    assert undone["undone_at"] is not None
    assert undone == made | {"undone_at": undone["undone_at"], "undone_by": "desk"}
    assert desk.post(undo, {"reason": "again"}) == (200, undone)
    assert desk.get(f"{one.uuid}/merges")["results"] == [undone]


def test_what_cannot_be_merged_is_refused_with_a_code():
    desk = Desk("consent:write")
    one, other, gone = registered(), registered(), registered()
    merge = merged(one, other)
    path, undo = f"{one.uuid}/merges", f"{one.uuid}/merges/{merge.uuid}/undo"
    said = {"other": str(other.uuid), "reason": "r"}

    def refused(path: str, body: object, key: UUID | None = None) -> tuple[int, str]:
        status, problem = desk.post(path, body, key)
        return status, problem["code"]

    assert refused(path, said) == (400, "idempotency_key_missing")
    assert refused(path, said | {"reason": " "}, uuid4()) == (400, "invalid")
    assert refused(path, said | {"other": "me@example.org"}, uuid4()) == (400, "invalid")
    assert refused(path, said | {"other": str(uuid4())}, uuid4()) == (404, "not_found")
    assert refused(path, said, uuid4()) == (409, "already_one_person")
    assert refused(path, said, merge.idempotency_key) == (409, "idempotency_key_reused")
    assert refused(undo, {}) == (400, "invalid")
    request = open_erasure(subject=gone, key=uuid4(), verified=True)
    planning.plan(request.pk)
    said = {"other": str(gone.uuid), "reason": "r"}
    assert refused(path, said, uuid4()) == (409, "erasure_under_way")
    forgetting.forget(request.pk)
    assert refused(path, said, uuid4()) == (410, "subject_erased")
    assert Desk("consent:read").post(path, said, uuid4())[1]["code"] == "scope_missing"
    assert SubjectMerge.objects.count() == 1
