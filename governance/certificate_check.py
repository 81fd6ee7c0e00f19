"""Checking certificates of erasure offline: the signature, and each claim against the ledger.

Pure: it needs the certificate and the published keys, no database, no network and no setting. A
file holds a JSON object with ``certificate`` and ``signed``, or the signed text alone. Whoever
has this source and no service can run it alone::

    python -m governance.certificate_check certificate.json --jwks jwks.json

The signature says that the service said so. The ledger's openings say that it said the same when
it happened: which step ended how, with how many rows and which evidence.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from governance import proofs, signing, strictjson
from governance.errors import ColophonError
from governance.offline import Checker, Finding, NoStatementError, sentence

TYP = "erasure-certificate+json"
SIGNED, READABLE = "signed", "certificate"
STEPS = ("erasure.step", "erasure.settled")
MEASURED, ANSWERED = "remediation.measure_taken", "notice.answered"
LAPSED = "notice.lapsed"
COMPLETED = "request.completed"


class _WrongError(ColophonError):
    """The certificate claims what the ledger does not bear out."""

    code = "certificate_wrong"
    status = 422


@dataclass(slots=True)
class _Told:
    """What the ledger's proven entries say of the request."""

    steps: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    closed: dict[str, str] = field(default_factory=dict)
    measures: dict[str, object] = field(default_factory=dict)
    answers: dict[str, tuple[object, object]] = field(default_factory=dict)
    lapses: dict[str, object] = field(default_factory=dict)
    kinds: set[str] = field(default_factory=set)
    roots: dict[int, bytes] = field(default_factory=dict)
    waiting: int = 0

    def take(self, kind: str, facts: Mapping[str, Any]) -> None:
        """Remember one entry."""
        self.kinds.add(kind)
        if kind in STEPS:
            self.steps[str(facts.get("step"))] = facts
        if kind == "remediation.closed":
            self.closed[str(facts.get("model_version"))] = str(facts.get("closed_by"))
        if kind == MEASURED:
            self.measures[str(facts.get("measure"))] = facts.get("evidence_sha256")
        if kind == ANSWERED:
            self.answers[str(facts.get("notice"))] = facts.get("answer"), facts.get("code")
        if kind == LAPSED:
            self.lapses[str(facts.get("notice"))] = facts.get("lapse")


def check(content: bytes, keys: Mapping[str, bytes]) -> list[Finding]:
    """Check the certificate in a file.

    Raises `NoStatementError` and `governance.strictjson.MalformedJSONError` for what is no
    certificate at all. A wrong one is a finding.
    """
    text = content.strip()
    if not text.startswith(b"{"):
        return [_checked(text.decode("ascii", "replace"), None, keys)]
    document = strictjson.loads(text)
    signed = document.get(SIGNED)
    if not isinstance(signed, str):
        raise NoStatementError("the file holds no signed certificate")
    return [_checked(signed, document.get(READABLE), keys)]


def _checked(signed: str, readable: object, keys: Mapping[str, bytes]) -> Finding:
    request = ""
    try:
        claims = signing.verify(signed, typ=TYP, keys=keys)
        request = str(claims.get("request", ""))
        if readable is not None and readable != claims:
            raise _WrongError("the text beside the signed one says something else")
        told = _told(_listed(claims, "ledger"), request)
        _compare_datasets(_listed(claims, "datasets"), told)
        _compare_models(_listed(claims, "models"), told)
        _compare_recipients(_listed(claims, "recipients", otherwise=[]), told)
        _compare_state(claims, told)
    except ColophonError as error:
        return Finding(False, sentence(error), request)
    return Finding(True, _says(claims, told), request)


def _told(entries: Sequence[Mapping[str, Any]], request: str) -> _Told:
    """Return what the entries prove; raise if one does not lead to its root, or is another's."""
    told = _Told()
    for entry in entries:
        kind, document = str(entry.get("kind")), entry.get("proof")
        if document is None:
            told.waiting += 1
            continue
        if not isinstance(document, Mapping):
            raise _WrongError(f"the part about {kind} holds no proof")
        proof, opening = proofs.InclusionProof.from_json(document), proofs.opening_in(document)
        if not proof.holds() or told.roots.setdefault(proof.size, proof.root) != proof.root:
            raise _WrongError(f"the proof of {kind} does not lead to the root of the ledger")
        if opening is None or not proofs.opens(proof.leaf, opening):
            raise _WrongError(f"the ledger's leaf of {kind} commits to something else")
        said = strictjson.loads(opening.body)
        facts = said.get("facts") if isinstance(said, dict) else None
        if not isinstance(facts, dict) or said.get("kind") != kind:
            raise _WrongError(f"the ledger's entry of {kind} is of another kind")
        if facts.get("request") != request:
            raise _WrongError(f"the ledger's entry of {kind} is about another request")
        told.take(kind, facts)
    return told


