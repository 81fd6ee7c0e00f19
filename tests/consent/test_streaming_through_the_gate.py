"""Long lists through the gate: whatever they are written in, the answers are the same."""

import contextlib
import gzip
import io
import json
import sys
from datetime import timedelta

import httpx
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from consent import answers, arrow_streams
from consent.arrow_streams import StreamMalformedError, in_arrow
from consent.listed import in_ndjson
from consent.models import GateDecision
from consent.selectors import filtering, subjects
from consent.selectors import gate as selectors
from consent.services import gate
from consent.services.subjects import forget
from governance.errors import BodyTooLargeError
from governance.models import ApiKey, LegalBasis
from tests.factories.consent import ConsentDecisionFactory, registered, take
from tests.factories.governance import DatasetFactory, PurposeFactory, issued_key

JSON, NDJSON, BITS = "application/json", "application/x-ndjson", "application/octet-stream"
ARROW = "application/vnd.apache.arrow.stream"
FORMS = [JSON, NDJSON, ARROW, BITS]
PEOPLE = ["ada", "bob", "cy", "eve", "stranger"]


def stream_of(table: pa.Table, rows: int = 1 << 20, **options) -> bytes:
    written = io.BytesIO()
    how = pa.ipc.IpcWriteOptions(**options)
    with pa.ipc.new_stream(written, table.schema, options=how) as writer:
        writer.write_table(table, max_chunksize=rows)
    return written.getvalue()


def lines_of(people) -> bytes:
    return "".join(json.dumps(each) + "\n" for each in people).encode()


