import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bakery.clouds import definitions
from bakery.host import files, yamlfile
from bakery.host.errors import ExitCode, UsageError, render_error
from bakery.model.definition import SecretRef
from bakery.model.validation import validate

WEB = """\
name: web
description: A web server
os: debian-12
arch: x86_64
version: "1.0"
base:
  qemu:
    image: debian-12
software:
  packages: [curl]
  roles:
    - name: nginx
      vars:
        nginx_port: 8080
secrets:
  web_token:
    path: secret/data/bakery/web
    key: token
targets: [local, aws]
distribution:
  aws:
    regions: [eu-central-1]
    accounts: ["123456789012"]
tags:
  team: platform
channel: candidate
rebuild_after_days: 30
"""

BASE = """\
name: debian-12
description: The base
os: debian-12
arch: x86_64
version: "1.0"
base:
  qemu:
    debootstrap: {suite: bookworm}
"""

Write = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "debian-12.yaml").write_text(BASE)
    (folder / "web.yaml").write_text(WEB)
    return folder


def refused(folder: Path) -> UsageError:
    """The error of loading a folder, its place relative to it."""
    with pytest.raises(UsageError) as caught:
        definitions.load(folder)
    assert caught.value.exit_code == ExitCode.USAGE
    caught.value.where = caught.value.where.removeprefix(f"{folder}/")
    return caught.value


def test_good_definitions(folder: Path) -> None:
    loaded = definitions.load(folder)
    web = loaded.images["web"]
    assert list(loaded.images) == ["debian-12", "web"]
    assert (web.parent, web.version, web.mode) == ("debian-12", "1.0", "vm")
    assert web.software.roles[0].vars == {"nginx_port": 8080}
    assert loaded.sources["web"] == folder / "web.yaml"
    assert loaded.images["debian-12"].targets == ("local",)


