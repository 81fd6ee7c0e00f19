"""A person whose data is on record, for pages to show, and a person's way in."""

import re
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any

from django.core import mail
from django.test import Client

from consent.models import ErasureStep, NoticeVersion, RightsRequest, Subject
from consent.selectors import requests, subjects
from consent.services import erasing, forgetting, notices, planning, remediation
from consent.services.settling import settle_step
from governance.models import Dataset, LegalBasis, PolicyVersion, Purpose
from governance.services import ledger, rules
from governance.services.clients import issue_key
from governance.services.registry import register_dataset, register_model, register_storage
from lineage.services.apply import apply_ready
from lineage.services.inbox import accept
from lineage.services.provenance import find_late_models, freeze_stale
from tests.factories.consent import take
from tests.factories.events import NOON, run
from tests.factories.events import dataset as said
from tests.factories.governance import PurposeFactory

ANN = "ann.reader@example.org"
BOB = "bob.writer@example.org"
STRANGER = "nobody.here@example.org"

NOTICE = """\
We use the loans that you make to train a model that suggests what to read next.

# What is used

- which titles you borrowed, and when
- never your name, your address or what you wrote

# For how long

Until you take your permission back. You can do that at any time, with one press.
"""

POLICY = """\
A library shows every visitor its catalogue, and tells nobody what a reader has borrowed.

# What we keep

We keep a record of a loan until the book is back, and two weeks longer in case that it comes
back damaged. After that the record is erased.

# What we never do

- sell or lend the records
- combine them with what others know of you
- train anything on them without your permission
"""


@dataclass(frozen=True)
class Library:
    """A library that trains a model on loans."""

    loans: Dataset
    features: Dataset
    suggest: Purpose
    notice: NoticeVersion
    policy: PolicyVersion
    table: Path


def library(folder: Path) -> Library:
    """Register data sets, purposes and texts, name Ann and Bob, and train two versions."""
    table = folder / "loans.sqlite"
    with sqlite3.connect(table) as wire:
        wire.execute("CREATE TABLE loans (email TEXT, title TEXT)")
        rows = [(person, title) for person in (ANN, BOB) for title in ("Middlemarch", "Ulysses")]
        wire.executemany("INSERT INTO loans VALUES (?, ?)", rows)
    shelf = register_storage(name="lending", kind="sql", address=f"sqlite:///{table}").thing
    loans = register_dataset(
        namespace="postgres://lending", name="public.loans", storage=shelf, location="loans",
        description="What was borrowed, and when it came back.",
        categories=["loans", "contact"], subject_column="email", subject_scheme="email",
    ).thing  # fmt: skip
    features = register_dataset(
        namespace="s3://lake", name="features/reading-history/2026",
        description="One row a reader: which subjects they like.", categories=["preferences"],
    ).thing  # fmt: skip
    register_model(
        namespace="models", name="what-to-read-next", description="Suggests the next book."
    )
    suggest, notice = _purposes()
    learn(_lent() + _built() + _trained("1.0", 20) + _forecast())
    take(loans, [ANN, BOB], mode="replace", scheme="email")
    return Library(loans, features, suggest, notice, _policy(), table)


def learn(events: list[dict[str, Any]]) -> None:
    """Take events in, apply them, and freeze what they made."""
    accept(key=issue_key(client_name="pipeline", scopes=["lineage:write"]).key, events=events)
    while apply_ready():
        pass
    find_late_models()
    while freeze_stale():
        pass


def retrained() -> None:
    """Build the features anew from what is left now, and train both models on it."""
    now = (datetime.now(UTC) - NOON).total_seconds() / 60
    learn(_built(now + 5, run="again") + _trained("2.0", now + 20) + _forecast("2.0", now + 20))


def _lent() -> list[dict[str, Any]]:
    return run("import.loans", -90, -60, writes=[named("postgres://lending", "public.loans")])


