"""One connection to the service: time-outs, and patience only where the service asks for it."""

import time
import weakref
from collections.abc import Callable
from typing import Any

import httpx

from lineage.sdk.errors import UnreachableError, refused

TIMEOUT = httpx.Timeout(60.0, connect=5.0)
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
        waited = 0.0
        while True:
            answer = self._sent(path, body)
            wait = _asked_to_wait(answer)
            if wait is None:
                return _read(answer)
            if waited + wait > PATIENCE:
                raise UnreachableError(
                    f"the service was overloaded for {waited:.0f} seconds: try again later, or "
                    "have its operator look at the worker and the database."
                )
            self._sleep(wait)
            waited += wait

    def _sent(self, path: str, body: Any) -> httpx.Response:
        try:
            return self._client.post(path, json=body)
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


def _read(answer: httpx.Response) -> Any:
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not answer.is_success or body is None:
        raise refused(answer.status_code, body)
    return body
