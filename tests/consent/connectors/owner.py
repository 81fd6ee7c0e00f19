"""An owner's endpoint for tests: a real server that checks signatures and can misbehave."""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = base64.b64encode(b"sixteen bytes or more").decode()
PAGE = 10_000


class Owner(ThreadingHTTPServer):
    """Tables in memory, and what went wrong or was seen."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.tables: dict[str, list[tuple]] = {}
        self.seen: list[tuple[str, str]] = []  # verb and idempotency key
        self.done: dict[str, dict] = {}
        self.refusing: dict[str, tuple[int, dict]] = {}  # per verb
        self.slow_after_erasing = self.lying = False
        self.promises = 0  # how often to answer 202
        self.status_url = "/clinic/status/1"
        self.evidence: object = None

    @property
    def address(self) -> str:
        return (
            f"http://:whsec_{KEY.replace('=', '%3D')}@127.0.0.1:{self.server_port}/clinic#private"
        )


class Handler(BaseHTTPRequestHandler):
    server: Owner

    def do_GET(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        key, at = self.headers["webhook-id"], self.headers["webhook-timestamp"]
        signed = hmac.digest(base64.b64decode(KEY), f"{key}.{at}.".encode() + body, hashlib.sha256)
        if self.headers["webhook-signature"] != f"v1,{base64.b64encode(signed).decode()}":
            return self.answer(401, {})
        owner, verb = self.server, self.path.removeprefix("/clinic/")
        self.server.seen.append((verb, self.headers["Idempotency-Key"]))
        if verb in owner.refusing:
            return self.answer(*owner.refusing[verb])
        if verb == "status/1" and owner.promises:
            return self.promise()
        if verb == "status/1":
            return self.answer(200, owner.done[key])
        return self.carry_out(verb, json.loads(body), key)

    def carry_out(self, verb: str, asked: dict, key: str) -> None:  # noqa: PLR0911
        owner = self.server
        rows = owner.tables.get(asked["location"])
        if rows is None:
            return self.answer(404, {})
        if asked["subject_column"] != "person":
            return self.answer(422, {"code": "subject_column_missing"})
        if verb == "members":
            start = asked["next"] or 0
            names = [str(row[0]) for row in rows[start : start + PAGE] if row[0] is not None]
            more = start + PAGE if start + PAGE < len(rows) else None
            return self.answer(200, {"identifiers": names, "next": more})
        chosen = set(asked["identifiers"])
        theirs = [row for row in rows if row[0] is not None and str(row[0]) in chosen]
        if verb != "erase":
            return self.answer(200, {"rows": len(theirs)})
        if key in owner.done:
            return self.answer(200, owner.done[key])
        if not owner.lying:
            owner.tables[asked["location"]] = [row for row in rows if row not in theirs]
        owner.done[key] = {"rows": len(theirs), "evidence": owner.evidence}
        if owner.promises:
            return self.promise()
        if owner.slow_after_erasing:
            owner.slow_after_erasing = False
            time.sleep(1.5)
        return self.answer(200, owner.done[key])

    def promise(self) -> None:
        self.server.promises -= 1
        self.answer(202, {}, {"Location": self.server.status_url, "Retry-After": "0"})

    def answer(self, status: int, told: dict, headers: dict[str, str] | None = None) -> None:
        content = json.dumps(told).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(content)
        except OSError:  # whoever asked has left
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def running() -> Iterator[Owner]:
    owner = Owner()
    thread = threading.Thread(target=owner.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield owner
    finally:
        owner.shutdown()
        owner.server_close()
        thread.join()