# What a user gets wrong in web.yaml: (text, replaced by, line of the error, message, hint).
BAD = {
    "unknown key": (
        "channel: candidate",
        "chanel: candidate",
        26,
        "unknown key 'chanel'",
        "did you mean 'channel'?",
    ),
    "unknown key deep down": (
        "      vars:",
        "      varz:",
        13,
        "unknown key 'software.roles.0.varz'",
        "did you mean 'vars'?",
    ),
    "unknown key of an entry with a free name": (
        "    key: token",
        "    keys: token",
        18,
        "unknown key 'secrets.web_token.keys'",
        "did you mean 'key'?",
    ),
    "unknown key like no other": (
        "    key: token",
        "    zzz: 1\n    key: token",
        18,
        "unknown key 'secrets.web_token.zzz'",
        "known here: path, key",
    ),
    "version as a number": (
        'version: "1.0"',
        "version: 1.10",
        5,
        "1.10 is a number to YAML, and would become 1.1",
        'quote it: "1.10"; if it is a number, write 1.1',
    ),
    "version as a number that comes back": (
        'version: "1.0"',
        "version: 1.5",
        5,
        "'version' must be text, not the number 1.5",
        'quote it: "1.5"',
    ),
    "number in a variable of a role": (
        "nginx_port: 8080",
        "nginx_port: {ports: [80, 0443]}",
        14,
        "0443 is a number to YAML, and would become 443",
        'quote it: "0443"; if it is a number, write 443',
    ),
    "number as a key in a variable of a role": (
        "nginx_port: 8080",
        'nginx_port: {1: a, "1": b}',
        14,
        "a key must be text, not the number 1",
        'quote it: "1"',
    ),
    "tag whose key is a number": (
        "team: platform",
        "1.10: platform",
        25,
        "a key must be text, not the number 1.10",
        'quote it: "1.10"',
    ),
    "days beyond all dates": (
        "rebuild_after_days: 30",
        "rebuild_after_days: 99999999999",
        27,
        "'rebuild_after_days' is 99999999999; it must be 36500 or less",
        "rebuild_after_days: bake again after this many days even if nothing changed, for package updates",
    ),
    "account as a number": (
        '["123456789012"]',
        "[123456789012]",
        23,
        "'distribution.aws.accounts.0' must be text, not the number 123456789012",
        'quote it: "123456789012"',
    ),
    "tag as a boolean": (
        "team: platform",
        "team: true",
        25,
        "'tags.team' must be text, not the boolean true",
        'quote it: "true"',
    ),
    "days as text": (
        "rebuild_after_days: 30",
        'rebuild_after_days: "30"',
        27,
        "'rebuild_after_days' is '30'; it must be a whole number",
        "rebuild_after_days: bake again after this many days even if nothing changed, for package updates",
    ),
    "mapping instead of a list": (
        "packages: [curl]",
        "packages: {curl: 1}",
        10,
        "'software.packages' is a mapping; it must be a list",
        "packages: names of packages, as the package manager knows them",
    ),
    "text instead of a mapping": (
        '  aws:\n    regions: [eu-central-1]\n    accounts: ["123456789012"]',
        "  aws: eu-central-1",
        21,
        "'distribution.aws' is 'eu-central-1'; it must be a mapping",
        "write it as {regions: [eu-central-1]}",
    ),
    "no value": (
        "name: web",
        "name:",
        1,
        "'name' has no value",
        "name: part of the names of images, parameters and files",
    ),
    "date": (
        "team: platform",
        "since: 2026-01-31",
        25,
        "2026-01-31 is a timestamp to YAML, which cannot be used here",
        "quote it",
    ),
    "infinity": (
        "nginx_port: 8080",
        "nginx_port: .inf",
        14,
        ".inf is a float to YAML, which cannot be used here",
        "quote it",
    ),
    "tag of YAML": (
        "team: platform",
        "team: !vault platform",
        25,
        "the tag !vault cannot be used here",
        "remove it; a secret stays in Vault, by its path",
    ),
    "no such choice": (
        "arch: x86_64",
        "arch: x86-64",
        4,
        "'arch' is 'x86-64'; it must be 'x86_64'",
        "did you mean 'x86_64'?",
    ),
    "no such target": (
        "targets: [local, aws]",
        "targets: [local, awss]",
        19,
        "'targets.1' is 'awss'; it must be 'local', 'aws', 'vsphere' or 'azure'",
        "did you mean 'aws'?",
    ),
    "missing key": ("os: debian-12\n", "", 1, "'os' is missing", "os: family-release: debian-13"),
    "missing key deep down": (
        "    path: secret/data/bakery/web\n",
        "",
        16,
        "'secrets.web_token.path' is missing",
        "path: API path; KV version 2 has data/ in it: secret/data/bakery/web",
    ),
    "version with a leading zero": (
        '"1.0"',
        '"01.0"',
        5,
        "'version' is '01.0'; it must be two numbers, without leading zeros",
        'write it like "1.0"',
    ),
    "name that no cloud takes": (
        "name: web",
        "name: Web_1",
        1,
        "'name' is 'Web_1'; it must be 2 to 50 of a-z, 0-9 and hyphens, a letter first",
        'write it like "web"',
    ),
    "name of a secret": (
        "  web_token:",
        "  Web-Token:",
        16,
        "'secrets.Web-Token' is 'Web-Token'; it must be a-z, 0-9 and underscores, a letter first",
        'write it like "app_version"',
    ),
    "url that is no url": (
        "    image: debian-12",
        f"    url: ftp://example.org/disk\n    sha256: {'a' * 64}",
        8,
        "'base.qemu.url' is 'ftp://example.org/disk'; it must be an address with http:// or https://",
        'write it like "https://example.com/path"',
    ),
    "url that nothing can connect to": (
        "    image: debian-12",
        f"    url: https://example.org/größe.qcow2\n    sha256: {'a' * 64}",
        8,
        "base.qemu.url: 'ö' cannot stand in an address",
        "write it as %C3%B6",
    ),
    "url with a login": (
        "    image: debian-12",
        "    url: https://example.org/disk\n    checksums: https://me:canary@example.org/SHA256SUMS",
        9,
        "base.qemu.checksums: the address has a login, which every log and record would show",
        "remove what is before the @",
    ),
    "mirror on no port": (
        "    image: debian-12",
        "    debootstrap: {suite: bookworm, mirror: 'http://mirror.example.org:abc/debian'}",
        8,
        "base.qemu.debootstrap.mirror: the port is not a number from 1 to 65535",
        "write https://HOST:PORT/PATH",
    ),
    "url without sha256": (
        "    image: debian-12",
        "    url: https://example.org/disk.qcow2",
        7,
        "base.qemu: url and sha256 belong together",
        "",
    ),
    "sha256 without url": (
        "    image: debian-12",
        f"    image: debian-12\n    sha256: {'a' * 64}",
        7,
        "base.qemu: url and sha256 belong together",
        "",
    ),
    "two bases": (
        "    image: debian-12",
        "    image: debian-12\n    debootstrap: {suite: bookworm}",
        7,
        "base.qemu: needs exactly one of image, url, debootstrap; it has image, debootstrap",
        "",
    ),
    "no base": (
        "  qemu:\n    image: debian-12",
        "  qemu: {}",
        7,
        "base.qemu: needs exactly one of image, url, debootstrap; it has none",
        "",
    ),
    "target without its settings": (
        'distribution:\n  aws:\n    regions: [eu-central-1]\n    accounts: ["123456789012"]\n',
        "",
        1,
        "definition: target aws needs distribution.aws",
        "",
    ),
    "role twice": (
        "    - name: nginx\n",
        "    - name: nginx\n    - name: nginx\n",
        9,
        "software: 'nginx' is listed twice, but roles share their variables",
        "",
    ),
    "variable of two roles": (
        "    - name: nginx\n",
        "    - {name: proxy, vars: {nginx_port: 1}}\n    - name: nginx\n",
        9,
        "software: 'nginx_port' is listed twice, but roles share their variables",
        "",
    ),
    "duplicate key": (
        "arch: x86_64",
        "arch: x86_64\nname: other",
        5,
        "not valid YAML: the key 'name' is there twice",
        "keep one of them",
    ),
    "bracket left open": (
        "packages: [curl]",
        "packages: [curl",
        11,
        "not valid YAML: a list in brackets that is not closed, or lacks a comma",
        "close it, or add the comma",
    ),
    "brace left open": (
        "packages: [curl]",
        "packages: {curl: 1",
        11,
        "not valid YAML: a mapping in braces that is not closed, or lacks a comma",
        "close it, or add the comma",
    ),
    "tab": (
        "  packages: [curl]",
        "\tpackages: [curl]",
        10,
        "not valid YAML: a tab where spaces must be",
        "indent with spaces",
    ),
    "too little indentation": (
        "  packages: [curl]",
        " packages: [curl]",
        11,
        "not valid YAML: a line that does not fit the lines above it",
        yamlfile.ALIKE,
    ),
    "colon in a text": (
        "arch: x86_64",
        "arch: x86_64: 1",
        4,
        "not valid YAML: a colon that ends no key",
        f'{yamlfile.ALIKE}; quote a text that has ": " in it',
    ),
    "key without a colon": (
        "arch: x86_64",
        "arch x86_64",
        4,
        "not valid YAML: a key without a colon",
        "write KEY: VALUE",
    ),
    "text that begins with a mark": (
        "arch: x86_64",
        "arch: @x86_64",
        4,
        "not valid YAML: '@' cannot begin a text",
        "quote the text",
    ),
    "alias of nothing": (
        "arch: x86_64",
        "arch: *x86_64",
        4,
        "not valid YAML: the alias *x86_64 has no anchor &x86_64 above it",
        "add the anchor, or quote the text",
    ),
    "escape that means nothing": (
        "arch: x86_64",
        'arch: "x86\\z"',
        4,
        "not valid YAML: \\z means nothing in double quotes",
        "use single quotes",
    ),
    "text instead of a list": (
        "packages: [curl]",
        "packages: curl",
        10,
        "'software.packages' is 'curl'; it must be a list",
        "write it as [curl]",
    ),
    "name instead of a role": (
        "    - name: nginx\n",
        "    - proxy\n    - name: nginx\n",
        12,
        "'software.roles.0' is 'proxy'; it must be a mapping",
        "write it as {name: proxy}",
    ),
    "mapping instead of a target": (
        "targets: [local, aws]",
        "targets: [{aws: {regions: [eu-central-1]}}]",
        19,
        "'targets.0' is a mapping; it must be 'local', 'aws', 'vsphere' or 'azure'",
        "targets: targets that get the tested image, by name; their settings are in distribution",
    ),
    "packages beside software": (
        "targets: [local, aws]",
        "packages: [curl]\ntargets: [local, aws]",
        19,
        "unknown key 'packages'",
        "did you mean 'software.packages'?",
    ),
    "key of two clouds beside them": (
        "targets: [local, aws]",
        "regions: [eu-central-1]\ntargets: [local, aws]",
        19,
        "unknown key 'regions'",
        "did you mean 'distribution.aws.regions' or 'distribution.azure.regions'?",
    ),
    "os without a release": (
        "os: debian-12",
        "os: Debian",
        3,
        "'os' is 'Debian'; it must be a family in small letters, a hyphen and a release",
        'write it like "debian-13"',
    ),
    "alias inside of itself": (
        "nginx_port: 8080",
        "nginx_list: &all [*all]",
        14,
        "not valid YAML: an alias refers to a node that contains it",
        "",
    ),
    "second document": (
        "channel: candidate",
        "---\nname: other",
        26,
        "not valid YAML: a second document after ---",
        "write one document to each file",
    ),
    "parent that is not defined": (
        "image: debian-12",
        "image: debian-13",
        8,
        "'web' is built on 'debian-13', which is not defined",
        "did you mean 'debian-12'?",
    ),
    "its own parent": ("image: debian-12", "image: web", 8, "the lineage is a cycle: web -> web", ""),
}


