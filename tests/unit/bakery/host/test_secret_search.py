import pytest

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
