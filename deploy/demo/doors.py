"""The public doors: the REST interface, operators' command lines, and a person's mailbox."""

import email
import email.policy
import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import httpx

from deploy import programs

AT_ONCE = 6
PATIENCE = 30.0
PAUSE = 0.05

Thing = TypeVar("Thing")
Answer = TypeVar("Answer")


class DoorError(Exception):
    """A door answered in a way that ends the story."""


class Api:
    """The REST interface, for the holder of one key."""

    def __init__(self, url: str, bearer: str) -> None:
        self._url = url
        self.client = httpx.Client(
            base_url=f"{url}/api/v1/",
            headers={"Authorization": f"Bearer {bearer}"},
            timeout=30,
            trust_env=False,
        )

    def get(self, path: str, /, **asked: Any) -> Any:
        """Ask; any answer but 200 ends the story."""
        return _read(self.client.get(path, params=asked))

    def post(self, path: str, body: Any = None, /, **headers: str) -> Any:
        """Tell something as JSON; any answer but a success ends the story."""
        return _read(self.client.post(path, json=body, headers=headers))

    def put(self, path: str, body: Any) -> Any:
        """State something as JSON; any answer but a success ends the story."""
        return _read(self.client.put(path, json=body))

    def send(self, path: str, content: bytes, media_type: str, /, **asked: Any) -> httpx.Response:
        """Post bytes of some type, and return the answer whole if it is a success."""
        headers = {"Content-Type": media_type}
        answer = self.client.post(path, content=content, params=asked, headers=headers)
        _refuse(answer)
        return answer

    def ask(self, query: str, variables: Mapping[str, Any]) -> Any:
        """Ask in GraphQL; an error in the answer ends the story."""
        body = {"query": query, "variables": dict(variables)}
        answer = _read(self.client.post(f"{self._url}/graphql", json=body))
        if answer.get("errors"):
            raise DoorError(f"GraphQL answered with errors: {answer['errors']}")
        return answer["data"]

    def keys(self) -> Any:
        """Fetch the published keys, by which anything signed is checked."""
        return _read(self.client.get(f"{self._url}/.well-known/jwks.json"))

    def close(self) -> None:
        """Close the connections."""
        self.client.close()


def at_once(
    do: Callable[[Thing], Answer], things: Iterable[Thing], done: Callable[[], None]
) -> list[Answer]:
    """Do something for each of many things, a few at a time; ``done`` hears of each."""

    def counted(thing: Thing) -> Answer:
        answer = do(thing)
        done()
        return answer

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(counted, things))


def wait_for(
    what: str, look: Callable[[], Answer | None], instead: Callable[[], object] = lambda: ""
) -> Answer:
    """Look again and again until there is an answer, or raise `DoorError`.

    ``instead`` says what there is when the time is up.
    """
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(PAUSE)
    raise DoorError(f"{what} did not happen within {PATIENCE:.0f} seconds {instead()}".rstrip())


def _read(answer: httpx.Response) -> Any:
    _refuse(answer)
    return answer.json() if answer.content else None


def _refuse(answer: httpx.Response) -> None:
    if not answer.is_success:
        asked = f"{answer.request.method} {answer.request.url.path}"
        raise DoorError(f"{asked} was answered with {answer.status_code}: {answer.text[:2000]}")


def manage(*arguments: str, expected_status: int = 0) -> str:
    """Run one of the operators' commands; return what it printed."""
    done = subprocess.run(
        programs.manage(*arguments),
        cwd=programs.ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != expected_status:
        raise DoorError(
            f"manage.py {' '.join(arguments)} ended with {done.returncode}: "
            f"{(done.stderr or done.stdout).strip()[-500:]}"
        )
    return done.stdout + done.stderr


def issue_key(client: str, scopes: Iterable[str], namespaces: Iterable[str] = ()) -> str:
    """Have an operator issue a key; return its bearer string, which is shown this once."""
    arguments = ["issue_key", "--json", "--skip-checks", "--client", client]
    arguments += [part for scope in scopes for part in ("--scope", scope)]
    arguments += [part for each in namespaces for part in ("--namespace", each)]
    issued: Mapping[str, Any] = json.loads(manage(*arguments))
    return str(issued["key"])


class Mailbox:
    """What the service has sent to people, where it writes its mail to files."""

    def __init__(self) -> None:
        default = programs.ROOT / ".colophon" / "mail"
        self._folder = Path(os.environ.get("COLOPHON_MAIL_DIR") or default)

    def code_for(self, address: str) -> str:
        """Wait for the latest sign-in code that was sent to an address."""
        return wait_for(f"a letter with a code to {address}", lambda: self._code(address))

    def _code(self, address: str) -> str | None:
        if not self._folder.is_dir():
            return None
        letters = sorted(self._folder.glob("*.log"), key=lambda each: each.stat().st_mtime_ns)
        for letter in reversed(letters[-20:]):
            for text in reversed(letter.read_bytes().split(b"-" * 79 + b"\n")):
                read = email.message_from_bytes(text.lstrip(), policy=email.policy.default)
                body = read.get_body() if read["To"] == address else None
                code = re.search(r"\b\d{6,8}\b", body.get_content()) if body else None
                if code:
                    return code.group()
        return None