@pytest.mark.parametrize(("old", "new", "line", "message", "hint"), BAD.values(), ids=BAD)
def test_bad_definition(folder: Path, old: str, new: str, line: int, message: str, hint: str) -> None:
    assert old in WEB
    (folder / "web.yaml").write_text(WEB.replace(old, new, 1))
    error = refused(folder)
    assert error.where == f"web.yaml:{line}"
    assert error.message.startswith(message)
    assert error.hint == hint


def test_every_mistake_of_a_file_is_told(folder: Path) -> None:
    (folder / "web.yaml").write_text(WEB.replace("os: debian-12\n", "osa: 1\n").replace("channel:", "chanel:"))
    error = refused(folder)
    assert error.message == "unknown key 'osa'"
    assert [render_error(other) for other in error.others] == [
        f"{folder}/web.yaml:26: unknown key 'chanel' (did you mean 'channel'?)",
        f"{folder}/web.yaml:1: 'os' is missing (os: family-release: debian-13)",
    ]


LIBRARY = re.compile(r"Input should|should (be|have|match)|Value error|[Rr]egex|pattern|\bNone\b|\bTrue\b|\{'|\['")
WRONG: tuple[Any, ...] = ("x y", "", [], {}, [1], {"a": 1}, 1, 1.5, True, None, "2026-13-01", -1, [["a"]], "a\tb")


