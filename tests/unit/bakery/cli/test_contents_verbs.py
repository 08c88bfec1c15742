"""`show`, `compare` and `history`, over two versions of `web` on `base`."""

import hashlib
import json
from dataclasses import replace

import pytest

from bakery.cli.compare import render
from bakery.contents.comparison import Comparison, PackageChange, Side, compare_packages
from bakery.engine.overview import Overview
from bakery.model import documents
from bakery.model.contents import File, Package
from bakery.model.documents import DatabaseState, VulnerabilitySummary
from bakery.model.vulnerabilities import Vulnerability, VulnerabilityObservation, VulnerabilityReport
from unit.bakery.cli.cli_runner import CliRunner

OLD = {"openssl": "3.0.17-1~deb12u2", "nginx": "1.22.1-9", "telnet": "0.17"}
NEW = {"openssl": "3.0.17-1~deb12u3", "nginx": "1.22.1-9", "curl": "7.88.1-10"}


@pytest.fixture
def versions(bakery: CliRunner) -> CliRunner:
    """1.0.0, and 1.0.1 with other packages and another variable, which `stable` points at."""
    bakery.packages = {"base": {}, "web": OLD}
    bakery.line()
    bakery.packages["web"] = NEW
    bakery.edit("web", "hello", "goodbye")
    bakery.line()
    return bakery


def bake_again(versions: CliRunner) -> None:
    """The next version of `web`, with a longer message."""
    definition = versions.project.definitions / "web.yaml"
    definition.write_text(definition.read_text().replace("goodbye", "goodbye again", 1))
    assert versions("run", "web").code == 0


def test_show_says_what_a_version_is(versions: CliRunner) -> None:
    versions("promote", "web", "1.0.0", "old", "--new")
    answer = versions("show", "web@old")
    assert (answer.code, answer.err) == (0, "")
    rows = {line[:12].strip(): line[12:] for line in answer.out.splitlines()[1:]}
    assert answer.out.startswith("web 1.0.0 (x86_64)\n")
    assert rows["channels"] == "old"
    assert rows["built on"] == "base 1.0.0"
    assert rows["system"] == "Debian GNU/Linux 12 (bookworm)"
    assert rows["contents"] == "3 packages, 0 MB"
    assert rows["archives"] == "http://deb.debian.org/debian bookworm main, 2026-01-31T12:00:00+00:00"
    assert rows["kernels"] == "6.1.0-56-cloud-amd64"
    assert rows["boot"] == "EFI/BOOT/BOOTX64.EFI"
    assert rows["checks"] == "2 passed"
    assert rows["local"] == "web-1.0.0-x86_64.qcow2"


def test_show_knows_the_lineage_in_both_directions(versions: CliRunner) -> None:
    web = documents.parse(Overview, versions("show", "web", "--json").out.encode(), "stdout")
    assert [(base.name, base.version) for base in web.ancestors] == [("base", "1.0.0"), ("debian bookworm", "")]
    assert web.contents
    assert {package.name: package.version for package in web.contents.packages} == NEW
    base = versions("show", "base").out
    assert "base of     web 1.0.0\n            web 1.0.1\n" in base


@pytest.mark.parametrize("name", ["web", "web@stable", "web@1.0.1", "digest", "place", "parameter"])
def test_a_version_has_many_names(versions: CliRunner, name: str) -> None:
    record = versions.catalog.newest("web", "x86_64")
    entry = versions.catalog.channel("web", "x86_64", "stable")
    assert record
    assert entry
    identities = {
        "digest": record.sha256,
        "place": record.publications[0].locations[0].id,
        "parameter": entry.pointers[0].name,
    }
    assert versions("show", identities.get(name, name)).out.startswith("web 1.0.1 (x86_64)\n")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("wob", "error: the catalog has no version named 'wob'\nhint: did you mean 'web'?\n"),
        ("web@beta", "error: web has no version or channel 'beta' (x86_64)\nhint: channels: stable\n"),
        ("web@1.0.9", "error: web 1.0.9 (x86_64) is not in the catalog\nhint: newest versions: 1.0.0, 1.0.1\n"),
    ],
)
def test_show_of_what_is_not_there(versions: CliRunner, name: str, message: str) -> None:
    answer = versions("show", name)
    assert (answer.code, answer.out, answer.err) == (64, "", message)


def test_contents_that_nobody_read_are_unknown(bakery: CliRunner) -> None:
    bakery.line("base")
    assert "contents    unknown: the image was not read\n" in bakery("show", "base").out
    bakery.packages["web"] = OLD
    bakery.line("web")
    answer = bakery("compare", "base", "web")
    assert "packages: unknown, since base 1.0.0 was not read\n" in answer.out
    assert "since base 1.0.0 and base 1.0.0 were not read\n" in bakery("compare", "base", "base").out
    assert json.loads(bakery("compare", "base", "web", "--json").out)["packages"] is None


