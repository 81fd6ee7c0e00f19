"""Checking a receipt offline: what holds, what does not, and what cannot be read."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command

from consent.rules import DecisionKind
from consent.services import decisions, receipts
from deploy import programs
from governance.selectors import ledger as read
from governance.selectors import signing as published
from governance.services import ledger, signing
from tests.factories.consent import registered
from tests.factories.governance import PurposeFactory

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)

pytestmark = pytest.mark.django_db


@pytest.fixture
def files(tmp_path) -> tuple[Path, Path]:
    """A history of two decisions, and the published keys."""
    ada, purpose = registered(), PurposeFactory()
    for days, kind in enumerate((DecisionKind.GIVEN, DecisionKind.WITHDRAWN)):
        at = AT + timedelta(days=days)
        decisions.record(subject=ada, purpose=purpose, kind=kind, key=uuid4(), decided_at=at)
    while ledger.sequence():
        pass
    history, keys = tmp_path / "history.json", tmp_path / "jwks.json"
    history.write_text(json.dumps(receipts.history(ada), default=str))
    keys.write_text(json.dumps(published.key_set()))
    return history, keys


def check(file: Path, keys: Path, capsys) -> tuple[int, list[str]]:
    code = 0
    try:
        call_command("verify_receipt", str(file), "--jwks", str(keys))
    except SystemExit as ended:
        code = ended.code
    except CommandError as error:
        return error.returncode, [str(error)]
    return code, capsys.readouterr().out.splitlines()


def test_the_verifier_says_of_each_decision_that_it_holds(files, capsys):
    told = json.loads(files[0].read_text())["decisions"]
    first, second = (each["receipt"]["dpv:hasRecordOfActivity"] for each in told)
    size = read.head().size
    says = f"Signed by us, and among the first {size} entries of the ledger."
    assert check(*files, capsys) == (
        0, [f"{first['dct:identifier']}: {says}", f"{second['dct:identifier']}: {says}"],
    )  # fmt: skip


def test_the_verifier_takes_the_signed_text_alone_or_one_receipt(files, capsys):
    history, keys = files
    one = json.loads(history.read_text())["decisions"][0]
    for content in (one["signed"] + "\n", json.dumps(one)):
        history.write_text(content)
        code, [line] = check(history, keys, capsys)
        assert code == 0
        assert "Signed by us" in line


def changed(files, change) -> tuple[Path, Path]:
    history, _ = files
    document = json.loads(history.read_text())
    change(document["decisions"][1])
    history.write_text(json.dumps(document))
    return files


def test_the_verifier_finds_a_changed_text(files, capsys):
    def change(entry):
        entry["receipt"]["dct:publisher"] = "somebody else"

    code, lines = check(*changed(files, change), capsys)
    assert code == 1
    assert "Signed by us" in lines[0]
    assert lines[1].endswith("The text beside the signed one says something else.")


def test_the_verifier_finds_a_changed_signature(files, capsys):
    def change(entry):
        entry["signed"] = entry["signed"][:-4] + ("AAAA" if entry["signed"][-4:] != "AAAA" else "B")

    code, lines = check(*changed(files, change), capsys)
    assert code == 1
    assert lines[1] == "The signature does not fit: the text was changed."


def resigned(change):
    """Sign a changed receipt with our own key: what only a dishonest service could do."""

    def changing(entry):
        change(entry["receipt"])
        entry["signed"] = signing.sign(entry["receipt"], typ="consent-receipt+json")

    return changing


def test_the_verifier_believes_the_ledger_more_than_the_signature(files, capsys):
    def other_root(receipt):
        receipt["ledger"]["proof"]["root"] = "A" * 43 + "="

    def other_body(receipt):
        receipt["ledger"]["proof"]["opening"]["salt"] = "A" * 43 + "="

    def other_decision(receipt):
        receipt["dpv:hasRecordOfActivity"]["dct:identifier"] = str(uuid4())

    def no_proof(receipt):
        receipt["ledger"]["proof"] = None

    original = files[0].read_text()
    for change, says in (
        (other_root, "The proof does not lead to the root of the ledger."),
        (other_body, "The ledger's leaf commits to something else."),
        (other_decision, "The ledger's entry is about another decision."),
        (no_proof, "The part about the ledger holds no proof."),
    ):
        files[0].write_text(original)
        code, lines = check(*changed(files, resigned(change)), capsys)
        assert code == 1
        assert lines[1].endswith(says)


def test_the_verifier_knows_no_key_that_is_not_published(files, capsys):
    files[1].write_text('{"keys": []}')
    code, lines = check(*files, capsys)
    assert code == 1
    assert lines[0].startswith("The key that it names is not among the published ones")


@pytest.mark.parametrize(
    ("history", "keys", "says"),
    [
        (None, '{"keys": []}', "cannot read"),
        ("{}", "[]", "the document has no list of keys"),
        ("{}", "{", "the body is not JSON"),
        ("{}", '{"keys": []}', "the file holds no signed receipt"),
        ("{", '{"keys": []}', "the body is not JSON"),
        ('{"decisions": 1}', '{"keys": []}', "the decisions of the file are not a list"),
        ('{"decisions": [1]}', '{"keys": []}', "the file holds no signed receipt"),
    ],
)
def test_what_cannot_be_read_ends_with_two(history, keys, says, tmp_path, capsys):
    file, set_ = tmp_path / "history", tmp_path / "keys"
    if history is not None:
        file.write_text(history)
    set_.write_text(keys)
    code, [line] = check(file, set_, capsys)
    assert (code, says in line) == (2, True)


def test_the_verifier_needs_neither_database_nor_network(files, tmp_path):
    environment = {
        **os.environ,
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "REDIS_URL": "redis://127.0.0.1:1/0",
    }
    done = subprocess.run(
        [*programs.manage("verify_receipt", str(files[0]), "--jwks", str(files[1]), "--json")],
        cwd=programs.ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["ok"], len(told["receipts"])) == (True, 2)


def test_the_verifier_runs_without_the_framework_and_without_any_setting(files):
    program = (
        "import sys; from governance.receipt_check import RECEIPTS as c; "
        "code = c.main(sys.argv[1:]); sys.exit(9 if 'django' in sys.modules else code)"
    )

    def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-c", program, *map(str, arguments)], cwd=programs.ROOT, env={},
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    good = run(files[0], "--jwks", files[1])
    assert (good.returncode, good.stdout.count("Signed by us"), good.stderr) == (0, 2, "")
    missing = run(files[0], "--jwks", "nowhere")
    assert (missing.returncode, missing.stdout) == (2, "")
    assert missing.stderr == "cannot read nowhere: No such file or directory\n"
    files[1].write_text('{"keys": []}')
    assert run(files[0], "--jwks", files[1]).returncode == 1


def test_receipts_stay_good_when_the_key_changes(files, capsys):
    signing.rotate(at_once=True)
    files[1].write_text(json.dumps(published.key_set()))
    assert check(*files, capsys)[0] == 0