def places(value: object, above: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The keys that lead to each value of a definition."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield (*above, key)
        yield from places(child, (*above, key))


FULL = (
    WEB
    + """\
vulnerabilities: {fail_on: high, only_fixed: true, ignore: [{id: CVE-2026-1, reason: unused, until: '2026-12-31'}]}
exemptions: [{rule: no swap file, reason: it needs one, until: '2026-12-31'}]
mode: vm
max_failures: 3
"""
)


FULL_TEXT = yamlfile.parse(Path("full.yaml"), FULL)


@pytest.mark.parametrize("keys", list(places(json.loads(FULL_TEXT))), ids=str)
def test_no_message_has_the_words_of_a_library(tmp_path: Path, keys: tuple[str | int, ...]) -> None:
    """At each place of a definition, with each kind of value."""
    path = tmp_path / "full.yaml"
    path.write_text(FULL)
    for value in (*WRONG, "2026-01-01T10:00:00", "x" * 300):
        definition: Any = json.loads(FULL_TEXT)
        parent = definition
        for key in keys[:-1]:
            parent = parent[key]
        parent[keys[-1]] = value
        try:
            validate(definitions.Definition, "definition", path, json.dumps(definition))
        except UsageError as error:
            for one in (error, *error.others):
                assert not LIBRARY.search(f"{one.message}\n{one.hint}"), f"{value}: {one.message}\n{one.hint}"
                assert "\n" not in one.message


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ("[awss]", "'targets.0' is 'awss'; it must be 'local', 'aws', 'vsphere' or 'azure'"),
        ("[]", "'targets' has 0 entries; it needs 1 or more"),
    ],
)
def test_a_list_of_wrong_entries_is_not_called_empty(folder: Path, targets: str, message: str) -> None:
    (folder / "web.yaml").write_text(WEB.replace("targets: [local, aws]", f"targets: {targets}"))
    error = refused(folder)
    assert (error.message, error.detail) == (message, "")


