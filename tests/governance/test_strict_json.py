import contextlib
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.strictjson import MalformedJSONError, loads

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")), inner
        )
    ),
)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "the body is not JSON at line 1 column 1"),
        (b"{", "the body is not JSON at line 1 column 2"),
        (b"[1]]", "the body is not JSON at line 1 column 4"),
        (b'\xef\xbb\xbf{"a":1}', "the body is not JSON at line 1 column 1"),
        (b'"\xff"', "the body is not UTF-8 at byte 1"),
        (b'"\xed\xa0\x80"', "the body is not UTF-8 at byte 1"),
        (b'"\\u0000"', "a string holds the character U+0000"),
        (b'{"\\\\\\u0000": 1}', "a string holds the character U+0000"),
        (b'"a\x00b"', "the body is not JSON at line 1 column 3"),
        (b'"\\ud800"', "a string holds half of a surrogate pair"),
        (b'{"\\uDFFF":1}', "a string holds half of a surrogate pair"),
        (b'"\\ude00\\ud83d"', "a string holds half of a surrogate pair"),
        (b"NaN", "NaN and Infinity are not JSON"),
        (b'{"a": [-Infinity]}', "NaN and Infinity are not JSON"),
        (b"1e400", "a number is too large for a double"),
        (b"[-1E+0400]", "a number is too large for a double"),
        (b"9" * 400 + b".5", "a number is too large for a double"),
        (b"9" * 101, "an integer has more than 100 digits"),
        (b"-" + b"9" * 5000, "an integer has more than 100 digits"),
        (b'{"a":1,"b":2,"a":1}', "an object names a key twice"),
        (b'[{"a":{"x":1,"\\u0078":2}}]', "an object names a key twice"),
        (b"[" * 33 + b"]" * 33, "the body is nested deeper than 32 levels"),
        (b'{"a":' * 33 + b"1" + b"}" * 33, "the body is nested deeper than 32 levels"),
        (b"[" * 100_000, "the body is nested deeper than 32 levels"),
        (b"[[]," * 40_000, "the body is nested deeper than 32 levels"),
        (b"[" * 100_000 + b"]" * 100_000, "the body is nested deeper than 32 levels"),
        (b"[" + b"1," * 500_000 + b"1]", "the body has more than 500000 tokens"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_body_that_could_not_be_kept_or_means_two_things_is_refused_in_one_sentence(body, says):
    with pytest.raises(MalformedJSONError) as refusal:
        loads(body)
    assert refusal.value.message == says
    assert (refusal.value.code, refusal.value.status) == ("malformed_json", 400)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'"\\\\u0000"', "\\u0000"),
        (b'"\\ud83d\\ude00"', "\N{GRINNING FACE}"),
        (b'"\\\\ud800"', "\\ud800"),
        (b"9" * 100, int("9" * 100)),
        (b"1e308", 1e308),
        (b'"1e400"', "1e400"),
        (b'"' + b"7" * 300 + b'"', "7" * 300),
        (b'"NaN"', "NaN"),
        (b"[" * 32 + b"]" * 32, json.loads("[" * 32 + "]" * 32)),
        (b'["' + b"[{" * 500 + b'"]', ["[{" * 500]),
        (b'["\\"' + b"[" * 50 + b'\\\\","]"]', ['"' + "[" * 50 + "\\", "]"]),
        (b'["' + b"," * 600_000 + b'"]', ["," * 600_000]),
        (b'[{"a":1},{"a":1}]', [{"a": 1}, {"a": 1}]),
    ],
)
def test_what_only_looks_dangerous_is_read(body, value):
    assert loads(body) == value


@given(plain)
def test_every_ordinary_value_is_read_as_it_was_written(value):
    assert loads(json.dumps(value).encode(), max_depth=100) == value
    assert loads(json.dumps(value, ensure_ascii=False).encode(), max_depth=100) == value


@given(st.text(alphabet='[]{}",:\\ 1eE0+.-uda', max_size=80))
def test_whatever_is_accepted_the_ordinary_reader_accepts_too(text):
    try:
        value = loads(text.encode())
    except MalformedJSONError:
        return
    assert json.loads(text) == value


def test_the_bounds_are_the_callers():
    assert loads(b"[[1,2]]", max_depth=2, max_tokens=3) == [[1, 2]]
    with pytest.raises(MalformedJSONError):
        loads(b"[[1,2]]", max_depth=1)
    with pytest.raises(MalformedJSONError):
        loads(b"[[1,2]]", max_tokens=2)


@pytest.mark.parametrize(
    "body",
    [
        b'["' + b"\\" * 1_000_000 + b'"]',
        b'["' + b"\\\\u0000" * 140_000 + b'"]',
        b'["' + b'\\"[' * 300_000 + b'"]',
        b"[" * 1_000_000,
        b"[" * 500_000 + b"]" * 500_000,
        b'"' * 1_000_000,
    ],
)
def test_no_megabyte_is_expensive_to_judge(body):
    start = time.process_time()
    with contextlib.suppress(MalformedJSONError):
        loads(body)
    assert time.process_time() - start < 0.5  # far above what it takes, far below a quadratic scan
