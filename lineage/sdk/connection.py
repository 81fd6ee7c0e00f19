"""One connection to the service: time-outs, and patience only where the service asks for it."""

import time
import weakref
from collections.abc import Callable, Iterable
from typing import Any

import httpx

from lineage.sdk.errors import UnreachableError, refused

TIMEOUT = httpx.Timeout(60.0, connect=5.0)
COUNT = "Colophon-Answers"  # says how many of the bits in an answer count
PATIENCE = 60.0  # seconds in all that are waited because the service asked for it


class Connection:
    """The REST interface, for the holder of one key. It follows no redirect and keeps no cookie."""

    def __init__(
        self,
        url: str,
        api_key: str,
        *,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise UnreachableError("the address does not begin with https:// or http://: add it.")
        self.url = url.rstrip("/") + "/"
        self._sleep = sleep
        self._client = httpx.Client(
            base_url=f"{self.url}api/v1/",
            headers={"Authorization": f"Bearer {api_key}"},
            timeout=TIMEOUT,
            transport=transport,
        )
        # A script need not close what it drops: nothing stays open behind it.
        self.close = weakref.finalize(self, self._client.close)

    def post(self, path: str, body: Any) -> Any:
        """Send JSON and return the JSON of a success.

        It is sent again only after a 503 that says when. Raises `UnreachableError` and
        `RefusedError`.
        """
        answer = self._answered(path, json=body)
        try:
            return answer.json()
        except ValueError:
            raise refused(answer.status_code, None) from None

    def lines(self, path: str, lines: Iterable[str], **query: str) -> list[bool]:
        """Send lines and return the answer to each, as `post` does it."""
        headers = {"Content-Type": "application/x-ndjson", "Accept": "application/octet-stream"}
        content = "".join(f"{line}\n" for line in lines).encode()
        answer = self._answered(path, content=content, headers=headers, params=query)
        count = answer.headers.get(COUNT, "")
        if not count.isdecimal() or len(answer.content) != (int(count) + 7) // 8:
            raise refused(answer.status_code, None)
        return _bits(answer.content, int(count))

    def _answered(self, path: str, **request: Any) -> httpx.Response:
        waited = 0.0
        while True:
            answer = self._sent(path, **request)
            wait = _asked_to_wait(answer)
            if wait is None:
                break
            if waited + wait > PATIENCE:
                raise UnreachableError(
                    f"the service was overloaded for {waited:.0f} seconds: try again later, or "
                    "have its operator look at the worker and the database."
                )
            self._sleep(wait)
            waited += wait
        if not answer.is_success:
            raise refused(answer.status_code, _problem(answer))
        return answer

    def _sent(self, path: str, **request: Any) -> httpx.Response:
        try:
            return self._client.post(path, **request)
        except httpx.TimeoutException:
            raise UnreachableError(
                f"{self.url} did not answer in time: try again, or ask about less at a time."
            ) from None
        except httpx.TransportError as error:
            raise UnreachableError(
                f"{self.url} cannot be reached ({type(error).__name__}): is the address right, "
                "and does the service run?"
            ) from None


def _asked_to_wait(answer: httpx.Response) -> float | None:
    """Return the seconds after which the service wants to be asked again, if it does."""
    asked = answer.headers.get("Retry-After", "")
    if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or not asked.isdecimal():
        return None
    return max(float(asked), 0.1)


def _problem(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


def _bits(content: bytes, count: int) -> list[bool]:
    """Return so many bits, the first from the least significant place of the first byte."""
    if not count:
        return []
    digits = f"{int.from_bytes(content, 'little'):0{count}b}"
    return [digit == "1" for digit in reversed(digits)]