@pytest.mark.parametrize(
    ("text", "message"), [("", "the file is empty"), ("- web\n", "'definition' is a list; it must be a mapping")]
)
def test_file_without_a_mapping(folder: Path, text: str, message: str) -> None:
    (folder / "web.yaml").write_text(text)
    error = refused(folder)
    assert error.where == "web.yaml:1"
    assert error.message.startswith(message)


@pytest.mark.parametrize(
    ("data", "where", "message"),
    [(b"#\nname: \xff\n", "web.yaml:2", "not UTF-8 text"), (b"name: \0\n", "web.yaml", "not valid YAML: ")],
)
def test_file_that_is_not_text(folder: Path, data: bytes, where: str, message: str) -> None:
    (folder / "web.yaml").write_bytes(data)
    error = refused(folder)
    assert error.where == where
    assert error.message.startswith(message)


def test_name_defined_twice(folder: Path) -> None:
    (folder / "zoo.yaml").write_text(f"# a copy\n{WEB}")
    error = refused(folder)
    assert (error.where, error.message) == ("zoo.yaml:2", "image 'web' is defined twice")
    assert error.detail == f"also in {folder}/web.yaml"


def test_lineage_that_goes_in_a_circle(folder: Path) -> None:
    (folder / "a.yaml").write_text(WEB.replace("name: web", "name: app").replace("image: debian-12", "image: web"))
    (folder / "debian-12.yaml").write_text(BASE.replace("debootstrap: {suite: bookworm}", "image: web"))
    error = refused(folder)
    assert error.message == "the lineage is a cycle: web -> debian-12 -> web"
    assert error.where == "debian-12.yaml:8"


