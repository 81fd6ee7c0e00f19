"""Speaking to servers of others: the addresses behind a name, checked before it connects.

What is checked is what is connected to: a name that answers otherwise a moment later (DNS
rebinding) changes nothing. Addresses of the local network need the owner's leave; those that mean
a machine's own metadata service, many machines or none are never spoken to. No proxy, no settings
of the environment and no redirect can lead elsewhere.
"""

import base64
import hashlib
import hmac
import ipaddress
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult

import httpx

from governance.errors import ColophonError

PORTS: Final = {"http": 80, "https": 443}
TIMEOUT: Final = httpx.Timeout(30.0, connect=5.0)


class PeerUnresolvedError(ColophonError):
    """The host's name leads to no address."""

    code = "peer_unresolved"
    status = 400


class PeerForbiddenError(ColophonError):
    """The host is in a network, or is asked for in a way, that is not allowed."""

    code = "peer_forbidden"
    status = 400


@dataclass(frozen=True, slots=True)
class Peer:
    """An open connection to one checked address."""

    client: httpx.Client
    url: SplitResult
    address: str

    def send(
        self, method: str, path: str, content: bytes, headers: Mapping[str, str]
    ) -> httpx.Response:
        """Send a request to a path and return the answer, whose body is not read yet: close it."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        target = f"{self.url.scheme}://{host}:{self.url.port or PORTS[self.url.scheme]}{path}"
        request = self.client.build_request(
            method, target, content=content,
            headers={"Host": self.url.netloc.rpartition("@")[2], **headers},
            extensions={"sni_hostname": self.url.hostname or ""},
        )  # fmt: skip
        return self.client.send(request, stream=True)


@contextmanager
def connected(
    url: SplitResult, *, private: bool, timeout: httpx.Timeout = TIMEOUT
) -> Iterator[Peer]:
    """Yield a way to speak to the host of a URL, and only to it.

    Raises `PeerUnresolvedError` and `PeerForbiddenError`; in the block, httpx's own errors.
    """
    address = address_behind(url, private=private)
    with httpx.Client(timeout=timeout, trust_env=False, follow_redirects=False) as client:
        yield Peer(client, url, address)


def address_behind(url: SplitResult, *, private: bool) -> str:
    """Return an address to connect to; raise unless every one behind the name is allowed."""
    if url.scheme != "https" and not (url.scheme == "http" and private):
        raise PeerForbiddenError("only https is spoken, and http where a private network is")
    try:
        found = socket.getaddrinfo(
            url.hostname, url.port or PORTS[url.scheme], type=socket.SOCK_STREAM
        )
    except (OSError, UnicodeError):
        raise PeerUnresolvedError("the host's name cannot be resolved") from None
    addresses = [str(each[4][0]) for each in found]
    if not all(allowed(each, private=private) for each in addresses):
        raise PeerForbiddenError("the host is not on a public address")
    return addresses[0]


def allowed(text: str, *, private: bool) -> bool:
    """Say whether an address may be spoken to."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    return address.is_global or (private and (address.is_private or address.is_loopback))


def signature(key: bytes, *, message_id: str, timestamp: int, body: bytes) -> str:
    """Return a signature as Standard Webhooks 1.0 writes it (``v1``, HMAC-SHA-256)."""
    signed = hmac.digest(key, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(signed).decode()}"
