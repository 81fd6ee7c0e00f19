"""Pages that anybody may read: what this is, and the rules. They count nobody and set no cookie."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from consent.portal import prose, words
from consent.portal.pages import page, shown
from governance.errors import NotFoundError
from governance.models import LegalBasis, Policy, PolicyVersion, Purpose
from governance.policy_rules import demands_of_published
from governance.selectors import rules

_DPV = tuple(f"{scheme}://w3id.org/dpv" for scheme in ("https", "http"))


@dataclass(frozen=True, slots=True)
class Card:
    """A purpose in the catalogue."""

    purpose: Purpose
    basis: words.Basis
    definition: str
    defined_by: str


@dataclass(frozen=True, slots=True)
class Shelved:
    """A policy and its newest published text."""

    policy: Policy
    version: PolicyVersion


@require_safe
@page
def front(request: HttpRequest) -> HttpResponse:
    """Say what this is, and show the catalogue of purposes and policies."""
    found = sorted(rules.purposes(), key=lambda each: each.title.casefold())
    cards = [
        Card(each, words.BASIS[LegalBasis(each.legal_basis)], address, _definer(address))
        for each in found
        for address in [_web_address(each.dpv_iri)]
    ]
    return shown(request, "front", {"cards": cards, "policies": _shelf()})


@require_safe
@page
def policies(request: HttpRequest) -> HttpResponse:
    """List the published policies."""
    return shown(request, "policies", {"policies": _shelf()})


@require_safe
@page
def policy(request: HttpRequest, key: str, number: int | None = None) -> HttpResponse:
    """Show a published policy: its newest text, or an earlier one."""
    found = rules.published_policy(key)
    versions = list(found.versions.all())
    wanted = [each for each in versions if number in {None, each.number}]
    if not wanted:
        raise NotFoundError("there is no such version of this policy")
    demands = demands_of_published(wanted[0].rules)
    context = {
        "policy": found, "version": wanted[0], "versions": versions,
        "blocks": prose.blocks(wanted[0].text),
        "asked": [each.sentences() for each in demands if not each.approvals],
        "reviewed": [each.sentences() for each in demands if each.approvals],
    }  # fmt: skip
    return shown(request, "policy", context)


def _web_address(iri: str) -> str:
    """Return an address that may stand in a link: what is no web page could be a script."""
    return iri if iri.startswith(("https://", "http://")) else ""


def _definer(address: str) -> str:
    """Name whoever defines a purpose: an organisation may have words of its own."""
    if address.startswith(_DPV):
        return "in the W3C\N{RIGHT SINGLE QUOTATION MARK}s privacy vocabulary"
    return f"at {urlsplit(address).hostname}" if address else ""


def _shelf() -> list[Shelved]:
    shelved = [Shelved(each, each.versions.all()[0]) for each in rules.published_policies()]
    return sorted(shelved, key=lambda each: each.version.title.casefold())
