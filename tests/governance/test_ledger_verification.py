import json
from contextlib import contextmanager
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from governance.keys import organisation_key
from governance.selectors import ledger
from governance.selectors.ledger_check import verify

pytestmark = pytest.mark.django_db

SIZE = 600


@contextmanager
def as_superuser():
    """Change what nobody can change, as who owns the tables and switches the triggers off."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        yield cursor
        cursor.execute("SET LOCAL session_replication_role = origin")


def run(*arguments):
    out, code = StringIO(), 0
    try:
        call_command("verify", *arguments, stdout=out, stderr=StringIO())
    except SystemExit as end:
        code = end.code
    return code, out.getvalue()


def test_an_untouched_ledger_is_found_good(grow):
    grow(SIZE)
    heard = []
    report = verify(heard.append)
    assert (report.ok, report.size, report.first_bad_index) == (True, SIZE, None)
    assert report.root == ledger.head().root
    assert heard == [256, 512, SIZE]


def test_an_empty_ledger_is_found_good():
    assert verify().ok


@pytest.mark.parametrize(
    ("statement", "index", "problem"),
    [
        (
            "UPDATE governance_ledgerentry SET leaf = leaf || 'x'::bytea WHERE index = 77",
            77,
            "the leaf is not what its hash says",
        ),
        (
            (
                "UPDATE governance_ledgerentry SET leaf = 'x', leaf_hash = sha256('\\x0078')"
                " WHERE index = 300"
            ),
            300,
            "tile 0/1 has another hash for this entry",
        ),
        (
            (
                "UPDATE governance_ledgerentry SET leaf = 'x', leaf_hash = sha256('\\x0078')"
                " WHERE index = 599"
            ),
            512,
            "the entries from here on do not add up to the head's root",
        ),
        ("DELETE FROM governance_ledgerentry WHERE index = 5", 5, "the entry is missing"),
        ("DELETE FROM governance_ledgerentry WHERE index = 599", 599, "the entry is missing"),
        ("DELETE FROM governance_ledgertile WHERE number = 1", 256, "tile 0/1 is missing"),
        (
            "UPDATE governance_ledgertile SET root = sha256('') WHERE number = 0",
            0,
            "tile 0/0 has another root",
        ),
        (
            (
                "UPDATE governance_ledgertile SET hashes = overlay(hashes placing sha256('')"
                " from 32 * 3 + 1) WHERE number = 1"
            ),
            259,
            "tile 0/1 has another hash for this entry",
        ),
        (
            "UPDATE governance_ledgerhead SET root = sha256('')",
            512,
            "the entries from here on do not add up to the head's root",
        ),
        ("UPDATE governance_ledgerhead SET size = 601", 600, "the entry is missing"),
        (
            "UPDATE governance_ledgerhead SET size = 599",
            512,
            "the entries from here on do not add up to the head's root",
        ),
    ],
)
def test_whatever_was_changed_is_found_and_its_first_index_named(grow, statement, index, problem):
    grow(SIZE)
    with as_superuser() as cursor:
        cursor.execute(statement)
        assert cursor.rowcount == 1
    report = verify()
    assert (report.problem, report.first_bad_index) == (problem, index)


def test_entries_that_the_head_was_made_to_forget_are_found(grow):
    grow(5)
    forgotten = ledger.head()
    grow(1)
    with as_superuser() as cursor:
        cursor.execute(
            "UPDATE governance_ledgerhead SET size = 5, root = %s", [bytes(forgotten.root)]
        )
    report = verify()
    assert (report.problem, report.first_bad_index) == ("the entry is not counted by the head", 5)


def test_the_command_says_that_all_is_well(grow):
    grow(3)
    root = ledger.head().root.hex()
    assert run() == (0, f"All 3 entries agree with the root {root}.\n")
    code, out = run("--json")
    assert code == 0
    assert json.loads(out) == {
        "ok": True,
        "says": f"All 3 entries agree with the root {root}.",
        "size": 3,
        "root": root,
        "first_bad_index": None,
    }


def test_the_command_fails_and_names_the_first_bad_entry(grow):
    grow(3)
    with as_superuser() as cursor:
        cursor.execute("UPDATE governance_ledgerentry SET leaf = 'x' WHERE index > 0")
    assert run() == (1, "Entry 1: the leaf is not what its hash says.\n")
    code, out = run("--json")
    assert (code, json.loads(out)["first_bad_index"]) == (1, 1)


@pytest.fixture
def proof(grow):
    name = grow(300)[42]
    opening = ledger.opening_of(name, organisation_key())
    return ledger.proof_of(name).as_json() | {"opening": opening.as_json()}


def written(tmp_path, document):
    path = tmp_path / "proof.json"
    path.write_text(json.dumps(document))
    return str(path)


def test_a_downloaded_proof_is_checked_without_the_database(
    proof, tmp_path, django_assert_num_queries
):
    with django_assert_num_queries(0):
        code, out = run("--proof", written(tmp_path, proof))
        del proof["opening"]
        bare = run("--proof", written(tmp_path, proof), "--json")
    assert (code, out) == (0, "The leaf is in the tree. The body is what it commits to.\n")
    assert bare[0] == 0
    assert json.loads(bare[1])["says"] == "The leaf is in the tree."


def test_a_changed_proof_fails(proof, tmp_path):
    code, out = run("--proof", written(tmp_path, proof | {"index": 43}))
    assert code == 1
    assert out.startswith("The proof does not lead to the root.")


def test_a_changed_body_fails(proof, tmp_path):
    opening = proof["opening"] | {"body": "e30="}
    code, out = run("--proof", written(tmp_path, proof | {"opening": opening}))
    assert (code, out) == (1, "The leaf is in the tree. The body is another one.\n")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"index": "42"}, "the proof's index is not a whole number"),
        ({"size": True}, "the proof's size is not a whole number"),
        ({"leaf": 5}, "the proof's leaf is not base64 text"),
        ({"root": "?"}, "the proof's root is not base64 text"),
        ({"root": "\xe9"}, "the proof's root is not base64 text"),
        ({"hashes": None}, "the proof's hashes are not a list"),
        ({"hashes": [1]}, "the proof's hash is not base64 text"),
        ({"opening": []}, "the proof's opening is not an object"),
        ({"opening": {"salt": ""}}, "the proof's body is not base64 text"),
    ],
)
def test_what_is_no_proof_is_said_to_be_none(proof, tmp_path, change, says):
    with pytest.raises(CommandError) as refusal:
        run("--proof", written(tmp_path, proof | change))
    assert str(refusal.value) == says


def test_a_proof_that_is_not_there_or_not_json_is_said_so(tmp_path):
    with pytest.raises(CommandError, match="cannot read"):
        run("--proof", str(tmp_path / "none.json"))
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(CommandError, match="the body is not JSON"):
        run("--proof", str(tmp_path / "bad.json"))
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(CommandError, match="not a JSON object"):
        run("--proof", str(tmp_path / "list.json"))