def read(form: str, content: bytes, count: int) -> list[bool]:
    """Read answers as a caller would."""
    match form:
        case "application/json":
            return json.loads(content)["permitted"]
        case "application/x-ndjson":
            return [json.loads(line) for line in content.splitlines()]
        case "application/octet-stream":
            assert len(content) == (count + 7) // 8
            return [bool(content[n // 8] >> n % 8 & 1) for n in range(count)]
    column = pa.ipc.open_stream(content).read_all().column("permitted")
    assert column.type == pa.bool_()
    return column.to_pylist()


class Asking:
    """A client of a running service with a decision of its own."""

    def __init__(self, http: httpx.Client, basis: LegalBasis) -> None:
        """Ada said yes and Bob no, Cy said nothing, and Eve was erased."""
        self.purpose = PurposeFactory(legal_basis=basis)
        self.raw = DatasetFactory(registered=True)
        take(self.raw, ["ada", "bob", "cy"])
        forget(subject=registered(("opaque", "eve")))
        for name, kind in (("ada", "given"), ("bob", "refused")):
            person = subjects.by_identifier("opaque", name)
            ConsentDecisionFactory(subject=person, purpose=self.purpose, kind=kind)
        self.bearer = issued_key("gate:ask", client_name="trainer")
        self.decision = self.decide()
        self.http = http

    def decide(self, *others, **said) -> GateDecision:
        client = ApiKey.objects.get().client
        return gate.decide(
            datasets=[self.raw, *others], purpose=self.purpose, client=client, **said
        )

    def post(self, kind: str, body: bytes, accept: str = "*/*", decision=None, **query):
        uuid = (decision or self.decision).uuid
        headers = {
            "Authorization": f"Bearer {self.bearer}", "Content-Type": kind, "Accept": accept,
            **query.pop("headers", {}),
        }  # fmt: skip
        asked = {"scheme": "opaque"} | query if kind != JSON else {}
        path = f"/gate/decisions/{uuid}/filter"
        return self.http.post(path, params=asked, content=body, headers=headers)

    def permitted(self, kind: str, body: bytes, accept: str = NDJSON, **more) -> list[bool]:
        answer = self.post(kind, body, accept, **more)
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"] == accept
        assert int(answer.headers["Content-Length"]) == len(answer.content)
        return read(accept, answer.content, int(answer.headers["Colophon-Answers"]))


@pytest.fixture
def open_to(live_server, transactional_db):
    """Return who asks for a purpose that rests on a basis."""
    with httpx.Client(base_url=f"{live_server.url}/api/v1", timeout=30, trust_env=False) as http:
        yield lambda basis: Asking(http, basis)


@pytest.fixture
def asking(open_to):
    return open_to(LegalBasis.CONSENT)


YES = [True, False, False, False, False]


def bodies(people: list[str]) -> dict[str, tuple[str, bytes, dict]]:
    table = pa.table({"n": range(len(people)), "who": pa.array(people, pa.string())})
    coded = table.set_column(1, "who", table["who"].dictionary_encode())
    return {
        "json": (JSON, json.dumps({"scheme": "opaque", "identifiers": people}).encode(), {}),
        "texts": (NDJSON, lines_of(people), {}),
        "objects": (NDJSON, lines_of({"n": 1, "who": each} for each in people), {"subject": "who"}),
        "arrow": (ARROW, stream_of(table), {"subject": "who"}),
        "arrow in batches": (ARROW, stream_of(table, rows=2), {"subject": "who"}),
        "dictionary": (ARROW, stream_of(coded, rows=2), {"subject": "who"}),
    }


@pytest.mark.parametrize("accept", FORMS)
def test_every_form_of_question_can_have_every_form_of_answer(asking, accept):
    for name, (kind, body, query) in bodies(PEOPLE).items():
        assert asking.permitted(kind, body, accept, **query) == YES, name
    for name, (kind, body, query) in bodies([]).items():
        if body:
            assert asking.permitted(kind, body, accept, **query) == [], name


def test_who_asks_for_no_form_is_answered_in_the_form_of_the_question(asking):
    for kind, body, query in bodies(PEOPLE).values():
        assert asking.post(kind, body, **query).headers["Content-Type"] == kind
    answer = asking.post(NDJSON, lines_of(PEOPLE), "application/xml")
    assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")


def test_a_body_may_come_as_gzip(asking):
    zipped = gzip.compress(lines_of(PEOPLE))
    as_gzip = {"headers": {"Content-Encoding": "gzip"}}
    assert asking.permitted(NDJSON, zipped, **as_gzip) == YES
    for wrong in (zipped[:-1], zipped + b"x", lines_of(PEOPLE)):
        answer = asking.post(NDJSON, wrong, **as_gzip)
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed_gzip")
    answer = asking.post(NDJSON, zipped, headers={"Content-Encoding": "br"})
    assert answer.status_code == 415


def test_who_says_no_while_the_list_is_on_its_way_is_left_out_of_all_of_it(asking):
    """The rows that were read before are decided on by the same instant."""

    def sent():
        yield lines_of(["ada"] * 70_000)
        person = subjects.by_identifier("opaque", "ada")
        ConsentDecisionFactory(
            subject=person, purpose=asking.purpose, kind="withdrawn", decided_at=timezone.now()
        )
        yield lines_of(["ada"])

    lists = in_ndjson(sent(), column="id")
    found = selectors.filtered(decision=asking.decision, scheme="opaque", lists=lists)
    assert (len(found), found.any()) == (70_001, False)


def test_a_row_of_nobody_and_one_of_an_erased_person_are_never_permitted(open_to):
    asking = open_to(LegalBasis.LEGITIMATE_INTERESTS)
    people = ["ada", "bob", "cy", "eve", "stranger", None]
    expected = [True, False, True, False, True, False]
    for column in (pa.array(people), pa.array(people).dictionary_encode()):
        body = stream_of(pa.table({"id": column}))
        assert asking.permitted(ARROW, body) == expected
    hole = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0, None]), pa.array(["ada", None]))
    assert asking.permitted(ARROW, stream_of(pa.table({"id": hole}))) == [True, False, True, False]
    assert asking.permitted(NDJSON, lines_of(people[:-1])) == expected[:-1]


