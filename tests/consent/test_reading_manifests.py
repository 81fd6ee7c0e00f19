"""A manifest is read whole, in bounded memory, or refused by line number alone."""

import gzip
import zlib
from io import BytesIO

import pytest

from consent import manifests
from consent.manifest_errors import ManifestMalformedError
from consent.manifests import Body, Form, ManifestTruncatedError
from governance.errors import BodyTooLargeError
from governance.gzipped import MalformedGzipError

KEY = b"k" * 32


def body(content: bytes, **said) -> Body:
    return Body(BytesIO(content).read, key=KEY, **said)


def read(form: Form, content: bytes, column: str = "id", **said) -> list[tuple[int, str]]:
    return list(manifests.named(form, body(content, **said), column=column))


def test_ndjson_names_people_by_text_number_or_key():
    content = b'"ada"\n\n42\n{"id": "bob", "n": [{"id": 1}]}\r\n{"n": 1, "id": 7}'
    assert read(Form.NDJSON, content) == [(1, "ada"), (3, "42"), (4, "bob"), (5, "7")]


def test_csv_names_people_by_the_column_of_its_header():
    content = b'\xef\xbb\xbfn,who\r\n1,ada\r\n\r\n2,"b, ob"\r\n'
    assert read(Form.CSV, content, column="who") == [(2, "ada"), (4, "b, ob")]


def test_a_list_may_name_nobody():
    assert read(Form.NDJSON, b"\n") == []
    assert read(Form.CSV, b"id\n") == []


@pytest.mark.parametrize(
    ("form", "content", "line"),
    [
        (Form.NDJSON, b'"ada"\nsecret', 2),
        (Form.NDJSON, b'"ada"\n["secret"]', 2),
        (Form.NDJSON, b'{"name": "secret"}', 1),
        (Form.NDJSON, b'{"id": "secret", "id": "other"}', 1),
        (Form.NDJSON, b'{"id": {"id": "secret"}}', 1),
        (Form.NDJSON, b"true", 1),
        (Form.NDJSON, b"1.5", 1),
        (Form.NDJSON, b"NaN", 1),
        (Form.NDJSON, b"null", 1),
        (Form.NDJSON, b"9" * 5000, 1),
        (Form.NDJSON, b"[" * 60_000, 1),
        (Form.NDJSON, b'"secret\xff"', 1),
        (Form.NDJSON, b'"ada"\n"' + b"s" * 70_000 + b'"', 2),
        (Form.CSV, b"", 1),
        (Form.CSV, b"who\nsecret\n", 1),
        (Form.CSV, b"id,id\nsecret,secret\n", 1),
        (Form.CSV, b"id,n\nada,1\nsecret\n", 3),
        (Form.CSV, b"id,n\nada,1\n,1\n", 3),
        (Form.CSV, b'id\n"secret', 2),
        (Form.CSV, b'id\n"secret"x\n', 2),
    ],
)
def test_a_malformed_line_is_named_by_number_and_never_repeated(form, content, line):
    with pytest.raises(ManifestMalformedError) as refused:
        read(form, content)
    assert refused.value.facts == {"line": line}
    assert refused.value.message.startswith(f"line {line}: ")
    assert "secret" not in refused.value.message


def test_a_list_that_was_cut_off_is_refused():
    with pytest.raises(ManifestTruncatedError):
        read(Form.NDJSON, b'"ada"\n', length=20)
    assert read(Form.NDJSON, b'"ada"\n', length=6) == [(1, "ada")]


def test_the_same_content_has_the_same_digest_however_it_is_sent():
    content = b'"ada"\n' * 50_000
    plain, zipped = body(content), body(gzip.compress(content), gzipped=True)
    assert b"".join(plain) == b"".join(zipped) == content
    assert plain.digest == zipped.digest
    other = Body(BytesIO(content).read, key=b"l" * 32)
    assert b"".join(other) == content
    assert other.digest != plain.digest


@pytest.mark.parametrize(
    "damaged",
    [
        b"plain",
        gzip.compress(b'"ada"\n')[:-3],
        gzip.compress(b'"ada"\n') + b"more",
        gzip.compress(b'"ada"\n') * 2,
        zlib.compress(b'"ada"\n'),
    ],
)
def test_damaged_gzip_is_refused(damaged):
    with pytest.raises(MalformedGzipError):
        read(Form.NDJSON, damaged, gzipped=True)


def test_a_small_body_cannot_become_a_large_one():
    bomb = gzip.compress(b'"ada"\n' * 1_000_000)
    with pytest.raises(BodyTooLargeError):
        read(Form.NDJSON, bomb, gzipped=True, limit=100_000)
