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
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

import httpx

from governance.errors import ColophonError

PORTS: Final = {"http": 80, "https": 443}
TIMEOUT: Final = httpx.Timeout(30.0, connect=5.0)
LONGEST_ASKED: Final = 86_400  # the most that a Retry-After is heeded, in seconds
LONGEST_READ: Final = 15.0
GONE: Final = 410


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


@dataclass(frozen=True, slots=True)
class Answer:
    """How a message went: an HTTP status, or the code of what came in between.

    ``body`` is the beginning of what was answered, as far as it was asked for.
    """

    status: int | None
    code: str = ""
    retry_after: int = 0
    body: bytes = b""

    @property
    def arrived(self) -> bool:
        """Say whether it was taken: a 2xx, and nothing else."""
        return self.status is not None and 200 <= self.status < 300


def post(
    address: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    private: bool,
    timeout: httpx.Timeout = TIMEOUT,
    read: int = 0,
) -> Answer:
    """Send a message, and read the first ``read`` bytes of the answer; whatever happens is told."""
    url = urlsplit(address)
    path = f"{url.path or '/'}?{url.query}" if url.query else url.path or "/"
    try:
        with connected(url, private=private, timeout=timeout) as peer:
            answer = peer.send("POST", path, body, headers)
            try:
                said = _beginning(answer, read)
                return Answer(answer.status_code, "", _asked_to_wait(answer), said)
            finally:
                answer.close()
    except (PeerForbiddenError, PeerUnresolvedError) as error:
        return Answer(None, error.code)
    except httpx.TimeoutException:
        return Answer(None, "timed_out")
    except (httpx.HTTPError, httpx.StreamError):
        return Answer(None, "not_reached")


def parts_of(address: str, *, private: bool) -> SplitResult:
    """Return the parts of an address that messages can go to, or raise ValueError with why not."""
    try:
        parts = urlsplit(address)
        usable = bool(parts.scheme in PORTS and parts.hostname and parts.port != 0)
    except ValueError:
        usable = False
    plain = address.isascii() and address.isprintable() and " " not in address
    if not usable or not plain or parts.fragment:
        raise ValueError("the address is not https://host/path")
    if parts.scheme != "https" and not private:
        raise ValueError("the address does not begin with https://")
    return parts


def signed(body: bytes, *, message_id: str, keys: Iterable[bytes]) -> dict[str, str]:
    """Return the headers of a JSON message, signed with each key as Standard Webhooks 1.0 says."""
    now = int(time.time())
    signatures = [signature(key, message_id=message_id, timestamp=now, body=body) for key in keys]
    return {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(now),
        "webhook-signature": " ".join(signatures),
    }


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


def _asked_to_wait(answer: httpx.Response) -> int:
    asked = answer.headers.get("Retry-After", "")
    return min(int(asked), LONGEST_ASKED) if asked.isascii() and asked.isdecimal() else 0


def _beginning(answer: httpx.Response, most: int) -> bytes:
    """Read no more than is wanted, nor for longer than an answer may take."""
    found, ends = b"", time.monotonic() + LONGEST_READ
    for part in answer.iter_bytes() if most else ():
        found += part
        if len(found) >= most or time.monotonic() > ends:
            break
    return found[:most]