def test_a_column_may_be_of_any_kind_of_text_or_whole_number(asking):
    take(asking.raw, ["7"])
    seven = subjects.by_identifier("opaque", "7")
    ConsentDecisionFactory(subject=seven, purpose=asking.purpose)
    for kind in (pa.int64(), pa.uint8(), pa.string(), pa.large_string(), pa.string_view()):
        whole = pa.array([7, 8, None, 7], pa.int64())
        column = (
            whole.cast(pa.string()).cast(kind)
            if pa.types.is_string_view(kind)
            else whole.cast(kind)
        )
        body = stream_of(pa.table({"id": column}), rows=3)
        assert asking.permitted(ARROW, body) == [True, False, False, True], kind
    written = io.BytesIO()
    frame = pl.DataFrame({"id": ["ada", "bob", "7"]})
    frame.with_columns(code=pl.col("id").cast(pl.Categorical)).write_ipc_stream(written)
    for name in ("id", "code"):
        assert asking.permitted(ARROW, written.getvalue(), subject=name) == [True, False, True]


def test_a_closed_gate_answers_no_to_everybody_in_every_form(asking):
    closed = asking.decide(DatasetFactory())
    assert closed.outcome == "gap"
    for kind, body, query in bodies(PEOPLE).values():
        assert asking.permitted(kind, body, decision=closed, **query) == [False] * 5


def test_an_expired_decision_is_gone_also_when_it_expires_meanwhile(asking):
    hour_ago = timezone.now() - timedelta(hours=1)
    expired = asking.decide(at=hour_ago)
    for kind, body, query in bodies(PEOPLE).values():
        answer = asking.post(kind, body, decision=expired, **query)
        assert (answer.status_code, answer.json()["code"]) == (410, "gate_decision_expired")
    late = asking.decide(at=hour_ago + timedelta(seconds=1))

    def slow():
        yield lines_of(["ada"])
        while timezone.now() < late.expires_at:
            pass

    with pytest.raises(selectors.GateDecisionExpiredError):
        selectors.filtered(decision=late, scheme="opaque", lists=in_ndjson(slow(), column="id"))


def test_a_refused_answer_is_the_same_whatever_the_reason(asking):
    """Bob said no, Cy said nothing, Eve was erased and nobody knows the last."""
    found = [
        asking.post(NDJSON, lines_of([who]), accept)
        for accept in FORMS
        for who in ("bob", "cy", "eve", "nobody")
    ]
    told = {(a.headers["Content-Type"], a.content, a.headers["Content-Length"]) for a in found}
    assert len(told) == len(FORMS)
    assert {name for answer in found for name in answer.headers} == set(found[0].headers)


TABLE = pa.table({"id": ["secret"], "n": [1]})
CODED = pa.table({"id": pa.array(["secret"]).dictionary_encode()})


def damaged(content: bytes, old: bytes, new: bytes) -> bytes:
    assert old in content
    return content.replace(old, new)


BROKEN = {
    "no JSON": (NDJSON, b'"ada"\nsecret\n', "manifest_malformed", 2),
    "no identifier": (NDJSON, b'"ada"\n\n{"x": "secret"}\n', "manifest_malformed", 3),
    "null": (NDJSON, b'"ada"\nnull\n', "manifest_malformed", 2),
    "unprintable": (NDJSON, b'"ada"\n\n"secret\\u0000"\n', "identifier_malformed", 3),
    "too long": (NDJSON, b'"' + b"s" * 400 + b'"', "identifier_malformed", 1),
    "unprintable in Arrow": (
        ARROW, stream_of(pa.table({"id": ["a", None, "b", "a", "secret\0"]}), rows=2),
        "identifier_malformed", 5,
    ),
    "nothing": (NDJSON, b"", "body_empty", None),
    "no Arrow": (ARROW, b"secret" * 9, "stream_malformed", None),
    "half of Arrow": (ARROW, stream_of(TABLE)[:-40], "stream_malformed", 1),
    "more than Arrow": (ARROW, stream_of(TABLE) + b"x", "stream_malformed", None),
    "no such column": (
        ARROW, stream_of(TABLE.rename_columns(["x", "n"])), "stream_malformed", None
    ),
    "two such columns": (
        ARROW, stream_of(TABLE.rename_columns(["id", "id"])), "stream_malformed", None
    ),
    "fractions": (ARROW, stream_of(pa.table({"id": [1.5]})), "stream_malformed", None),
    "compressed": (ARROW, stream_of(TABLE, compression="zstd"), "stream_malformed", None),
    "a compressed dictionary": (
        ARROW, stream_of(CODED, compression="lz4"), "stream_malformed", None
    ),
    "no UTF-8": (
        ARROW, damaged(stream_of(TABLE), b"secret", b"secr\xff\xff"), "stream_malformed", 1
    ),
    "a dictionary that is no UTF-8": (
        ARROW, damaged(stream_of(CODED), b"secret", b"secr\xff\xff"), "stream_malformed", 1
    ),
}  # fmt: skip


