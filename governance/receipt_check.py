"""Checking receipts offline: the signature, and that the ledger keeps the same decision.

Pure: it needs the receipt and the published keys, no database, no network and no setting. A file
holds one signed receipt as it is, or a JSON object with one under ``signed``, or a history with
one in each of its ``decisions``. Whoever has this source and no service can run it alone::

    python -m governance.receipt_check receipt.json --jwks jwks.json
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from governance import proofs, signing, strictjson
from governance.errors import ColophonError

TYP = "consent-receipt+json"
SIGNED, READABLE, HISTORY = "signed", "receipt", "decisions"
HOLDS, WRONG, UNREADABLE = 0, 1, 2

ABOUT = (
    "Check a receipt, or a person's whole history of decisions, against the published keys: the "
    "signature, and that the ledger keeps the same decision. Neither the database nor the network "
    "is used. The exit code is 0 if everything holds, 1 if something does not, 2 if a file cannot "
    "be read."
)


class NoReceiptError(ColophonError):
    """The file holds nothing that was signed."""

    code = "no_receipt"
    status = 400


@dataclass(frozen=True, slots=True)
class Finding:
    """What came out for one receipt, in sentences; ``decision`` is empty if nobody can tell."""

    ok: bool
    says: str
    decision: str = ""


def check(content: bytes, keys: Mapping[str, bytes]) -> list[Finding]:
    """Check every receipt in a file; an empty history has none.

    Raises `NoReceiptError` and `governance.strictjson.MalformedJSONError` for what is no receipt
    at all. A wrong one is a finding.
    """
    text = content.strip()
    if not text.startswith(b"{"):
        return [_checked(text.decode("ascii", "replace"), None, keys)]
    document = strictjson.loads(text)
    listed = document.get(HISTORY, [document])
    if not isinstance(listed, list):
        raise NoReceiptError("the decisions of the file are not a list")
    return [_of(each, keys) for each in listed]


def run(file: Path, jwks: Path, *, as_json: bool) -> tuple[int, str]:
    """Check a file, and return the exit code with what there is to say."""
    try:
        keys = signing.keys_in(strictjson.loads(_content(jwks)))
        findings = check(_content(file), keys)
    except ColophonError as error:
        return UNREADABLE, error.message
    code = HOLDS if all(each.ok for each in findings) else WRONG
    if as_json:
        return code, json.dumps({"ok": code == HOLDS, "receipts": [_told(e) for e in findings]})
    lines = [f"{each.decision}: {each.says}".removeprefix(": ") for each in findings]
    return code, "\n".join(lines) or "No decision in it."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what can be given."""
    parser.add_argument(
        "file", type=Path, metavar="FILE",
        help="a receipt from /api/v1/decisions/<uuid>/receipt, the signed text alone, or a "
        "history from the page “My data”",
    )  # fmt: skip
    parser.add_argument(
        "--jwks", type=Path, required=True, metavar="FILE",
        help="the published keys, from /.well-known/jwks.json",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def main(arguments: Sequence[str] | None = None) -> int:
    """Check what the command line names; return the exit code."""
    parser = argparse.ArgumentParser(prog="receipt_check", description=ABOUT)
    add_arguments(parser)
    given = parser.parse_args(arguments)
    code, says = run(given.file, given.jwks, as_json=given.json)
    (sys.stderr if code == UNREADABLE else sys.stdout).write(f"{says}\n")
    return code


def _told(finding: Finding) -> dict[str, Any]:
    return {"decision": finding.decision or None, "ok": finding.ok, "says": finding.says}


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise NoReceiptError(f"cannot read {path}: {error.strerror}") from None


def _of(entry: object, keys: Mapping[str, bytes]) -> Finding:
    signed = entry.get(SIGNED) if isinstance(entry, Mapping) else None
    if not isinstance(entry, Mapping) or not isinstance(signed, str):
        raise NoReceiptError("the file holds no signed receipt")
    return _checked(signed, entry.get(READABLE), keys)


def _checked(signed: str, readable: object, keys: Mapping[str, bytes]) -> Finding:
    try:
        claims = signing.verify(signed, typ=TYP, keys=keys)
        decision = _decision_in(claims)
        if readable is not None and readable != claims:
            return Finding(False, "The text beside the signed one says something else.", decision)
        problem = _problem_with(claims, decision)
    except ColophonError as error:
        return Finding(False, f"{error.message[:1].upper()}{error.message[1:]}.")
    if problem:
        return Finding(False, problem, decision)
    if claims.get("ledger") is None:
        return Finding(True, "Signed by us; it was issued before the ledger had it.", decision)
    size = claims["ledger"]["proof"]["size"]
    says = f"Signed by us, and among the first {size} entries of the ledger."
    return Finding(True, says, decision)


def _problem_with(claims: Mapping[str, Any], decision: str) -> str:
    """Return what is wrong with the ledger's part, or nothing."""
    kept = claims.get("ledger")
    if kept is None:
        return ""
    document = kept.get("proof") if isinstance(kept, Mapping) else None
    if not isinstance(document, Mapping):
        return "The part about the ledger holds no proof."
    proof, opening = proofs.InclusionProof.from_json(document), proofs.opening_in(document)
    if not proof.holds():
        return "The proof does not lead to the root of the ledger."
    if opening is None or not proofs.opens(proof.leaf, opening):
        return "The ledger's leaf commits to something else."
    said = strictjson.loads(opening.body)
    facts = said.get("facts") if isinstance(said, dict) else None
    if not isinstance(facts, dict) or facts.get("decision") != decision:
        return "The ledger's entry is about another decision."
    return ""


def _decision_in(claims: Mapping[str, Any]) -> str:
    record = claims.get("dpv:hasRecordOfActivity")
    found = record.get("dct:identifier") if isinstance(record, Mapping) else None
    if not isinstance(found, str):
        raise NoReceiptError("the statement names no decision")
    return found


if __name__ == "__main__":
    sys.exit(main())
