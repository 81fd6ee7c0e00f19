"""Who is looking: what a browser's session holds, and nothing of it in clear.

While somebody signs in it holds a secret for the code and the sealed address; afterwards the
public name of the person or, of a person who is not registered, still the sealed address. An
address that cannot be opened any more is that of a stranger.
"""

import ipaddress
from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest

from consent.identifiers import EMAIL
from consent.models import Subject
from consent.selectors import portal
from consent.services import subjects
from governance.crypto import UnreadableError
from governance.keys import organisation_key

PLACE = "session"
BROWSER, ADDRESS, PERSON = "portal.browser", "portal.address", "portal.person"
SIGNED_IN = "portal.signed_in"


@dataclass(frozen=True, slots=True, repr=False)
class Visitor:
    """Somebody who has signed in: a person, one who was erased, or one nobody knows."""

    subject: Subject | None
    erased_at: datetime | None


def begin(request: HttpRequest, *, address: str, browser: bytes) -> None:
    """Remember who wants to sign in; an earlier attempt of the same browser is over."""
    request.session[BROWSER] = b64encode(browser).decode()
    request.session[ADDRESS] = _sealed(address)


def browser_of(request: HttpRequest) -> bytes | None:
    """Return the secret that the code is bound to, if this browser has asked for one."""
    kept = request.session.get(BROWSER)
    return b64decode(kept) if kept else None


def address_of(request: HttpRequest) -> str | None:
    """Return the address in this session, if there is one."""
    kept = request.session.get(ADDRESS)
    if not kept:
        return None
    try:
        return organisation_key().open(b64decode(kept), PLACE).decode()
    except UnreadableError:
        return None


def enter(request: HttpRequest) -> None:
    """Sign in whoever the code was sent to, under a new session key."""
    address = address_of(request)
    request.session.flush()
    if address is None:
        return
    request.session[SIGNED_IN] = True
    found = portal.identity(address).subject
    if found is not None and portal.is_registered(found):
        request.session[PERSON] = str(found.uuid)
    else:
        request.session[ADDRESS] = _sealed(address)


def leave(request: HttpRequest) -> None:
    """Sign out: nothing of the session is left."""
    request.session.flush()


def visitor(request: HttpRequest) -> Visitor | None:
    """Return who has signed in, if anybody has."""
    if not request.session.get(SIGNED_IN):
        return None
    named = request.session.get(PERSON)
    if named:
        subject = portal.subject_named(UUID(named))
        return Visitor(subject, subject.erased_at) if subject else None
    address = address_of(request)
    if address is None:
        return None
    known = portal.identity(address)
    return Visitor(known.subject, known.erased_at)


def registered(request: HttpRequest, visitor: Visitor) -> Subject:
    """Return the person, registered now if nobody had: only a decision or a request does that."""
    if request.session.get(PERSON) and visitor.subject is not None:
        return visitor.subject
    address = address_of(request)
    subject = subjects.register(identifiers=[(EMAIL, address or "")]).subject
    request.session[PERSON] = str(subject.uuid)
    request.session.pop(ADDRESS, None)
    return subject


def sends_privacy_signal(request: HttpRequest) -> bool:
    """Say whether the browser sends Global Privacy Control; one "1" among several is enough."""
    sent = request.headers.get("Sec-GPC", "")
    return any(each.strip() == "1" for each in sent.split(","))


def client_of(request: HttpRequest) -> str:
    """Return the network address that asks, for the limits; of IPv6, the network of one household.

    ``X-Forwarded-For`` can be written by anybody, so only as many of its last entries are
    believed as there are proxies of ours.
    """
    hops = [each.strip() for each in request.headers.get("X-Forwarded-For", "").split(",")]
    proxies = int(getattr(settings, "COLOPHON_TRUSTED_PROXIES", 0))
    told = hops[-proxies] if 0 < proxies <= len(hops) else request.META.get("REMOTE_ADDR", "")
    try:
        address = ipaddress.ip_address(told)
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def _sealed(address: str) -> str:
    return b64encode(organisation_key().seal(address.encode(), PLACE)).decode()
