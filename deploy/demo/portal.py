"""A person's browser, as far as the portal needs one: pages, forms and cookies over HTTP."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin

import httpx

from deploy.demo.doors import DoorError

SILENT = {"script", "style", "template"}


@dataclass(slots=True)
class Form:
    """One form of a page: what it sends of its own, and what its buttons are called."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    asks: set[str] = field(default_factory=set)
    buttons: dict[str, tuple[str, str]] = field(default_factory=dict)


class Page(HTMLParser):
    """A page that was read: its address, its text, and its forms."""

    def __init__(self, url: str, source: str) -> None:
        super().__init__()
        self.url = url
        self.forms: list[Form] = []
        self.links: dict[str, str] = {}
        self._texts: list[str] = []
        self._form: Form | None = None
        self._button: tuple[str, str] | None = None
        self._link: str | None = None
        self._caption: list[str] = []
        self._silent = 0
        self.feed(source)
        self.text = " ".join(" ".join(self._texts).split())

    def form(self, *, asks: str = "", button: str = "", **hidden: str) -> Form:
        """Return the first form that asks for a field, has a button, or holds hidden fields."""
        for form in self.forms:
            if (
                (not asks or asks in form.asks)
                and _pressed(form, button) is not None
                and hidden.items() <= form.fields.items()
            ):
                return form
        wanted = " ".join(filter(None, [asks, button, *hidden.values()]))
        raise DoorError(f"{self.url} has no form for {wanted}: {self.text[:500]}")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take in an opening tag."""
        found = {name: value or "" for name, value in attrs}
        if tag in SILENT:
            self._silent += 1
        elif tag == "form":
            action = urljoin(self.url, found.get("action", ""))
            self._form = Form(action or self.url, found.get("method", "get").lower())
            self.forms.append(self._form)
        elif tag == "a":
            self._link, self._caption = found.get("href"), []
        elif self._form is not None:
            self._control(self._form, tag, found)

    def _control(self, form: Form, tag: str, found: Mapping[str, str]) -> None:
        name, kind = found.get("name", ""), found.get("type", "text").lower()
        if tag == "button":
            self._button, self._caption = (name, found.get("value", "")), []
        elif tag == "input" and kind == "hidden":
            form.fields[name] = found.get("value", "")
        elif tag == "input" and kind in {"submit", "button"}:
            form.buttons[found.get("value", "")] = (name, found.get("value", ""))
        elif tag in {"input", "select", "textarea"} and name:
            form.asks.add(name)
            if kind in {"checkbox", "radio"} and "checked" in found:
                form.fields[name] = found.get("value", "on")

    def handle_endtag(self, tag: str) -> None:
        """Take in a closing tag."""
        words = " ".join(" ".join(self._caption).split())
        if tag in SILENT:
            self._silent -= 1
        elif tag == "form":
            self._form = None
        elif tag == "a" and self._link is not None:
            self.links[words] = urljoin(self.url, self._link)
            self._link = None
        elif tag == "button" and self._button is not None and self._form is not None:
            self._form.buttons[words] = self._button
            self._button = None

    def handle_data(self, data: str) -> None:
        """Take in text."""
        if not self._silent:
            self._texts.append(data)
            self._caption.append(data)


class Browser:
    """One person's visit: it keeps cookies and sends forms as browsers do."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(
            base_url=url, follow_redirects=True, timeout=30, trust_env=False
        )

    def open(self, address: str) -> Page:
        """Open a page."""
        return _read(self._client.get(address))

    def submit(self, form: Form, button: str = "", **filled: str) -> Page:
        """Fill a form in and send it, hidden fields and all; return the page that follows."""
        sent = {**form.fields, **filled}
        pressed = _pressed(form, button)
        if button and pressed and pressed[0]:
            sent[pressed[0]] = pressed[1]
        # A browser says where a form was; the service checks it against forgery.
        headers = {"Referer": form.action, "Origin": str(self._client.base_url).rstrip("/")}
        if form.method == "post":
            return _read(self._client.post(form.action, data=sent, headers=headers))
        return _read(self._client.get(form.action, params=sent))

    def close(self) -> None:
        """Close the window."""
        self._client.close()


def _pressed(form: Form, button: str) -> tuple[str, str] | None:
    words = button.lower()
    return next((sent for name, sent in form.buttons.items() if words in name.lower()), None)


def _read(answer: httpx.Response) -> Page:
    if not answer.is_success:
        asked = f"{answer.request.method} {answer.request.url.path}"
        raise DoorError(f"{asked} was answered with {answer.status_code}: {answer.text[:1000]}")
    return Page(str(answer.url), answer.text)
