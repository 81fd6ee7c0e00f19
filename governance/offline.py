"""Commands that check a signed statement offline: files in, sentences out, an exit code.

Pure: no database, no network and no setting. What there is to check is the caller's: a function
from a file's content and the published keys to findings.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from governance import signing, strictjson
from governance.errors import ColophonError

HOLDS, WRONG, UNREADABLE = 0, 1, 2


class NoStatementError(ColophonError):
    """The file holds nothing that was signed, or cannot be read."""

    code = "no_statement"
    status = 400


@dataclass(frozen=True, slots=True)
class Finding:
    """What came out for one statement, in sentences; ``about`` is empty if nobody can tell."""

    ok: bool
    says: str
    about: str = ""


Check = Callable[[bytes, Mapping[str, bytes]], list[Finding]]


@dataclass(frozen=True, slots=True)
class Checker:
    """One kind of statement: what the command is called and says, and how a file is checked.

    ``listed`` and ``subject`` name the findings, and what each is about, in the JSON object.
    """

    name: str
    about: str
    file: str
    check: Check
    listed: str
    subject: str
    nothing: str

    def run(self, file: Path, jwks: Path, *, as_json: bool) -> tuple[int, str]:
        """Check a file, and return the exit code with what there is to say."""
        try:
            keys = signing.keys_in(strictjson.loads(_content(jwks)))
            findings = self.check(_content(file), keys)
        except ColophonError as error:
            return UNREADABLE, error.message
        code = HOLDS if all(each.ok for each in findings) else WRONG
        if as_json:
            told = [self._told(each) for each in findings]
            return code, json.dumps({"ok": code == HOLDS, self.listed: told})
        lines = [f"{each.about}: {each.says}".removeprefix(": ") for each in findings]
        return code, "\n".join(lines) or self.nothing

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Say what can be given."""
        parser.add_argument("file", type=Path, metavar="FILE", help=self.file)
        parser.add_argument(
            "--jwks", type=Path, required=True, metavar="FILE",
            help="the published keys, from /.well-known/jwks.json",
        )  # fmt: skip
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def main(self, arguments: Sequence[str] | None = None) -> int:
        """Check what the command line names; return the exit code."""
        parser = argparse.ArgumentParser(prog=self.name, description=self.about)
        self.add_arguments(parser)
        given = parser.parse_args(arguments)
        code, says = self.run(given.file, given.jwks, as_json=given.json)
        (sys.stderr if code == UNREADABLE else sys.stdout).write(f"{says}\n")
        return code

    def _told(self, finding: Finding) -> dict[str, Any]:
        return {self.subject: finding.about or None, "ok": finding.ok, "says": finding.says}


def sentence(error: ColophonError) -> str:
    """Return what an error says, as a sentence."""
    return f"{error.message[:1].upper()}{error.message[1:]}."


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise NoStatementError(f"cannot read {path}: {error.strerror}") from None
