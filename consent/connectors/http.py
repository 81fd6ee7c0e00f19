"""An owner's own endpoint: we ask over HTTPS, the owner searches, erases and looks again.

The address is ``https://:KEY@host/base``; KEY, percent-encoded, is the base64 of a shared key (with
``whsec_`` before it or not). We POST JSON objects to paths below the base:

    /locate /erase /verify   {"location", "subject_column", "identifiers"} -> {"rows", "evidence"?}
    /members                 {"location", "subject_column", "next"} -> {"identifiers", "next"}

Each request is signed as Standard Webhooks say (v1, HMAC-SHA256). ``Idempotency-Key`` is the same
in every attempt of one step to erase, and new for every question. 202 with ``Location`` below the
same origin means that the answer will be there. An error may say ``{"code"}``, one of ours. Nothing
that the owner claims is believed: ``verify`` asks again. ``#private`` behind the address allows a
network that is not public, and plain HTTP in it.
"""

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from urllib.parse import SplitResult, unquote, urljoin, urlsplit
from uuid import uuid4

import httpx

from consent.connectors import base, identifiers
from consent.connectors.base import JSON, Connector, Erased, Located, Place
from governance import outbound
from governance.outbound import PORTS, Peer

TIMEOUT: Final = httpx.Timeout(30.0, connect=5.0)
LONGEST_ANSWER: Final = 16 << 20  # bytes
LONGEST_WAIT: Final = 60.0  # seconds for an answer that was promised; then the step is tried again
PAUSE: Final = 1.0  # seconds between looks, unless the owner asks for more
_Kind: TypeAlias = type[base.ConnectorError]
_BY_STATUS: Final[dict[int, _Kind]] = {
    **dict.fromkeys((404, 410), base.StorageMissingError),
    **dict.fromkeys((409, 423, 425, 429), base.StorageBusyError),
    **dict.fromkeys((408, 500, 502, 503, 504), base.StorageUnreachableError),
}
_OURS: Final[dict[str, _Kind]] = {
    each.code: each
    for each in (
        base.StorageBusyError,
        base.StorageReadOnlyError,
        base.StorageRefusedError,
        base.StorageMissingError,
        base.StorageUnreadableError,
        base.SubjectColumnMissingError,
    )
}


class HttpConnector(Connector):
    """See the module."""

    def members(self, place: Place) -> Iterator[list[str]]:
        """Ask page by page."""
        with _opened(place) as owner:
            following: JSON = None
            while True:
                page = owner.ask("members", {"next": following}, str(uuid4()))
                names = page.get("identifiers")
                if not isinstance(names, list) or not all(isinstance(n, str) for n in names):
                    raise _misunderstood(place)
                if names:
                    yield names
                if (following := page.get("next")) is None:
                    return

    def locate(self, place: Place, values: frozenset[str]) -> Located:
        """Ask how many rows there are."""
        with _opened(place) as owner:
            answer = owner.ask("locate", _named(values), str(uuid4()))
            rows = _rows(answer, place)
        return Located(rows, (place.location,) if rows else ())

    def rows(self, place: Place, values: frozenset[str]) -> Iterator[Mapping[str, JSON]]:
        """Raise: an owner says that rows are there, and hands them out to the person alone."""
        raise base.RowsNotReadError(f"Ask the owner of {place.location} to copy the person's rows.")

    def erase(self, place: Place, values: frozenset[str]) -> Erased:
        """Ask to erase; what the owner claims is evidence of the claim only.

        Nobody is asked to erase nobody: a repetition that finds the rows gone needs no answer.
        """
        if not values:
            return Erased(0, (), {"rows_claimed": 0})
        with _opened(place) as owner:
            about = _named(values)
            once = owner.key_of(place.step, about) if place.step else str(uuid4())
            answer = owner.ask("erase", about, once)
            rows = _rows(answer, place)
        told = answer.get("evidence")
        evidence: dict[str, JSON] = {"rows_claimed": rows, "idempotency_key": once}
        if told is not None:
            says = json.dumps(told, ensure_ascii=False)
            named = any(each in says for each in values)
            evidence["owner_says"] = "withheld: it names people" if named else told
        return Erased(rows, (place.location,) if rows else (), evidence)

    def verify(self, place: Place, values: frozenset[str]) -> int:
        """Ask anew, with a key that no earlier answer is kept under."""
        with _opened(place) as owner:
            return _rows(owner.ask("verify", _named(values), str(uuid4())), place)


