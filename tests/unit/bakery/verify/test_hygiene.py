from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from bakery.host.errors import BakeryError
from bakery.machine import disk_image, filesystem
from bakery.model.documents import Check
from bakery.model.exemption import Exemption
from bakery.verify import hygiene
from bakery.verify.inspection import InspectedDisk
from bakery.verify.rule import Remark, Rule
from doubles.trees import Tree, make_disk

RULE = Rule("no files", "Because.", "[x](https://x)", "Remove them.", lambda disk: disk.files.match("/files"))
REMARKING = Rule("parts", "Because.", "[x](https://x)", "Read them.", lambda disk: [Remark("not read: 1")])
TODAY = datetime.now(UTC).date()


def check_tree(
    monkeypatch: pytest.MonkeyPatch,
    tree: Tree,
    rules: Mapping[str, Rule],
    exemptions: Sequence[Exemption] = (),
    disk: InspectedDisk | None = None,
) -> list[Check]:
    """The checks of rules on a tree, or on a disk; no partition is read."""
    monkeypatch.setattr(hygiene, "inspect", lambda raw: disk or make_disk(tree, raw))
    return hygiene.check(Path("disk.raw"), rules, exemptions)


def exempt(until: date | None = None) -> Exemption:
    return Exemption(rule="no files", reason="a test needs them", until=until)


def test_each_rule_is_one_check(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = {rule.name: rule for rule in (RULE, REMARKING)}
    checks = check_tree(monkeypatch, {"/files/a": "x", "/files/b": "x"}, rules)
    assert checks == [Check("no files", False, "/files/a, /files/b"), Check("parts", True, "not read: 1")]


def test_a_rule_that_cannot_read_the_disk_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(disk: InspectedDisk) -> Iterator[str]:
        yield "a finding before it"
        raise BakeryError("dumpe2fs failed with exit code 1")

    broken = Rule("blocks", "Because.", "[x](https://x)", "Read them.", fail)
    (check,) = check_tree(monkeypatch, {}, {broken.name: broken})
    assert check == Check("blocks", False, "dumpe2fs failed with exit code 1")


def test_many_findings_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    tree: Tree = {f"/files/{number:02}": "x" for number in range(15)}
    (check,) = check_tree(monkeypatch, tree, {RULE.name: RULE})
    assert check.detail.endswith("/files/09 and 5 more")


def test_an_exemption_passes_and_is_shown_with_what_it_lets_through(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = {RULE.name: RULE}
    assert check_tree(monkeypatch, {"/files/a": "x"}, rules, [exempt()]) == [
        Check("no files", True, "exempt: a test needs them (/files/a)")
    ]
    assert check_tree(monkeypatch, {"/other": "x"}, rules, [exempt(TODAY)]) == [
        Check("no files", True, "exempt: a test needs them (nothing found)")
    ]


def test_an_exemption_of_another_rule_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    other = Exemption(rule="parts", reason="a test needs them")
    (check,) = check_tree(monkeypatch, {"/files/a": "x"}, {RULE.name: RULE}, [other])
    assert check == Check("no files", False, "/files/a")


def test_an_exemption_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    yesterday = TODAY - timedelta(days=1)
    (check,) = check_tree(monkeypatch, {"/files/a": "x"}, {RULE.name: RULE}, [exempt(yesterday)])
    assert check == Check("no files", False, f"/files/a; the exemption ended on {yesterday}")


def test_a_disk_that_cannot_be_read_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "disk.raw").write_bytes(bytes(1 << 20))
    monkeypatch.setattr(disk_image, "partitions", lambda _: [disk_image.Partition("root", "X", 0, 1 << 20, 1)])
    (check,) = hygiene.check(tmp_path / "disk.raw", hygiene.RULES)
    assert not check.passed
    assert "ext4" in check.detail


def test_the_root_says_so_or_is_the_largest(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sizes = {"other": 1 << 20, "big": 4 << 20, "small root": 2 << 20, "not ext": 8 << 20}
    partitions, start = {}, 1 << 20
    raw = tmp_path / "disk.raw"
    with raw.open("wb") as stream:
        for name, size in sizes.items():
            kind = filesystem.ROOT_TYPE if name == "small root" else "X"
            partitions[name] = disk_image.Partition(name, kind, start, size, 1)
            if name != "not ext":
                stream.seek(start + 1024 + 24)
                stream.write((2).to_bytes(4, "little"))
                stream.seek(start + 1024 + 56)
                stream.write(b"\x53\xef")
            start += size
        stream.truncate(start)

    def root_of(*names: str) -> str | None:
        monkeypatch.setattr(disk_image, "partitions", lambda _: [partitions[name] for name in names])
        found = filesystem.root_of(raw)
        return found.partition.name if found else None

    assert root_of("other", "big", "small root", "not ext") == "small root"
    assert root_of("other", "big", "not ext") == "big"
    assert root_of("not ext") is None
