"""Who is the same person, by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent import identifiers
from consent.identifiers import IdentifierMalformedError

KEY = b"k" * 32


@pytest.mark.parametrize(
    ("scheme", "written", "spelling"),
    [
        ("email", " Ada@Example.ORG ", "ada@example.org"),
        ("email", "\uff41\uff44\uff41@example.org", "ada@example.org"),
        ("email", "STRASSE@example.org", "strasse@example.org"),
        ("email", "straße@example.org", "strasse@example.org"),
        ("opaque", " Ada ", "Ada"),
        ("phone", "+49 (0) 30 901820", "+4930901820"),
        ("phone", "+44 20 7946 0958", "+442079460958"),
        ("phone", " +442079460958", "+442079460958"),
        ("opaque", "\ufb01le", "file"),
        ("customer_id", "007", "007"),
    ],
)
def test_the_same_person_has_one_spelling(scheme, written, spelling):
    assert identifiers.normalised(scheme, written) == spelling


@pytest.mark.parametrize(
    ("scheme", "written"),
    [
        ("email", "ada"),
        ("email", "ada@"),
        ("email", "@example.org"),
        ("email", "a da@example.org"),
        ("email", "ada@example@org"),
        ("opaque", "   "),
        ("opaque", "secret\0name"),
        ("opaque", "secret\ud800name"),
        ("opaque", "secret" * 60),
        ("Email", "ada@example.org"),
        ("", "secret"),
        ("e" * 33, "secret"),
        ("name\n", "secret"),
    ],
)
def test_what_names_nobody_is_refused_without_being_repeated(scheme, written):
    with pytest.raises(IdentifierMalformedError) as refused:
        identifiers.digest(KEY, scheme, written)
    assert refused.value.code == "identifier_malformed"
    assert refused.value.status == 400
    for word in ("secret", "ada", "example"):
        assert word not in str(refused.value)
    assert refused.value.facts == {}


def test_a_digest_depends_on_key_scheme_and_person():
    digests = {
        identifiers.digest(KEY, "opaque", "ada"),
        identifiers.digest(b"l" * 32, "opaque", "ada"),
        identifiers.digest(KEY, "login", "ada"),
        identifiers.digest(KEY, "opaque", "bob"),
    }
    assert len(digests) == 4
    assert {len(each) for each in digests} == {32}


@given(st.sampled_from(["email", "opaque"]), st.text(max_size=40))
def test_a_spelling_is_its_own_spelling(scheme, text):
    written = f"{text}@example.org" if scheme == "email" else text
    try:
        once = identifiers.normalised(scheme, written)
    except IdentifierMalformedError:
        return
    assert identifiers.normalised(scheme, once) == once


@given(st.text(max_size=30) | st.from_regex(r"[ -~\t\n@]{0,20}", fullmatch=True), st.booleans())
def test_the_short_way_says_what_the_long_one_says(value, is_email):
    scheme = identifiers.EMAIL if is_email else identifiers.OPAQUE
    short = identifiers._plain(is_email, value)
    if short:
        assert identifiers._checked(scheme, value) == short
        assert identifiers.digests(b"k", scheme, [value]) == [
            identifiers.digest(b"k", scheme, value)
        ]


@pytest.mark.parametrize(
    "written", ["030 901820", "+49", "ada", "+44 20 7946 0958 ext. 3", "", "+999999999999999999"]
)
def test_what_is_no_number_of_the_whole_world_is_refused(written):
    with pytest.raises(IdentifierMalformedError) as refused:
        identifiers.normalised("phone", written)
    assert not written or written not in refused.value.message
