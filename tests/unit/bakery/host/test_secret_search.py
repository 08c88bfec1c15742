import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bakery.host.secret_search import Matcher
from encoders import ALL, CARRIERS, ESCAPES, is_searched_for

VALUES = {
    "generated": "a&b<c>d\"e'f$g h/i+j9k2M",
    "words": 'p/ss+w\u00f6rd "17" & more',
    "letters": "Xk29sLqPz0Wm",
    "short": "Gk<7$f2q",
    "signs": "&<\"'$&<\"'$!{}",
    "not ASCII": "\u043f\u0430\u0440\u043e\u043b\u044c-\u0441\u0435\u043a\u0440\u0435\u0442",
    "pairs": "a1-b2-c3-d4",
    "base64": "q83vEjRWeJ+/q83v/jRWeA==",
}
MATCHERS = {name: Matcher([value]) for name, value in VALUES.items()}


def forms(name: str, encoded: bytes) -> list[str]:
    return [hit.form for hit in MATCHERS[name].find(b"before = " + encoded + b" and after")]


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("encoder", ALL)
def test_every_form_is_found(name: str, encoder: str) -> None:
    assert forms(name, ALL[encoder](VALUES[name].encode()))


@pytest.mark.parametrize("name", VALUES)
def test_every_form_of_every_form_is_found(name: str) -> None:
    plain = VALUES[name].encode()
    missed = [
        (inner, outer)
        for inner in (*CARRIERS, *ESCAPES)
        for outer in (*CARRIERS, *ESCAPES)
        if is_searched_for(inner, outer) and not forms(name, ALL[outer](ALL[inner](plain)))
    ]
    assert not missed


@pytest.mark.parametrize(
    "text",
    [
        'p/ss+w\u00f6rd "17" & more'.encode("latin-1"),
        rb"p/ss+w\303\266rd \04217\042 \046 more",
        rb"p/ss+w\xf6rd \x2217\x22 \x26 more",
        b'yaml: "p/ss+w\xc3\xb6rd \\"17\\"\n       & more"',
        b"p%252Fss%252Bw%25C3%25B6rd%2B%252217%2522%2B%2526%2Bmore",
    ],
)
def test_other_ways_to_write_it_are_found(text: bytes) -> None:
    assert MATCHERS["words"].find(text)


VALUE = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=12, max_size=40)


@settings(max_examples=20, deadline=None)
@given(value=VALUE, inner=st.sampled_from([*CARRIERS, *ESCAPES]), outer=st.sampled_from([*CARRIERS, *ESCAPES]))
def test_any_value_is_found_in_any_two_encodings(value: str, inner: str, outer: str) -> None:
    assume(is_searched_for(inner, outer))
    encoded = ALL[outer](ALL[inner](value.encode()))
    assert Matcher([value]).find(b"before = " + encoded + b" and after")


@given(st.binary(max_size=5000))
def test_other_bytes_are_no_hit(content: bytes) -> None:
    assert not MATCHERS["generated"].find(content)