def _forecast(version: str = "1.0", begins: float = 2) -> list[dict[str, Any]]:
    model = named("models", "late-returns", model=True, version=version)
    reads = [named("postgres://lending", "public.loans")]
    return run("train.returns", begins, begins + 4, reads=reads, writes=[model], run=f"r{version}")


def _built(begins: float = 0, **more: str) -> list[dict[str, Any]]:
    features = named("s3://lake", "features/reading-history/2026", lifecycle="OVERWRITE")
    reads = [named("postgres://lending", "public.loans")]
    return run("nightly.build_features", begins, begins + 5, reads=reads, writes=[features], **more)


def _trained(version: str, begins: float) -> list[dict[str, Any]]:
    model = named("models", "what-to-read-next", model=True, version=version)
    reads = [named("s3://lake", "features/reading-history/2026")]
    return run("train.suggestions", begins, begins + 9, reads=reads, writes=[model], run=version)


def named(namespace: str, name: str, **facets: Any) -> dict[str, Any]:
    """Return a data set of a namespace as events name it."""
    return said(name, **facets) | {"namespace": namespace}


def _purposes() -> tuple[Purpose, NoticeVersion]:
    service = PurposeFactory(
        key="lending", title="Lending books", legal_basis=LegalBasis.CONTRACT,
        dpv_iri="https://w3id.org/dpv#ServiceProvision",
    )  # fmt: skip
    suggest = PurposeFactory(
        key="suggestions", title="Suggesting what to read next",
        dpv_iri="https://w3id.org/dpv#Personalisation",
    )  # fmt: skip
    PurposeFactory(
        key="planning", title="Planning which books to buy",
        legal_basis=LegalBasis.LEGITIMATE_INTERESTS, parent=service,
        dpv_iri="https://w3id.org/dpv#OptimisationForController",
    )  # fmt: skip
    draft = notices.draft(
        key="suggestions", language="en", title="Suggestions from your loans", text=NOTICE,
        purposes=[suggest],
    )  # fmt: skip
    return suggest, notices.publish(uuid=draft.uuid)


def _policy() -> PolicyVersion:
    for text in ("What we kept before.", POLICY):
        draft = rules.draft_policy(key="loans", title="What we keep of your loans", text=text)
        version = rules.publish_policy(policy=draft.policy)
    return version


def carried_out(request: RightsRequest) -> None:
    """Do what the worker does for an erasure, and number the ledger."""
    planning.plan(request.pk)
    for _ in range(5):
        for pk in requests.datasets_to_erase_from():
            erasing.carry_out(dataset_id=pk)
    forgetting.forget(request.pk)
    remediation.observe(request.pk)
    while ledger.sequence():
        pass


def person(address: str) -> Subject:
    """Return who is known by an address."""
    found = subjects.by_identifier("email", address)
    assert found is not None
    return found


def code_sent() -> str:
    """Return the code in the last mail."""
    found = re.search(r"^\s*(\d{8})$", str(mail.outbox[-1].body), re.MULTILINE)
    assert found is not None
    return found[1]


def signed_in(address: str, browser: Client | None = None) -> Client:
    """Sign somebody in as people do, and return the browser."""
    browser = browser or Client()
    browser.post("/sign-in", {"address": address})
    browser.post("/sign-in/code", {"code": code_sent()})
    return browser


def settled(request: RightsRequest) -> None:
    """Settle by hand what no connector can reach, and do what the worker does next."""
    for step in request.steps.filter(state=ErasureStep.State.BLOCKED):
        settle_step(
            step=step,
            outcome=ErasureStep.Outcome.BY_HAND,
            code="by_hand",
            reason="done",
            evidence="seen",
        )
    carried_out(request)


def text_of(page: bytes) -> str:
    """Return what a page says, with a space where a block ends."""
    joined = re.sub(r"</?(?:a|span|strong|time)\b[^>]*>", "", page.decode())
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", joined)).split())