def _compare_datasets(datasets: Sequence[Mapping[str, Any]], told: _Told) -> None:
    for claimed in datasets:
        outcome, facts = claimed.get("outcome"), told.steps.get(str(claimed.get("step")))
        if not outcome or (facts is None and told.waiting):
            continue
        if facts is None or facts.get("outcome") != outcome:
            raise _WrongError(f"of {claimed.get('name')} the ledger tells another outcome")
        if claimed.get("read_back") and "evidence_sha256" not in facts:
            raise _WrongError(f"of {claimed.get('name')} the ledger tells a word, and no reading")
        batch = claimed.get("evidence")
        digest = batch.get("sha256") if isinstance(batch, Mapping) else None
        if "evidence_sha256" in facts and (facts["evidence_sha256"], facts.get("rows")) != (
            digest, claimed.get("rows") or 0,
        ):  # fmt: skip
            raise _WrongError(f"of {claimed.get('name')} the ledger tells other evidence")


def _compare_models(models: Sequence[Mapping[str, Any]], told: _Told) -> None:
    for claimed in models:
        closed_by = claimed.get("closed_by")
        known = told.closed.get(str(claimed.get("model_version")))
        if closed_by and known != closed_by and not (known is None and told.waiting):
            raise _WrongError(f"of {claimed.get('name')} the ledger tells another remedy")
        for measure in _listed(claimed, "measures", otherwise=[]):
            digest = told.measures.get(str(measure.get("measure")))
            if digest != measure.get("evidence_sha256") and not (digest is None and told.waiting):
                raise _WrongError(f"of {claimed.get('name')} the ledger tells other evidence")


def _compare_recipients(recipients: Sequence[Mapping[str, Any]], told: _Told) -> None:
    for claimed in recipients:
        known = told.answers.get(str(claimed.get("notice")), ("", ""))
        said = claimed.get("answer"), claimed.get("code")
        if said != known and not (known == ("", "") and told.waiting):
            raise _WrongError(f"of {claimed.get('recipient')} the ledger tells another answer")
        lapse = told.lapses.get(str(claimed.get("notice")), "")
        if lapse != claimed.get("lapse", "") and not (lapse == "" and told.waiting):
            raise _WrongError(f"of {claimed.get('recipient')} the ledger tells another end")


def _compare_state(claims: Mapping[str, Any], told: _Told) -> None:
    complete = claims.get("state") == "completed"
    if complete and claims.get("outstanding"):
        raise _WrongError("it says complete and names what is outstanding")
    if complete and COMPLETED not in told.kinds and not told.waiting:
        raise _WrongError("it says complete and the ledger does not")


def _says(claims: Mapping[str, Any], told: _Told) -> str:
    outstanding = _count(claims.get("outstanding"))
    state = (
        "complete"
        if claims.get("state") == "completed"
        else f"not complete ({outstanding} outstanding)"
    )
    datasets, models = _many(claims, "datasets", "data set"), _many(claims, "models", "model")
    said = f"Signed by us: {state}. {datasets}, {models}."
    if words := sum(_on_a_word(each) for each in _listed(claims, "datasets")):
        said += f" On a person's word, and not read back: {words}."
    if unanswered := _count(claims.get("unanswered")):
        said += f" Recipients without an answer: {unanswered}."
    if told.roots:
        said += f" It agrees with the first {max(told.roots)} entries of the ledger."
    if told.waiting:
        said += f" Entries without a number when it was issued: {told.waiting}."
    return said


def _on_a_word(claimed: Mapping[str, Any]) -> bool:
    """Say whether somebody said so of a data set; older statements tell it by the outcome alone."""
    looked = claimed.get("outcome") == "not_found" and claimed.get("read_back") is False
    return looked or claimed.get("outcome") == "by_hand"


def _count(listed: object) -> int:
    return len(listed) if isinstance(listed, list) else 0


def _many(claims: Mapping[str, Any], name: str, one: str) -> str:
    count = _count(claims.get(name))
    return f"{count} {one}" if count == 1 else f"{count} {one}s"


def _listed(
    claims: Mapping[str, Any], name: str, *, otherwise: object = None
) -> Sequence[Mapping[str, Any]]:
    """Return a list of a statement; what older ones did not have is given as ``otherwise``."""
    found = claims.get(name, otherwise)
    if not isinstance(found, list) or not all(isinstance(each, Mapping) for each in found):
        raise NoStatementError(f"the statement has no list of {name}")
    return found


CERTIFICATES = Checker(
    name="certificate_check",
    about=(
        "Check a certificate of erasure against the published keys: the signature, and that each "
        "outcome it names is what the ledger was told when it happened. Neither the database nor "
        "the network is used. The exit code is 0 if everything holds, 1 if something does not, 2 "
        "if a file cannot be read."
    ),
    file=(
        "a certificate from /requests/<uuid>/certificate.json or "
        "/api/v1/requests/<uuid>/certificate, or the signed text alone"
    ),
    check=check,
    listed="certificates",
    subject="request",
    nothing="No certificate in it.",
)


if __name__ == "__main__":
    sys.exit(CERTIFICATES.main())