def test_a_broken_body_is_refused_by_line_and_repeats_nothing(asking):
    for name, (kind, body, code, line) in BROKEN.items():
        answer = asking.post(kind, body)
        told = answer.json()
        assert (answer.status_code, told["code"], told.get("line")) == (400, code, line), name
        assert "secret" not in answer.text


def test_a_refused_body_is_read_to_its_end_so_that_the_refusal_is_heard(asking, client):
    body = io.BytesIO(b"secret\n" + lines_of(["ada"] * 500_000))
    answer = client.generic(
        "POST", f"/api/v1/gate/decisions/{asking.decision.uuid}/filter?scheme=opaque",
        headers={"Authorization": f"Bearer {asking.bearer}"}, CONTENT_TYPE=NDJSON,
        **{"wsgi.input": body, "CONTENT_LENGTH": str(len(body.getvalue()))},
    )  # fmt: skip
    assert (answer.status_code, answer.json()["line"]) == (400, 1)
    assert body.read() == b""


def test_a_body_of_unknown_length_is_refused(asking):
    answer = asking.post(NDJSON, iter([lines_of(PEOPLE)]))
    assert (answer.status_code, answer.json()["code"]) == (411, "length_required")


def test_a_question_is_refused_that_does_not_say_how_people_are_named(asking):
    answer = asking.post(NDJSON, lines_of(PEOPLE), scheme="")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    answer = asking.post(NDJSON, lines_of(PEOPLE), scheme="No Name")
    assert (answer.status_code, answer.json()["code"]) == (400, "identifier_malformed")


def test_more_rows_or_bytes_than_are_taken_are_refused(asking, monkeypatch):
    monkeypatch.setattr("consent.api.filtering.BODY_BYTES", 10)
    assert asking.post(NDJSON, lines_of(["ada"])).status_code == 200
    answer = asking.post(NDJSON, lines_of(PEOPLE))
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    monkeypatch.undo()
    monkeypatch.setattr(filtering, "MOST_ROWS", 5)
    assert asking.post(NDJSON, lines_of(PEOPLE)).status_code == 200
    answer = asking.post(NDJSON, lines_of([*PEOPLE, "ada"]))
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def arrow_rows(content: bytes) -> list:
    found = []
    for some in in_arrow([content], column="id"):
        found += [some.values[n] if n >= 0 else None for n in some.rows]
    return found


def test_batches_and_dictionaries_are_bounded_before_they_are_read(monkeypatch):
    texts = stream_of(pa.table({"id": ["x" * 1000] * 10}))
    assert arrow_rows(texts) == ["x" * 1000] * 10
    monkeypatch.setattr(arrow_streams, "MESSAGE_BYTES", 5000)
    with pytest.raises(BodyTooLargeError, match="write smaller ones"):
        arrow_rows(texts)
    column = pa.chunked_array([pa.array([f"{n}" * 100]).dictionary_encode() for n in range(9)])
    coded = stream_of(pa.table({"id": column}))
    assert arrow_rows(coded) == [f"{n}" * 100 for n in range(9)]
    monkeypatch.setattr(arrow_streams, "DICTIONARY_BYTES", 1000)
    with pytest.raises(BodyTooLargeError, match="write plain columns"):
        arrow_rows(coded)


def test_texts_that_share_their_bytes_cannot_become_more_than_was_sent(monkeypatch):
    views = pa.array(["x" * 1000]).cast(pa.string_view())
    info, data = views.buffers()[1:]
    many = pa.Array.from_buffers(
        pa.string_view(), 100, [None, pa.py_buffer(info.to_pybytes() * 100), data]
    )
    body = stream_of(pa.table({"id": many}))
    assert len(body) < 5000
    monkeypatch.setattr(arrow_streams, "MESSAGE_BYTES", 5000)
    with pytest.raises(BodyTooLargeError, match="shows more than"):
        arrow_rows(body)


