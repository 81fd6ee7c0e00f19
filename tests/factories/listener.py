"""Somebody else's server that is told what happens here: a real one, which can misbehave."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Heard:
    """One request, as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def said(self) -> dict:
        return json.loads(self.body)

    def is_signed_with(self, secret: str) -> bool:
        """Check as the specification of Standard Webhooks says, with nothing of the service's."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        content = b".".join(
            [self.headers["webhook-id"].encode(), self.headers["webhook-timestamp"].encode(),
             self.body]
        )  # fmt: skip
        wanted = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
        fresh = abs(int(self.headers["webhook-timestamp"]) - time.time()) < 300
        return fresh and f"v1,{wanted}" in self.headers["webhook-signature"].split(" ")


@dataclass
class Listener:
    """What was heard, and how to answer."""

    url: str
    heard: list[Heard] = field(default_factory=list)
    answers: list[tuple] = field(default_factory=list)  # status, headers, and a body if any
    pause: float = 0.0


@contextmanager
def listening() -> Iterator[Listener]:
    """Yield a server on this machine that notes every request."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            listener.heard.append(Heard(self.path, dict(self.headers), body))
            time.sleep(listener.pause)
            status, headers, *said = listener.answers.pop(0) if listener.answers else (204, {})
            content = b"".join(said)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            with suppress(OSError):  # whoever asked may have left
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener = Listener(f"http://127.0.0.1:{server.server_port}/hooks?tenant=7")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield listener
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
