"""A certificate of erasure is checked by whoever has it: what holds, and what does not."""

import json
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command

from consent.models import ErasureStep
from consent.selectors import requests
from consent.services import certificates, planning
from consent.services.forgetting import forget
from consent.services.remediation import observe
from consent.services.requests import open_erasure
from consent.services.settling import settle_step
from deploy import programs
from governance.selectors import signing as published
from governance.services import ledger, signing
from governance.services.registry import register_dataset
from tests.factories.consent import registered, take

ANN = "ann@example.org"

pytestmark = pytest.mark.django_db


@pytest.fixture
def files(tmp_path) -> tuple[Path, Path]:
    """The certificate of an erasure that a person settled by hand, and the published keys."""
    ann = registered(("email", ANN))
    loans = register_dataset(
        namespace="test", name="loans", subject_column="email", subject_scheme="email"
    ).thing
    take(loans, [ANN], mode="replace", scheme="email")
    request = open_erasure(subject=ann, key=uuid4(), verified=True)
    planning.plan(request.pk)
    ErasureStep.objects.update(state="blocked", code="no_storage")
    settle_step(
        step=ErasureStep.objects.get(), outcome=ErasureStep.Outcome.BY_HAND, code="shredded",
        reason="the paper was shredded", evidence="seen by two",
    )  # fmt: skip
    forget(request.pk)
    observe(request.pk)
    while ledger.sequence():
        pass
    request.refresh_from_db()
    certificate, keys = tmp_path / "certificate.json", tmp_path / "jwks.json"
    issued = certificates.issue(requests.standing_of(request))
    certificate.write_text(json.dumps(issued.as_json()))
    keys.write_text(json.dumps(published.key_set()))
    return certificate, keys


def check(files, capsys) -> tuple[int, str]:
    code = 0
    try:
        call_command("verify_certificate", str(files[0]), "--jwks", str(files[1]))
    except SystemExit as ended:
        code = ended.code
    except CommandError as error:
        return error.returncode, str(error)
    return code, capsys.readouterr().out.strip()


def test_a_certificate_holds_and_says_how_far_the_erasure_is(files, capsys):
    told = json.loads(files[0].read_text())["certificate"]
    assert (told["state"], [each["kind"] for each in told["ledger"]]) == (
        "completed",
        ["request.received", "erasure.planned", "erasure.settled", "subject.forgotten",
         "request.completed"],
    )  # fmt: skip
    size = told["ledger"][0]["proof"]["size"]
    says = f"{told['request']}: Signed by us: complete. 1 data set, 0 models. "
    says += "On a person's word, and not read back: 1. It agrees with "
    assert check(files, capsys) == (0, says + f"the first {size} entries of the ledger.")


def test_the_signed_text_alone_is_enough_and_other_kinds_of_statement_are_not(files, capsys):
    issued = json.loads(files[0].read_text())
    files[0].write_text(issued["signed"])
    assert check(files, capsys)[0] == 0
    files[0].write_text(signing.sign(issued["certificate"], typ="consent-receipt+json"))
    code, says = check(files, capsys)
    assert (code, says) == (1, "This is not a statement of the kind erasure-certificate+json.")


def test_a_text_that_was_changed_is_found(files, capsys):
    issued = json.loads(files[0].read_text())
    issued["certificate"]["datasets"][0]["outcome"] = "erased"
    files[0].write_text(json.dumps(issued))
    code, says = check(files, capsys)
    assert code == 1
    assert says.endswith("The text beside the signed one says something else.")


def other_outcome(told):
    told["datasets"][0]["outcome"] = "erased"


def said_to_be_read(told):
    told["datasets"][0]["read_back"] = True


def other_step(told):
    told["datasets"][0]["step"] = str(uuid4())


def other_request(told):
    told["request"] = str(uuid4())


def other_root(told):
    told["ledger"][0]["proof"]["root"] = "A" * 43 + "="


def other_body(told):
    told["ledger"][0]["proof"]["opening"]["salt"] = "A" * 43 + "="


def swapped_kinds(told):
    told["ledger"][0]["kind"] = "request.completed"


def no_completion(told):
    del told["ledger"][-1]


def still_outstanding(told):
    told["outstanding"] = ["data set test loans: no_storage"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (other_outcome, "Of loans the ledger tells another outcome."),
        (said_to_be_read, "Of loans the ledger tells a word, and no reading."),
        (other_step, "Of loans the ledger tells another outcome."),
        (other_request, "The ledger's entry of request.received is about another request."),
        (other_root, "The proof of request.received does not lead to the root of the ledger."),
        (other_body, "The ledger's leaf of request.received commits to something else."),
        (swapped_kinds, "The ledger's entry of request.completed is of another kind."),
        (no_completion, "It says complete and the ledger does not."),
        (still_outstanding, "It says complete and names what is outstanding."),
    ],
)
def test_the_ledger_is_believed_more_than_a_signature_of_ours(files, capsys, change, says):
    told = json.loads(files[0].read_text())["certificate"]
    change(told)
    files[0].write_text(signing.sign(told, typ="erasure-certificate+json"))
    code, line = check(files, capsys)
    assert (code, line.partition(": ")[2]) == (1, says)


def test_what_is_no_certificate_ends_with_two(files, capsys):
    for content, says in (("{}", "holds no signed certificate"), ("{", "not JSON")):
        files[0].write_text(content)
        code, line = check(files, capsys)
        assert (code, says in line) == (2, True)


def test_it_is_checked_without_the_framework_and_without_any_setting(files):
    program = (
        "import sys; from governance.certificate_check import CERTIFICATES as c; "
        "code = c.main(sys.argv[1:]); sys.exit(9 if 'django' in sys.modules else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(files[0]), "--jwks", str(files[1]), "--json"],
        cwd=programs.ROOT, env={}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    told = json.loads(done.stdout)
    assert (done.returncode, told["ok"], len(told["certificates"])) == (0, True, 1)
