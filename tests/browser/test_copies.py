"""The copy of one's data as it lies on a person's own machine: a page that reads on a phone."""

import io
import sqlite3
import zipfile

import pytest

from consent.services import packages, subjects
from tests.factories.portal import ANN, library, person
from tests.factories.rights import ask, copied

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_the_page_in_a_copy_reads_well_and_leads_to_the_rows(chromium, tmp_path, width, scheme):
    made = library(tmp_path)
    with sqlite3.connect(made.table) as wire:
        wire.execute("ALTER TABLE loans ADD COLUMN a_column_with_a_name_that_is_far_too_long TEXT")
        wire.execute("INSERT INTO loans VALUES (?, 'Emma', ?)", (ANN, "x" * 150))
    subjects.register(identifiers=[("email", ANN)])
    request = ask("access", person(ANN))
    assert copied(request)
    request.refresh_from_db()
    with zipfile.ZipFile(io.BytesIO(packages.fetch(package=request.package))) as archive:
        archive.extractall(tmp_path / "copy")
    page = chromium.new_context(
        viewport={"width": width, "height": 844}, color_scheme=scheme
    ).new_page()
    page.goto(f"file://{tmp_path}/copy/index.html")
    page.locator("summary").click()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator("table").count() == 3
    assert "Middlemarch" in page.locator("table").first.inner_text()
    assert f"{'x' * 150}" in page.locator("table").last.inner_text()
    page.get_by_role("link", name="rows/01-postgres-lending.public.loans.jsonl").click()
    page.wait_for_url("**/rows/01-postgres-lending.public.loans.jsonl")
    assert page.locator("body").inner_text().count(ANN) == 3