def test_compare_lists_packages_and_inputs(versions: CliRunner) -> None:
    answer = versions("compare", "web@1.0.0", "web@1.0.1")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out == (
        "web 1.0.0 -> web 1.0.1 (x86_64)\n"
        "packages: 1 added, 1 removed, 1 changed\n"
        "CVEs: unknown, since no database has answered for both versions\n"
        "\n"
        "PACKAGE        BEFORE            AFTER\n"
        "curl:amd64     -                 7.88.1-10\n"
        "openssl:amd64  3.0.17-1~deb12u2  3.0.17-1~deb12u3\n"
        "telnet:amd64   0.17              -\n"
        "\n"
        'input var:nginx.nginx_message: "hello" -> "goodbye"\n'
    )


def test_compare_lists_files_that_no_changed_package_explains(versions: CliRunner) -> None:
    """An update of openssl brings other files of openssl, and a role changes nginx's configuration."""
    old, new = (File("/usr/bin/openssl", 1, digest, "openssl") for digest in "ab")
    config, edited = (File("/etc/nginx/nginx.conf", 2, digest, "nginx") for digest in "ab")
    versions.files["web"] = (old, config, File("/srv/old", 0, "-> /etc"), File("/srv/same", 1, "a"))
    bake_again(versions)
    versions.files["web"] = (new, edited, File("/srv/new", 1, "a"), File("/srv/same", 1, "a"))
    versions.packages["web"] = NEW | {"openssl": "3.0.17-1~deb12u4"}
    bake_again(versions)
    answer = versions("compare", "web")
    assert (
        "packages: 0 added, 0 removed, 1 changed\n"
        "files beside those of these packages: 1 added, 1 removed, 1 changed\n"
        "changed: /etc/nginx/nginx.conf\nadded: /srv/new\nremoved: /srv/old\n"
    ) in answer.out
    assert "\n- added: /srv/new\n" in versions("compare", "web", "--markdown").out
    files = json.loads(versions("compare", "web", "--json").out)["files"]
    assert files[0] == {"path": "/etc/nginx/nginx.conf", "kind": "changed", "package": "nginx"}


def test_compare_shortens_a_long_list_of_files(versions: CliRunner) -> None:
    versions.files["web"] = tuple(File(f"/srv/{number:02}", 1, "a") for number in range(22))
    bake_again(versions)
    answer = versions("compare", "web")
    assert "22 added, 0 removed, 0 changed" in answer.out
    assert "added: /srv/19\n2 more files: --json lists all\n" in answer.out
    assert len(json.loads(versions("compare", "web", "--json").out)["files"]) == 22


def test_files_of_a_version_without_a_list_are_unknown(versions: CliRunner) -> None:
    record = versions.catalog.newest("web", "x86_64")
    assert record
    contents = versions.catalog.contents(record)
    assert contents
    older = versions.catalog.keep_contents(replace(contents, files=""), b"", {})
    versions.catalog.revise(replace(record, contents=older))
    assert json.loads(versions("compare", "web", "--json").out)["files"] is None
    assert "files" not in versions("compare", "web").out


def test_a_damaged_list_of_files_is_an_error(versions: CliRunner) -> None:
    for kept in (versions.project.workspace / "catalog").rglob("files-*.json.gz"):
        kept.write_bytes(b"changed")
    answer = versions("compare", "web")
    assert (answer.code, "not have the digest that the record names" in answer.err) == (1, True)


def test_compare_writes_markdown_and_a_document(versions: CliRunner) -> None:
    markdown = versions("compare", "web@1.0.0", "web@1.0.1", "--markdown").out
    assert markdown.startswith("## web 1.0.0 -> web 1.0.1 (x86_64)\n\n- packages: 1 added, 1 removed, 1 changed\n")
    assert markdown.endswith(
        "\n\n| package | before | after |\n| --- | --- | --- |\n| curl:amd64 | - | 7.88.1-10 |\n"
        "| openssl:amd64 | 3.0.17-1~deb12u2 | 3.0.17-1~deb12u3 |\n| telnet:amd64 | 0.17 | - |\n\n"
        '- input var:nginx.nginx_message: "hello" -> "goodbye"\n'
    )
    document = documents.parse(
        Comparison, versions("compare", "web@1.0.0", "web@1.0.1", "--json").out.encode(), "stdout"
    )
    assert document.packages
    assert [(change.name, change.kind) for change in document.packages] == [
        ("curl", "added"),
        ("openssl", "changed"),
        ("telnet", "removed"),
    ]
    assert versions("compare", "web", "web", "--json", "--markdown").code == 64


KNOWN = DatabaseState("mirror", "2026-11-28T06:00:00+00:00", "xxh64:0123")
TLS = Vulnerability("CVE-2026-0001", "openssl", "3.0.17-1~deb12u2", "3.0.17-1~deb12u3", "high", "pkg:deb/x")
CURL = Vulnerability("CVE-2026-0002", "curl", "7.88.1-10", "", "low", "pkg:deb/y")


