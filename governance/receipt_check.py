"""Checking receipts offline: the signature, and that the ledger keeps the same decision.

Pure: it needs the receipt and the published keys, no database, no network and no setting. A file
holds one signed receipt as it is, or a JSON object with one under ``signed``, or a history with
one in each of its ``decisions``. Whoever has this source and no service can run it alone::

    python -m governance.receipt_check receipt.json --jwks jwks.json
"""

import sys
from collections.abc import Mapping
from typing import Any

from governance import proofs, signing, strictjson
from governance.errors import ColophonError
from governance.offline import Checker, Finding, NoStatementError, sentence

TYP = "consent-receipt+json"
SIGNED, READABLE, HISTORY = "signed", "receipt", "decisions"


def check(content: bytes, keys: Mapping[str, bytes]) -> list[Finding]:
    """Check every receipt in a file; an empty history has none.

    Raises `NoStatementError` and `governance.strictjson.MalformedJSONError` for what is no receipt
    at all. A wrong one is a finding.
    """
    text = content.strip()
    if not text.startswith(b"{"):
        return [_checked(text.decode("ascii", "replace"), None, keys)]
    document = strictjson.loads(text)
    listed = document.get(HISTORY, [document])
    if not isinstance(listed, list):
        raise NoStatementError("the decisions of the file are not a list")
    return [_of(each, keys) for each in listed]


def _of(entry: object, keys: Mapping[str, bytes]) -> Finding:
    signed = entry.get(SIGNED) if isinstance(entry, Mapping) else None
    if not isinstance(entry, Mapping) or not isinstance(signed, str):
        raise NoStatementError("the file holds no signed receipt")
    return _checked(signed, entry.get(READABLE), keys)


def _checked(signed: str, readable: object, keys: Mapping[str, bytes]) -> Finding:
    try:
        claims = signing.verify(signed, typ=TYP, keys=keys)
        decision = _decision_in(claims)
        if readable is not None and readable != claims:
            return Finding(False, "The text beside the signed one says something else.", decision)
        problem = _problem_with(claims, decision)
    except ColophonError as error:
        return Finding(False, sentence(error))
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
        raise NoStatementError("the statement names no decision")
    return found


RECEIPTS = Checker(
    name="receipt_check",
    about=(
        "Check a receipt, or a person's whole history of decisions, against the published keys: "
        "the signature, and that the ledger keeps the same decision. Neither the database nor the "
        "network is used. The exit code is 0 if everything holds, 1 if something does not, 2 if a "
        "file cannot be read."
    ),
    file=(
        "a receipt from /api/v1/decisions/<uuid>/receipt, the signed text alone, or a history from "
        "the page “My data”"
    ),
    check=check,
    listed="receipts",
    subject="decision",
    nothing="No decision in it.",
)


if __name__ == "__main__":
    sys.exit(RECEIPTS.main())
