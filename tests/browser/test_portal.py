"""The portal in a real browser: a person looks, withdraws, asks for deletion and follows it."""

import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from django.core import mail
from django.db import connection

from consent.manifests import Body, Form
from consent.models import ConsentDecision, Manifest, RightsRequest
from consent.services import membership, notices, subjects
from governance.models import LegalBasis
from governance.services.registry import register_dataset
from governance.services.rules import create_purpose
from lineage.selectors.versions import current
from lineage.services.versions import ensure_origins

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
ANN = "ann@example.org"

pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="chromium is not installed")


@pytest.fixture
def page(monkeypatch) -> Iterator[object]:
    """Yield a page as wide as a phone; what a page complains about fails the test."""
    from playwright.sync_api import sync_playwright

    # The browser's driver runs an event loop, which Django takes for an asynchronous caller.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        made = browser.new_page(viewport={"width": 390, "height": 800})
        made.on("console", lambda said: complaints.append(said.text))
        yield made
        browser.close()
        connection.close()  # inside the loop the test had a connection of its own
    assert complaints == []


@pytest.fixture
def ann(transactional_db):
    purpose = create_purpose(
        key="research", title="Research", dpv_iri="https://w3id.org/dpv#ResearchAndDevelopment",
        legal_basis=LegalBasis.CONSENT,
    ).thing  # fmt: skip
    told = notices.draft(
        key="research", language="en", title="Our research", text="What we do.",
        purposes=[purpose],
    )  # fmt: skip
    notices.publish(uuid=told.uuid)
    dataset = register_dataset(namespace="clinic", name="patients").thing
    ensure_origins([dataset.pk])
    membership.load(
        dataset=dataset, version=current(dataset.pk), mode=Manifest.Mode.REPLACE,
        form=Form.NDJSON, body=Body(BytesIO(b'{"id": "ann@example.org"}').read, key=b"k" * 32),
        scheme="email",
    )  # fmt: skip
    return subjects.register(identifiers=[("email", ANN)]).subject


def reads_well(page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth") <= 390, page.url
    assert page.locator("h1").count() == 1, page.url
    assert page.locator("main").count() == 1, page.url


def test_a_person_looks_gives_withdraws_asks_for_deletion_and_follows_it(page, live_server, ann):
    page.goto(f"{live_server.url}/")
    reads_well(page)
    page.goto(f"{live_server.url}/sign-in")
    page.fill("input[type=email]", ANN)
    page.click("main button")
    reads_well(page)
    code = re.search(r"\b\d{4} ?\d{4}\b", mail.outbox[-1].body)
    page.locator("main input:not([type=hidden])").first.fill(code[0])
    page.click("main button")
    assert page.locator("h1").inner_text() == "My data"
    assert "patients" in page.locator("main").inner_text()
    reads_well(page)

    page.get_by_role("button", name="Give permission").click()
    page.get_by_role("button", name=re.compile("Withdraw")).click()
    kinds = list(ConsentDecision.objects.order_by("pk").values_list("kind", flat=True))
    assert kinds == ["given", "withdrawn"]

    page.goto(f"{live_server.url}/me/erase")
    reads_well(page)
    page.click("main button")
    reads_well(page)
    asked = RightsRequest.objects.get()
    assert (asked.subject, asked.kind) == (ann, "erasure")
    assert asked.verified_at is not None
    assert page.url == f"{live_server.url}/requests/{asked.uuid}"
    page.goto(f"{live_server.url}/requests/{asked.uuid}/certificate")
    reads_well(page)
    assert ANN not in page.content()