def observe_known(versions: CliRunner, version: str, database: DatabaseState, *known: Vulnerability) -> None:
    """Keep what a database says of a version, as a refresh does."""
    report = VulnerabilityReport("web", "x86_64", version, "a" * 64, known)
    digest = hashlib.sha256(documents.dump(report)).hexdigest()
    versions.catalog.keep_vulnerabilities(report, digest)
    summary = VulnerabilitySummary(database, "a" * 64, digest)
    match = VulnerabilityObservation("web", "x86_64", version, "2026-11-28T07:00:00+00:00", summary)
    others = versions.catalog.newest_observations().vulnerabilities
    versions.catalog.keep_observations([], [match, *(one for one in others if one.version != version)])


def test_compare_names_the_vulnerabilities_that_were_fixed(versions: CliRunner) -> None:
    observe_known(versions, "1.0.0", KNOWN, TLS)
    observe_known(versions, "1.0.1", KNOWN, CURL)
    assert "\nCVEs: 1 fixed, 1 introduced; database of 2026-11-28\nfixed: CVE-2026-0001 (high)\n" in (
        versions("compare", "web").out
    )
    assert "- introduced: CVE-2026-0002 (low)\n" in versions("compare", "web", "--markdown").out
    changes = json.loads(versions("compare", "web", "--json").out)["vulnerabilities"]
    assert (changes["fixed"], changes["database"]["built"]) == ({"CVE-2026-0001": "high"}, KNOWN.built)


def test_what_two_databases_say_is_not_compared(versions: CliRunner) -> None:
    """The newer one knows of a vulnerability that both versions have."""
    observe_known(versions, "1.0.0", KNOWN)
    observe_known(versions, "1.0.1", replace(KNOWN, digest="xxh64:4567"), CURL)
    assert "CVEs: unknown, since no database has answered for both" in versions("compare", "web").out


def test_compare_names_boot_files_that_differ() -> None:
    before, after = (Side("web", version, version, 1, ()) for version in ("1.0.0", "1.0.1"))
    text = render(Comparison("x86_64", before, after, (), (), ("EFI/BOOT/BOOTX64.EFI",)))
    assert "\nboot files: EFI/BOOT/BOOTX64.EFI" in text


def test_compare_with_the_version_before(versions: CliRunner) -> None:
    assert versions("compare", "web").out == versions("compare", "web@1.0.0", "web@1.0.1").out
    versions.catalog.reserve("web", "x86_64", "1.0", "other", {}, "builder", "bake-private")
    assert versions("compare", "web").out.startswith("web 1.0.0 -> web 1.0.1"), "a reserved version has nothing in it"
    first = versions("compare", "web@1.0.0")
    assert (first.code, first.err) == (1, "error: web 1.0.0 (x86_64) is the first complete version\n")
    many = versions("compare", "a", "b", "c")
    assert (many.code, many.err) == (64, "error: 3 versions\nhint: compare takes one or two\n")


def test_a_version_equals_itself(versions: CliRunner) -> None:
    assert versions("compare", "web", "web@stable").out == (
        "web 1.0.1 -> web 1.0.1 (x86_64)\npackages: 0 added, 0 removed, 0 changed\n"
        "CVEs: unknown, since no database has answered for both versions\nthe disks are equal\n"
    )


def test_versions_side_by_side_are_one_package() -> None:
    def kernel(version: str) -> Package:
        return Package("kernel-core", version, "x86_64", "kernel", "Rocky")

    assert compare_packages([kernel("5.14-1"), kernel("5.14-2")], [kernel("5.14-2"), kernel("5.14-3")]) == (
        PackageChange("kernel-core", "x86_64", "5.14-1, 5.14-2", "5.14-2, 5.14-3"),
    )


def test_history_of_an_image_and_of_a_channel(versions: CliRunner) -> None:
    versions("rollback", "web", "stable", "--reason", "errors in production")
    moves = ["stable -> 1.0.0", "stable -> 1.0.1", "stable -> 1.0.0, held"]
    answer = versions("history", "web")
    assert answer.code == 0
    events = [line.split("  ")[1] for line in answer.out.splitlines()[1:]]
    assert sorted(events) == sorted(["1.0.0 complete", "1.0.1 complete", *moves])
    channel = versions("history", "web", "stable").out.splitlines()[1:]
    assert [line.split("  ")[1] for line in channel] == moves
    assert channel[-1].endswith("errors in production")
    entries = json.loads(versions("history", "web", "stable", "--json").out)
    assert [entry["version"] for entry in entries] == ["1.0.0", "1.0.1", "1.0.0"]


def test_history_of_what_is_not_there(versions: CliRunner) -> None:
    assert versions("history", "wob").err.endswith("wob has no version (x86_64)\nhint: did you mean 'web'?\n")
    answer = versions("history", "web", "beta")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err == "error: web has no channel 'beta' (x86_64)\nhint: channels: stable\n"


@pytest.mark.parametrize(("size", "lines"), [(475_200_000, []), (480_000_000, ["size: 475 MB -> 480 MB"])])
def test_sizes_that_read_alike_are_no_difference(size: int, lines: list[str]) -> None:
    before, after = Side("web", "1.0.0", "a", 474_900_000, ()), Side("web", "1.0.1", "b", size, ())
    text = render(Comparison("x86_64", before, after, (), ()))
    assert [line for line in text.splitlines() if line.startswith("size")] == lines