def test_a_compressed_dictionary_is_refused_also_where_the_rows_are_not():
    plain, compressed = (
        list(pa.ipc.MessageReader.open_stream(stream_of(CODED, compression=how)))
        for how in (None, "zstd")
    )
    assert [each.type for each in plain] == ["schema", "dictionary", "record batch"]
    schema, dictionary, rows = (each.serialize().to_pybytes() for each in plain)
    assert arrow_rows(schema + dictionary + rows) == ["secret"]
    with pytest.raises(StreamMalformedError, match="are compressed"):
        arrow_rows(schema + compressed[1].serialize().to_pybytes() + rows)


def test_texts_that_end_before_they_begin_are_refused():
    honest = stream_of(pa.table({"id": ["abc", "def", "ghi"]}))
    offsets, wrong = (np.array(each, np.int32).tobytes() for each in ([0, 3, 6, 9], [0, 9, 6, 9]))
    with pytest.raises(StreamMalformedError):
        arrow_rows(damaged(honest, offsets, wrong))


def test_a_row_cannot_point_outside_of_its_dictionary():
    honest = stream_of(pa.table({"id": pa.array(["a", "b", "a"]).dictionary_encode()}))
    indices = np.array([0, 1, 0], np.int32).tobytes()
    for wrong in (2, 1 << 30, -(1 << 30)):
        body = damaged(honest, indices, np.array([0, wrong, 0], np.int32).tobytes())
        with pytest.raises(StreamMalformedError):
            arrow_rows(body)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_damage_to_an_arrow_stream_is_more_than_a_refusal(data):
    table = pa.table({"id": pa.array(["ada", None, "bob", "ada"]), "n": [1, 2, 3, 4]})
    coded = table.set_column(0, "id", table["id"].dictionary_encode())
    content = bytearray(stream_of(data.draw(st.sampled_from([table, coded])), rows=3))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(StreamMalformedError, BodyTooLargeError):
        assert len(arrow_rows(bytes(content))) <= 8


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=8)
NAMES = st.one_of(st.sampled_from(PEOPLE), TEXT.filter(lambda text: text.strip()))


@settings(max_examples=50, deadline=None)
@given(st.lists(NAMES), st.integers(1, 5))
def test_a_list_is_the_same_list_however_it_is_written(people, rows):
    lines = [value for some in in_ndjson([lines_of(people)], column="id") for value in some.values]
    column = pa.array(people, pa.string())
    views = column.cast(pa.string_view())
    tables = [pa.table({"id": each}) for each in (column, column.dictionary_encode(), views)]
    assert lines == people
    assert [arrow_rows(stream_of(each, rows)) for each in tables] == [people] * 3


@settings(max_examples=50, deadline=None)
@given(st.lists(st.booleans()))
def test_answers_are_the_same_however_they_are_written(said):
    given_ = np.array(said, dtype=np.bool_)
    writers = (answers.as_json, answers.as_lines, answers.as_arrow, answers.as_bits)
    for form, write in zip([JSON, NDJSON, ARROW, BITS], writers, strict=True):
        written = write(given_)
        content = b"".join(written.blocks)
        assert read(form, content, len(said)) == said
        assert written.length == len(content)


def test_two_million_lines_are_never_held(asking, monkeypatch):
    """Looking people up is left out: it is the same for each part, and takes the time."""
    monkeypatch.setattr(
        "consent.identifiers.digests", lambda _key, _scheme, values: [b""] * len(values)
    )
    monkeypatch.setattr(
        subjects, "by_digests", lambda _scheme, digests: np.zeros(len(digests), np.int64)
    )
    before, most = sys.getallocatedblocks(), 0

    def sent():
        nonlocal most
        some = lines_of(f"person-{n}" for n in range(10_000))
        for _ in range(200):
            yield some
            most = max(most, sys.getallocatedblocks() - before)

    lists = in_ndjson(sent(), column="id")
    found = selectors.filtered(decision=asking.decision, scheme="opaque", lists=lists)
    assert (len(found), found.any()) == (2_000_000, False)
    assert most < 1_000_000
