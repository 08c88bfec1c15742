import base64
import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bakery.machine import disk_image
from bakery.machine.root import NoRootError
from bakery.model.documents import Check
from bakery.verify import secret_search

SECRET = 'p/ss+w\u00f6rd "17" & more'
PEM = (
    "-----BEGIN PRIVATE KEY-----\n"
    + "\n".join("kEy" * 20 + str(line) for line in range(4))
    + "\n-----END PRIVATE KEY-----\n"
)


@pytest.fixture(autouse=True)
def no_file_system(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(raw: Path) -> None:
        raise NoRootError("none")

    monkeypatch.setattr(secret_search, "open_root", refuse)


def search(folder: Path, content: bytes, *secrets: str) -> list[Check]:
    raw = folder / "disk.raw"
    with raw.open("wb") as stream:
        stream.seek(1 << 20)
        stream.write(content)
        stream.truncate(4 << 20)
    return secret_search.search(raw, secrets)


def wrapped(text: str, width: int) -> str:
    return "\n".join(textwrap.wrap(text, width))


FORMS: dict[str, Callable[[str], str | bytes]] = {
    "plain text": str,
    "JSON": json.dumps,
    "a URL": quote,
    "UTF-16": lambda value: value.encode("utf-16-le"),
    "hex": lambda value: value.encode().hex(),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_found_and_never_shown(tmp_path: Path, form: str) -> None:
    hidden = FORMS[form](SECRET)
    data = hidden if isinstance(hidden, bytes) else hidden.encode()
    (check,) = search(tmp_path, b"before" + data + b"after", SECRET)
    assert not check.passed
    assert f"secret 1 of 1 in {form} at byte {1 << 20}"[:-3] in check.detail
    assert SECRET not in check.detail


@pytest.mark.parametrize(
    "encode",
    [
        lambda value: json.dumps(value, ensure_ascii=False),
        lambda value: quote_plus(value),
        lambda value: value.encode().hex().upper(),
        lambda value: wrapped((b"some bytes" + value.encode() * 3).hex(), 60),
    ],
)
def test_variants_are_found(tmp_path: Path, encode: Callable[[str], str]) -> None:
    assert not search(tmp_path, encode(SECRET).encode(), SECRET)[0].passed


@given(
    value=st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=8, max_size=200),
    before=st.binary(max_size=100),
    after=st.binary(max_size=100),
    width=st.sampled_from([64, 76, 10_000]),
    encode=st.sampled_from([base64.b64encode, base64.urlsafe_b64encode]),
)
def test_base64_is_found_wherever_the_value_stands(
    tmp_path_factory: pytest.TempPathFactory,
    value: str,
    before: bytes,
    after: bytes,
    width: int,
    encode: Callable[[bytes], bytes],
) -> None:
    # A value too short for two windows may be broken by a line end.
    if len(value.encode()) < 2 * secret_search.BASE64_WINDOW:
        width = 10_000
    text = wrapped(encode(before + value.encode() + after).decode(), width)
    assert not search(tmp_path_factory.mktemp("disk"), text.encode(), value)[0].passed


def test_one_line_of_a_key_is_enough(tmp_path: Path) -> None:
    indented = textwrap.indent(PEM, "    ").encode()
    assert not search(tmp_path, indented, PEM)[0].passed


def test_the_frame_of_a_key_is_no_secret(tmp_path: Path) -> None:
    other = PEM.replace("kEy", "oTh")
    assert search(tmp_path, other.encode() + base64.b64encode(other.encode()) + other.encode().hex().encode(), PEM)[
        0
    ].passed


def test_nothing_is_found_in_other_data(tmp_path: Path) -> None:
    (check,) = search(tmp_path, b"p/ss w\xc3\xb6rd nothing here" * 100, SECRET)
    assert check == Check(secret_search.NAME, True)


def test_a_value_across_two_reads_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret_search, "CHUNK", 4096)
    for shift in (4090, 4095, 8192 - len(SECRET.encode())):
        (check,) = search(tmp_path, b"x" * shift + SECRET.encode() + b"x" * 5000, SECRET)
        assert f"at byte {(1 << 20) + shift}:" in check.detail


def test_each_secret_has_its_number(tmp_path: Path) -> None:
    (check,) = search(tmp_path, b"second-secret", "first-secret", "second-secret", "third-secret")
    assert "secret 2 of 3" in check.detail
    assert "secret 1" not in check.detail


def test_short_values_fail_since_they_cannot_be_searched(tmp_path: Path) -> None:
    found, short = search(tmp_path, b"nothing", "short", "long-enough")
    assert found.passed
    assert not short.passed
    assert "1 of 2" in short.detail
    assert "short " not in short.detail.replace("shorter", "")


@pytest.mark.parametrize("secrets", [(), ("",), ("\n",)])
def test_no_secrets_no_finding(tmp_path: Path, secrets: tuple[str, ...]) -> None:
    assert search(tmp_path, b"anything", *secrets) == [Check(secret_search.NAME, True)]


def test_the_file_that_holds_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Root:
        partition = disk_image.Partition("root", "x", 1 << 20, 1 << 20, 1)
        raw = tmp_path / "disk.raw"

        def owner(self, offset: int) -> str:
            return f"/etc/app.conf at {offset}"

    monkeypatch.setattr(secret_search, "open_root", lambda raw: Root())
    (check,) = search(tmp_path, SECRET.encode(), SECRET)
    assert check.detail.endswith(f"/etc/app.conf at {1 << 20}")
    (check,) = search(tmp_path, bytes(1 << 20) + SECRET.encode(), SECRET)
    assert check.detail.endswith("outside of the root file system")


def test_a_copy_of_the_root_is_searched_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Copy:
        partition = disk_image.Partition("root", "x", 0, 1 << 20, 1)
        raw = tmp_path / "root.ext4"

        def owner(self, offset: int) -> str:
            return "/etc/app.conf"

    Copy.raw.write_bytes(SECRET.encode())
    monkeypatch.setattr(secret_search, "open_root", lambda raw: Copy())
    (check,) = search(tmp_path, b"compressed", SECRET)
    assert check.detail == "secret 1 of 1 in plain text at byte 0: /etc/app.conf"
