"""Decisions are taken over from elsewhere: whole or in part, once, and nobody is quoted."""

import io
import json

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from consent.models import ConsentDecision, DecisionImport, Subject
from consent.rules import Standing
from consent.selectors.decisions import standing
from consent.selectors.subjects import by_identifier
from governance.models import LedgerRecord
from tests.factories.consent import NoticeVersionFactory
from tests.factories.governance import PurposeFactory

pytestmark = pytest.mark.django_db

ANN, BOB = "ann@example.org", "bob@example.org"
YES = {
    "scheme": "email", "identifier": ANN, "purpose": "study", "kind": "given",
    "decided_at": "2026-03-01T12:00:00+01:00",
}  # fmt: skip


@pytest.fixture
def study():
    return PurposeFactory(key="study")


@pytest.fixture
def take_over(tmp_path):
    def take_over(*rows: object, name: str = "old.ndjson", **options) -> tuple[dict, list[dict]]:
        file, report = tmp_path / name, tmp_path / "refused.ndjson"
        texts = [each if isinstance(each, str) else json.dumps(each) for each in rows]
        file.write_text("\n".join(texts) + "\n")
        told = io.StringIO()
        call_command(
            "import_decisions", str(file), "--json", "--evidence", "contract 7",
            "--report", str(report), stdout=told, **options,
        )  # fmt: skip
        return json.loads(told.getvalue()), [
            json.loads(line) for line in report.read_text().splitlines()
        ]

    return take_over


def test_rows_become_decisions_of_people_who_are_met_for_the_first_time(study, take_over):
    told, refused = take_over(YES, YES | {"identifier": BOB, "kind": "refused"})
    assert (told["recorded"], told["repeated"], told["refused"], refused) == (2, 0, 0, [])
    assert standing(by_identifier("email", ANN), study, timezone.now()) is Standing.GIVEN
    assert standing(by_identifier("email", BOB), study, timezone.now()) is Standing.REFUSED
    first = ConsentDecision.objects.order_by("pk").first()
    assert first.decided_at.isoformat() == "2026-03-01T11:00:00+00:00"
    made = DecisionImport.objects.get()
    assert (first.source, first.imported_by, made.evidence) == ("import", made, "contract 7")
    assert made.finished_at is not None
    kinds = LedgerRecord.objects.order_by("pk").values_list("kind", flat=True)
    assert list(kinds)[-1] == "decisions.imported"
    assert list(kinds).count("decision.recorded") == 2


def test_the_same_file_again_changes_nothing(study, take_over):
    take_over(YES)
    told, _ = take_over(YES)
    assert (told["recorded"], told["repeated"]) == (0, 1)
    assert ConsentDecision.objects.count() == 1
    assert DecisionImport.objects.count() == 1


def test_a_mended_file_records_only_what_was_wrong_before(study, take_over):
    told, _ = take_over(YES, YES | {"identifier": BOB, "kind": "perhaps"})
    assert (told["recorded"], told["refused"]) == (1, 1)
    told, _ = take_over(YES, YES | {"identifier": BOB, "kind": "given"})
    assert (told["recorded"], told["repeated"], told["refused"]) == (1, 1, 0)


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("{", "row_malformed"),
        ('["a"]', "row_malformed"),
        ("\x00", "row_malformed"),
        (YES | {"decided_at": "2026-03-01T12:00:00"}, "row_malformed"),
        (YES | {"decided_at": "yesterday"}, "row_malformed"),
        (YES | {"decided_at": "2999-01-01T00:00:00Z"}, "decided_in_the_future"),
        (YES | {"kind": ANN}, "row_malformed"),
        (YES | {"purpose": ANN}, "not_found"),
        (YES | {"identifier": f"{ANN} {BOB}"}, "identifier_malformed"),
        (YES | {"identifier": 7}, "row_malformed"),
        (YES | {ANN: "x"}, "row_malformed"),
        (YES | {"notice_version": ANN}, "row_malformed"),
        (YES | {"kind": "refused", "valid_until": "2027-01-01T00:00:00Z"}, "validity_impossible"),
        ({"identifier": ANN}, "row_malformed"),
    ],
)
def test_a_wrong_row_is_refused_by_line_and_code_and_the_others_are_taken(
    study, take_over, row, code
):
    told, refused = take_over(YES | {"identifier": BOB}, row, YES | {"identifier": "cy@x.org"})
    assert (told["recorded"], told["refused"]) == (2, 1)
    assert [(each["line"], each["code"]) for each in refused] == [(2, code)]
    assert "ann" not in json.dumps(refused)
    assert by_identifier("email", ANN) is None


def test_a_draft_that_nobody_can_have_seen_is_refused(study, take_over):
    draft = NoticeVersionFactory()
    _, refused = take_over(YES | {"notice_version": str(draft.uuid)})
    assert [each["code"] for each in refused] == ["notice_not_published"]
    assert ConsentDecision.objects.count() == 0
    assert Subject.objects.count() == 0


def test_a_table_says_the_same_as_objects(study, take_over):
    header = ",".join(YES)
    told, refused = take_over(
        header, ",".join(YES.values()), f'email,"{BOB}",study,refused,2026-03-01T12:00:00Z',
        "email,too,few", name="old.csv",
    )  # fmt: skip
    assert (told["recorded"], told["refused"]) == (2, 1)
    assert [(each["line"], each["code"]) for each in refused] == [(4, "row_malformed")]
    told, _ = take_over(YES)
    assert (told["recorded"], told["repeated"]) == (0, 1)


def test_a_table_without_its_header_or_decisions_from_nowhere_are_refused(
    study, take_over, tmp_path
):
    with pytest.raises(CommandError, match="row_malformed"):
        take_over("a,b", "1,2", name="old.csv")
    file = tmp_path / "old.ndjson"
    file.write_text(json.dumps(YES))
    with pytest.raises(CommandError, match="evidence_missing"):
        call_command("import_decisions", str(file), "--evidence", " ")
    with pytest.raises(CommandError, match="No such file"):
        call_command("import_decisions", str(tmp_path / "none"), "--evidence", "x")
    assert ConsentDecision.objects.count() == 0
