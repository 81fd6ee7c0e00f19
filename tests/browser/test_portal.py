"""The portal in a real browser: a person looks, withdraws, asks for deletion and follows it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from consent.models import ConsentDecision, RightsRequest
from tests.factories.portal import ANN, carried_out, code_sent, library, person, retrained, settled

pytestmark = pytest.mark.django_db(transaction=True)

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 800}

# What can be told of a page by looking at its tree; each line names what is wrong.
LOOK = """() => {
  const wrong = [];
  const all = (what) => [...document.querySelectorAll(what)];
  const shown = (each) => each.checkVisibility() && each.getBoundingClientRect().width > 1;
  if (document.documentElement.scrollWidth > innerWidth) wrong.push("scrolls sideways");
  if (document.documentElement.lang !== "en") wrong.push("does not say its language");
  if (!document.title) wrong.push("has no title");
  for (const [what, count] of [["h1", 1], ["main", 1], ["body > header", 1], ["body > footer", 1]])
    if (all(what).length !== count) wrong.push(`has ${all(what).length} ${what}`);
  const levels = all("h1, h2, h3, h4").map((each) => Number(each.tagName[1]));
  levels.forEach((level, place) => {
    if (place && level > levels[place - 1] + 1) wrong.push(`skips to h${level}`);
  });
  const ids = all("[id]").map((each) => each.id);
  if (new Set(ids).size !== ids.length) wrong.push("uses an id twice");
  for (const each of all("[aria-labelledby], [aria-describedby]"))
    for (const name of ["aria-labelledby", "aria-describedby"])
      for (const id of (each.getAttribute(name) || "").split(" ").filter(Boolean))
        if (!document.getElementById(id)) wrong.push(`${name} ${id} leads nowhere`);
  for (const each of all("input:not([type=hidden])"))
    if (!each.labels.length) wrong.push(`no label for ${each.name}`);
  for (const each of all("nav, section, article"))
    if (!each.ariaLabel && !each.getAttribute("aria-labelledby"))
      wrong.push(`${each.tagName} has no name`);
  for (const each of all("a, button, summary")) {
    if (!each.textContent.trim()) wrong.push(`${each.outerHTML} says nothing`);
    const box = each.getBoundingClientRect();
    const free = !each.closest("p, dd, li li, h3") || each.tagName === "BUTTON";
    if (shown(each) && free && box.height < 24) wrong.push(`${each.textContent} is hard to hit`);
  }
  if (all("script, [style], iframe, [onclick]").length) wrong.push("is not plain");
  return wrong;
}"""


@dataclass
class Visit:
    """A person's window, and what the browser complained about in it."""

    url: str
    page: Any
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        """Open a page and look at it."""
        self.page.goto(self.url + path)
        self.look()

    def press(self, words: str) -> None:
        """Press a button or follow a link, and look at the page that comes."""
        self.page.locator("main").get_by_role("button", name=words).or_(
            self.page.locator("main").get_by_role("link", name=words)
        ).first.click()
        self.look()

    def fill(self, label: str, value: str) -> None:
        """Fill a field in by its label."""
        self.page.get_by_label(label).fill(value)

    def look(self) -> None:
        """Fail if anything is wrong with the page, closed and with everything opened."""
        if self.scripts:
            assert self.page.evaluate(LOOK) == [], self.page.url
            self.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
            assert self.page.evaluate(LOOK) == [], self.page.url

    scripts: bool = True

    @property
    def text(self) -> str:
        """Return what the page says."""
        return " ".join(self.page.locator("main").inner_text().split())

    def sign_in(self, address: str = ANN) -> None:
        """Sign in as people do."""
        self.open("/sign-in")
        self.fill("E-mail address", address)
        self.press("Send me a code")
        self.fill("Code from the e-mail", code_sent())
        self.press("Sign in")


@pytest.fixture
def made(transactional_db, tmp_path):
    return library(tmp_path)


def visit_of(chromium, live_server, **context: Any) -> Visit:
    page = chromium.new_context(**context).new_page()
    visit = Visit(live_server.url, page, scripts=context.get("java_script_enabled", True))
    page.on("console", lambda said: visit.complaints.append(said.text))
    page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    page.on(
        "request",
        lambda asked: (
            asked.url.startswith((live_server.url, "data:"))
            or visit.complaints.append(f"asked {asked.url}")
        ),
    )
    return visit


@pytest.fixture(params=["phone", "phone in the dark", "desk"])
def visit(request, chromium, live_server, made) -> Iterator[Visit]:
    viewport = DESK if request.param == "desk" else PHONE
    scheme = "dark" if "dark" in request.param else "light"
    opened = visit_of(chromium, live_server, viewport=viewport, color_scheme=scheme)
    yield opened
    assert opened.complaints == []