@dataclass(frozen=True)
class _Owner:
    """An open connection to one checked address."""

    peer: Peer
    key: bytes
    place: Place

    @property
    def url(self) -> SplitResult:
        return self.peer.url

    def key_of(self, step: str, about: Mapping[str, JSON]) -> str:
        """Return what is the same whenever this step asks for the same; keyed, so it tells none."""
        asked = json.dumps([step, self.place.location, about]).encode()
        return hmac.new(self.key, asked, hashlib.sha256).hexdigest()

    def ask(self, verb: str, about: Mapping[str, JSON], once: str) -> dict[str, Any]:
        """Return the answer, waiting if it is promised; raise what the status says otherwise."""
        where = {"location": self.place.location, "subject_column": self.place.subject_column}
        path = f"{self.url.path.rstrip('/')}/{verb}"
        status, headers, body = self._send("POST", path, json.dumps({**where, **about}), once)
        until = time.monotonic() + LONGEST_WAIT
        while status == 202:
            path, pause = self._promised(headers, path), _pause(headers)
            if time.monotonic() + pause > until:
                raise base.StorageBusyError(
                    f"The owner of {self.place.location} is still at it; it is tried again."
                )
            time.sleep(pause)
            status, headers, body = self._send("GET", path, "", once)
        if status != 200:
            raise self._refusal(verb, status, body)
        answer = _object(body)
        if answer is None:
            raise _misunderstood(self.place)
        return answer

    def _send(
        self, method: str, path: str, body: str, once: str
    ) -> tuple[int, httpx.Headers, bytes]:
        at, content = int(time.time()), body.encode()
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": once,
            "webhook-id": once,
            "webhook-timestamp": str(at),
            "webhook-signature": outbound.signature(
                self.key, message_id=once, timestamp=at, body=content
            ),
        }
        answer = self.peer.send(method, path, content, headers)
        try:
            read = bytearray()
            for chunk in answer.iter_bytes():
                read += chunk
                if len(read) > LONGEST_ANSWER:
                    raise _misunderstood(self.place)
            return answer.status_code, answer.headers, bytes(read)
        finally:
            answer.close()

    def _promised(self, headers: httpx.Headers, path: str) -> str:
        """Return the path where the answer will be, if that is the owner's own."""
        own = f"{self.url.scheme}://{self.url.netloc.rpartition('@')[2]}"
        url = urlsplit(urljoin(f"{own}{path}", str(headers.get("Location", ""))))
        if "Location" not in headers or f"{url.scheme}://{url.netloc}" != own:
            raise _misunderstood(self.place)
        return f"{url.path}?{url.query}" if url.query else str(url.path)

    def _refusal(self, verb: str, status: int, body: bytes) -> base.ConnectorError:
        """Choose our error; the owner's own words may name people and are not repeated."""
        location = self.place.location
        said = (_object(body) or {}).get("code")
        kind = _OURS.get(said) if isinstance(said, str) else None
        kind = kind or _BY_STATUS.get(status, base.StorageUnreadableError)
        if status in {401, 403} and verb == "erase":
            kind = base.StorageReadOnlyError
        return kind(f"Ask the owner of {location} why the endpoint answered {status} to {verb}.")


@contextmanager
def _opened(place: Place) -> Iterator[_Owner]:
    url, key = _parts(place)
    try:
        with outbound.connected(url, private=url.fragment == "private", timeout=TIMEOUT) as peer:
            yield _Owner(peer, key, place)
    except outbound.PeerForbiddenError:
        raise base.StorageUnreadableError(
            "Register an endpoint with https on a public address, or allow a private network by "
            "#private."
        ) from None
    except outbound.PeerUnresolvedError:
        raise base.StorageUnreachableError(
            "Check the name of the endpoint's host: it cannot be resolved."
        ) from None
    except (httpx.HTTPError, httpx.StreamError):
        raise base.StorageUnreachableError(
            f"Check that the endpoint of {place.location} runs: it did not answer in time. "
            "What it may have done already is found by asking again."
        ) from None


def _parts(place: Place) -> tuple[SplitResult, bytes]:
    try:
        url = urlsplit(place.address)
        encoded = unquote(url.password or "").removeprefix("whsec_")
        key, known = base64.b64decode(encoded, validate=True), url.scheme in PORTS
        usable = bool(known and url.hostname and url.port != 0 and not url.query)
        usable = usable and url.fragment in {"", "private"}
    except (ValueError, binascii.Error):
        key, usable = b"", False
    if not usable or len(key) < 16:
        raise base.StorageUnreadableError(
            f"Register the endpoint of {place.location} as https://:KEY@host/base, KEY being at "
            "least 16 random bytes in percent-encoded base64."
        )
    return url, key


def _named(values: frozenset[str]) -> dict[str, JSON]:
    return {"identifiers": sorted(each for each in values if identifiers.as_text(each))}


def _rows(answer: Mapping[str, Any], place: Place) -> int:
    rows = answer.get("rows")
    if not isinstance(rows, int) or isinstance(rows, bool) or rows < 0:
        raise _misunderstood(place)
    return rows


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None


def _pause(headers: httpx.Headers) -> float:
    asked = headers.get("Retry-After", "")
    return max(PAUSE, float(asked)) if asked.isascii() and asked.isdecimal() else PAUSE


def _misunderstood(place: Place) -> base.StorageUnreadableError:
    return base.StorageUnreadableError(
        f"Ask the owner of {place.location} to answer as agreed: what came cannot be understood."
    )