def test_folder_without_definitions(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("nothing")
    for folder in (tmp_path, tmp_path / "gone"):
        with pytest.raises(UsageError, match=r"no definitions \(\*\.yaml\) found") as caught:
            definitions.load(folder)
        assert caught.value.where == str(folder)
        assert "--definitions" in caught.value.hint


def test_a_file_with_the_other_ending_is_not_passed_over(folder: Path, tmp_path: Path) -> None:
    for place in (folder, tmp_path / "alone"):
        place.mkdir(exist_ok=True)
        (place / "db.yml").write_text("name: db")
        with pytest.raises(UsageError, match="a definition's file must end in") as caught:
            definitions.load(place)
        assert (caught.value.where, caught.value.hint) == (str(place / "db.yml"), "rename it to db.yaml")


def test_folder_named_like_a_definition(folder: Path) -> None:
    (folder / "old.yaml").mkdir()
    error = refused(folder)
    assert (error.where, error.message) == ("old.yaml", "cannot be read: Is a directory")


def test_what_editors_leave_is_not_read(folder: Path) -> None:
    (folder / ".#web.yaml").symlink_to("user@host.1234")
    (folder / "web.yaml~").write_text("name: [")
    assert list(definitions.load(folder).images) == ["debian-12", "web"]


class TestSelection:
    def test_all_or_named(self, folder: Path) -> None:
        loaded = definitions.load(folder)
        assert [image.name for image in loaded.select([])] == ["debian-12", "web"]
        assert [image.name for image in loaded.select(["web", "web"])] == ["web"]

    def test_near_miss(self, folder: Path) -> None:
        with pytest.raises(UsageError, match="no image named 'wbe'") as caught:
            definitions.load(folder).select(["wbe"])
        assert caught.value.hint == "did you mean 'web'?"

    @pytest.mark.parametrize("name", ["packer/images/web.yaml", "web.yaml", "WEB", "wbe.yaml"])
    def test_a_file_instead_of_a_name(self, folder: Path, name: str) -> None:
        with pytest.raises(UsageError, match="no image named") as caught:
            definitions.load(folder).select([name])
        assert caught.value.hint == "did you mean 'web'?"

    def test_ancestors(self, folder: Path) -> None:
        (folder / "shop.yaml").write_text(
            WEB.replace("name: web", "name: shop").replace("image: debian-12", "image: web")
        )
        loaded = definitions.load(folder)
        assert [image.name for image in loaded.with_ancestors(["shop"])] == ["shop", "web", "debian-12"]
        assert [image.name for image in loaded.with_ancestors([])] == ["debian-12", "shop", "web"]

    def test_long_lineage(self, folder: Path) -> None:
        for number in range(1, 60):
            parent = f"layer-{number - 1}" if number > 1 else "debian-12"
            text = WEB.replace("name: web", f"name: layer-{number}").replace("image: debian-12", f"image: {parent}")
            (folder / f"layer-{number}.yaml").write_text(text)
        assert len(definitions.load(folder).with_ancestors(["layer-59"])) == 60


def test_where_finds_the_deepest_key(folder: Path) -> None:
    where = definitions.load(folder).where
    assert where("web", "software", "roles", 0, "vars", "nginx_port") == f"{folder}/web.yaml:14"
    assert where("web", "software", "roles", 0, "vars", "gone") == f"{folder}/web.yaml:13"
    assert where("web", "software", "roles", 7) == f"{folder}/web.yaml:11"
    assert where("web") == f"{folder}/web.yaml:1"


class TestCache:
    @pytest.fixture(autouse=True)
    def settle_files(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """No file counts as one that has just been changed."""
        monkeypatch.setattr(files, "GRAIN", 0)

    @pytest.fixture
    def parsed(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Names of the files that are really parsed."""
        names: list[str] = []
        parse = yamlfile.parse

        def counting(path: Path) -> str:
            names.append(path.name)
            return parse(path)

        monkeypatch.setattr(yamlfile, "parse", counting)
        return names

    def test_only_changed_files_are_parsed_again(self, folder: Path, tmp_path: Path, parsed: list[str]) -> None:
        saved = tmp_path / "cache" / "definitions.json"
        definitions.load(folder, saved)
        parsed.clear()
        definitions.load(folder, saved)
        assert parsed == []
        (folder / "web.yaml").write_text(WEB.replace("candidate", "stable"))
        assert definitions.load(folder, saved).images["web"].channel == "stable"
        assert parsed == ["web.yaml"]

    def test_replaced_file_with_the_same_size_and_time(self, folder: Path, tmp_path: Path) -> None:
        saved, web = tmp_path / "definitions.json", folder / "web.yaml"
        definitions.load(folder, saved)
        before = web.stat()
        web.write_text(WEB.replace("8080", "8081"))
        os.utime(web, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert definitions.load(folder, saved).images["web"].software.roles[0].vars == {"nginx_port": 8081}

    @pytest.mark.parametrize("damage", ["", "{", "[]", "null", '{"x": 5}'])
    def test_damaged_cache_only_costs_time(self, folder: Path, tmp_path: Path, damage: str) -> None:
        saved = tmp_path / "definitions.json"
        saved.write_text(damage)
        assert "web" in definitions.load(folder, saved).images
        assert len(json.loads(saved.read_text())) == 2

    def test_cached_text_of_another_kind_is_not_trusted(self, folder: Path, tmp_path: Path) -> None:
        saved = tmp_path / "definitions.json"
        definitions.load(folder, saved)
        saved.write_text(json.dumps(dict.fromkeys(json.loads(saved.read_text()), 5)))
        assert "web" in definitions.load(folder, saved).images

    def test_cache_that_cannot_be_written(self, folder: Path) -> None:
        assert "web" in definitions.load(folder, folder / "web.yaml" / "definitions.json").images

    def test_deleted_definitions_are_forgotten(self, folder: Path, tmp_path: Path) -> None:
        saved = tmp_path / "definitions.json"
        definitions.load(folder, saved)
        (folder / "web.yaml").unlink()
        definitions.load(folder, saved)
        assert len(json.loads(saved.read_text())) == 1


def test_schema_describes_every_key() -> None:
    schema = definitions.json_schema()
    assert schema["additionalProperties"] is False
    assert set(schema["required"]) == {"name", "description", "os", "arch", "version", "base"}
    assert schema["properties"]["version"]["description"]


VSPHERE = """\
name: web
description: A web server
os: debian-12
arch: x86_64
version: "1.0"
base:
  vsphere:
    template: debian-12
targets: [vsphere]
distribution:
  vsphere:
    server: vcenter.example.net
    library: images
    build: {datacenter: DC0, cluster: C0, datastore: ssd}
    credentials: secret/data/vcenter
"""


@pytest.mark.parametrize("name", ["", "-y", "a b", "nginx; rm", "$(id)", "nginx\n"])
def test_a_package_that_no_archive_has(folder: Path, name: str) -> None:
    (folder / "web.yaml").write_text(WEB.replace("packages: [curl]", f"packages: [curl, {json.dumps(name)}]"))
    error = refused(folder)
    assert error.where == "web.yaml:10"
    assert error.message.endswith("it must be the name of a package, a letter or digit first, no spaces")


@pytest.mark.parametrize(
    "name", ["g++", "libc6:i386", "nginx=1.2*", "@development-tools", "NetworkManager-1:1.2~rc^3.el9"]
)
def test_a_package_as_apt_and_dnf_take_it(folder: Path, name: str) -> None:
    (folder / "web.yaml").write_text(WEB.replace("packages: [curl]", f"packages: [curl, {json.dumps(name)}]"))
    assert definitions.load(folder).images["web"].software.packages == ("curl", name)


BAD_TAGS = {
    '"aws:x": y': ("tags.aws:x: AWS keeps keys that begin with aws: for itself", ""),
    '"": y': ("tags.: AWS takes a key of 1 to 128 characters", "tags.: Azure takes a key of 1 to 512 characters"),
    f"k: {'x' * 257}": ("tags.k: AWS takes a value of at most 256", "tags.k: Azure takes a value of at most 256"),
    "a/b: y": ("", "tags.a/b: Azure takes a key of 1 to 512 characters without any of <>%&\\?/"),
    ", ".join(f"k{number}: v" for number in range(41)): (
        "tags: 41 tags are more",
        "tags: 41 tags are more",
    ),
}
AZURE = """\
  azure:
    tenant: 11111111-2222-3333-4444-555555555555
    subscription: 11111111-2222-3333-4444-555555555555
    resource_group: images
    gallery: images
    regions: [westeurope]
    storage_account: exampleimages
    credentials: azure/creds/bake
"""


@pytest.mark.parametrize(("tags", "messages"), BAD_TAGS.items())
@pytest.mark.parametrize("target", ["aws", "azure", "local"])
def test_tags_that_a_target_refuses(folder: Path, tags: str, messages: tuple[str, str], target: str) -> None:
    message = {"aws": messages[0], "azure": messages[1], "local": ""}[target]
    text = WEB.replace("tags:\n  team: platform\n", f"tags: {{{tags}}}\n")
    text = text.replace("targets: [local, aws]", f"targets: [{target}]").replace(
        "distribution:\n", f"distribution:\n{AZURE}"
    )
    (folder / "web.yaml").write_text(text)
    if message:
        assert refused(folder).message.startswith(message)
    else:
        definitions.load(folder)


@pytest.mark.parametrize(("old", "key"), [("description: ", "description"), ("arch: x86_64\n", "tags.owner")])
def test_a_text_that_packer_would_evaluate_at_a_target(folder: Path, old: str, key: str) -> None:
    new = "description: '{{ x }} of '\n# " if key == "description" else "arch: x86_64\ntags: {owner: '{{ x }}'}\n"
    (folder / "web.yaml").write_text(VSPHERE.replace(old, new, 1))
    with pytest.raises(UsageError) as caught:
        definitions.load(folder)
    assert caught.value.message == f"{key}: Packer evaluates two opening braces when it builds at vsphere"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("    build: {datacenter: DC0, cluster: C0, datastore: ssd}\n", "", "needs distribution.vsphere.build"),
        (
            "template: debian-12",
            'iso: {path: "[ssd] x.iso", answers: answers}',
            "needs distribution.vsphere.build.network",
        ),
        ("os: debian-12", "os: windows-2022", "needs the secret build_password"),
        ("vcenter.example.net", "https://vcenter.example.net", "'distribution.vsphere.server' is"),
        ("vcenter.example.net", "vcenter.example.net:65536", "distribution.vsphere.server: the port is not a number"),
    ],
    ids=["site", "network", "password", "server", "port"],
)
def test_what_a_build_in_vsphere_needs(folder: Path, old: str, new: str, message: str) -> None:
    (folder / "web.yaml").write_text(VSPHERE)
    image = definitions.load(folder).images["web"]
    assert image.builders == ["vsphere"]
    assert image.distribution.wanted("vsphere") == ("images", "vcenter.example.net")
    assert old in VSPHERE
    (folder / "web.yaml").write_text(VSPHERE.replace(old, new))
    with pytest.raises(UsageError) as caught:
        definitions.load(folder)
    assert message in caught.value.message


@pytest.mark.parametrize("path", ["secret/data/web", "team/kv/data/bakery/web.v1", "kv-old/web", "/secret/data/web/"])
def test_a_secret_is_at_a_path_of_an_engine(path: str) -> None:
    assert SecretRef(path=path, key="password").path == path


@pytest.mark.parametrize(
    "path",
    [
        *("auth/token/lookup-self", "sys/mounts", "identity/oidc/token/x", "cubbyhole/x", "secret"),
        *(
            "secret/../auth/token/lookup-self",
            "secret/data/./web",
            "secret/data/..",
            "/auth/token/lookup-self",
            "a/b?version=1",
        ),
    ],
)
def test_a_secret_is_nowhere_else(path: str) -> None:
    with pytest.raises(ValidationError, match="must be an API path of a secrets engine in Vault"):
        SecretRef(path=path, key="password")