def test_a_person_looks_gives_withdraws_asks_for_deletion_and_follows_it(visit):
    visit.open("/")
    visit.press("Sign in to see yours")
    visit.sign_in()
    for words in ("public.loans", "what-to-read-next 1.0", "written by nightly.build_features"):
        assert words in visit.text
    visit.press("Give permission")
    assert "Your decision is recorded." in visit.text
    visit.press("Withdraw permission")
    said = ConsentDecision.objects.order_by("pk").values_list("kind", "notice_version__title")
    assert list(said) == [
        ("given", "Suggestions from your loans"),
        ("withdrawn", "Suggestions from your loans"),
    ]
    visit.press("Delete my data")
    visit.press("Yes, delete my data")
    asked = RightsRequest.objects.get()
    assert (asked.subject, asked.kind) == (person(ANN), "erasure")
    assert visit.page.url == f"{visit.url}/requests/{asked.uuid}"
    carried_out(asked)
    visit.page.reload()
    visit.look()
    assert "1 of 2 data sets." in visit.text
    assert "features/reading-history/2026: Nobody has told us yet" in visit.text
    visit.press("See and print it")
    assert "Not complete." in visit.text


def test_after_the_deletion_the_link_is_all_that_is_left(visit):
    visit.sign_in()
    visit.open("/me/erase")
    visit.press("Yes, delete my data")
    link, asked = visit.page.url, RightsRequest.objects.get()
    carried_out(asked)
    settled(asked)
    retrained()
    carried_out(asked)
    visit.open("/me")
    assert visit.text.startswith("Your data was erased")
    visit.page.context.clear_cookies()
    visit.page.goto(link)
    visit.look()
    assert "Complete since" in visit.text
    assert "Made good: a later version was trained without your data. Version 2.0." in visit.text
    visit.open(link.removeprefix(visit.url) + "/certificate")
    assert "Complete: nothing is outstanding." in visit.text
    assert ANN not in visit.page.content()


def test_rights_are_chosen_with_one_press_each(chromium, live_server, made):
    visit = visit_of(chromium, live_server, viewport=PHONE)
    visit.sign_in()
    visit.press("All my rights")
    visit.press("Ask for correction")
    field = visit.page.get_by_label("What is wrong")
    assert field.get_attribute("aria-invalid") == "true"
    visit.complaints.clear()  # the browser tells of the answer's status
    visit.fill("What is wrong", "I was born in 1990")
    visit.press("Ask for correction")
    assert visit.text.startswith("Request to put your data right Under way.")
    for words, title in (
        ("Ask for a copy", "Request for a copy of your data Under way."),
        ("Object to these uses", "Objection Complete since"),
        ("Restrict my data", "Request to restrict the use of your data In force since"),
    ):
        visit.open("/me/rights")
        visit.press(words)
        assert visit.text.startswith(title)
    visit.open("/me/rights")
    visit.press("Lift the restriction")
    assert "Your data is not restricted." in visit.text
    assert visit.complaints == []


@pytest.mark.parametrize("path", ["/", "/policies", "/policies/loans", "/policies/loans/1"])
def test_public_pages_read_well_and_leave_no_cookie(visit, path):
    visit.open(path)
    assert visit.page.context.cookies() == []


def test_everything_works_without_any_script(chromium, live_server, made):
    visit = visit_of(chromium, live_server, viewport=PHONE, java_script_enabled=False)
    visit.sign_in()
    visit.press("Give permission")
    visit.press("Withdraw permission")
    assert ConsentDecision.objects.count() == 2
    visit.press("Delete my data")
    visit.press("Yes, delete my data")
    assert "Keep this link." in visit.text
    assert visit.complaints == []


def test_one_can_sign_in_with_the_keyboard_alone(chromium, live_server, made):
    visit = visit_of(chromium, live_server, viewport=DESK)
    visit.open("/sign-in")
    visit.page.keyboard.press("Tab")
    focused = visit.page.locator(":focus")
    assert focused.inner_text() == "Skip to the text"
    assert focused.bounding_box()["y"] >= 0
    visit.page.keyboard.press("Enter")
    visit.page.keyboard.press("Tab")
    assert visit.page.locator(":focus").get_attribute("name") == "address"
    ring = "getComputedStyle(document.activeElement).outlineStyle"
    assert visit.page.evaluate(ring) == "solid"
    visit.page.keyboard.type(ANN)
    visit.page.keyboard.press("Enter")
    visit.page.wait_for_url("**/sign-in/code")
    visit.fill("Code from the e-mail", code_sent())
    visit.page.keyboard.press("Enter")
    visit.page.wait_for_url("**/me")
    assert visit.complaints == []


def test_what_is_wrong_is_said_beside_the_field(chromium, live_server, made):
    visit = visit_of(chromium, live_server, viewport=PHONE)
    visit.open("/sign-in")
    visit.fill("E-mail address", "ann")
    visit.press("Send me a code")
    field = visit.page.get_by_label("E-mail address")
    assert field.get_attribute("aria-invalid") == "true"
    said = visit.page.locator(f"#{field.get_attribute('aria-describedby')}")
    assert "does not look like an e-mail address" in said.inner_text()


@pytest.mark.parametrize("path", ["/nowhere", "/policies/nothing"])
def test_a_missing_page_reads_well(chromium, live_server, made, path):
    visit = visit_of(chromium, live_server, viewport=PHONE)
    visit.open(path)
    assert visit.text.startswith("There is nothing here")
