from collections.abc import Mapping
from pathlib import Path

import pytest

from bakery.machine import disk_image, filesystem
from bakery.machine.filesystem import FileSystem
from bakery.verify import hygiene

Tree = dict[str, str | None]  # text by path; None is a folder, "-> x" a link

CLEAN: Tree = {
    "/etc/machine-id": "",
    "/etc/passwd": "root:x:0:0:root:/root:/bin/bash\napp:x:1500:1500::/srv/app:/bin/sh\nsync:x:4:65534::/:/bin/sync\n",
    "/etc/ssh/sshd_config": "PasswordAuthentication no",
    "/root/.bashrc": "",
    "/var/log/wtmp": "",
    "/var/cache/apt/archives/lock": "",
    "/usr/sbin/sshd": "",
    "/home": None,
}


class FakeDisk(FileSystem):
    """Answers as debugfs does."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree

    def _ask_debugfs(self, request: str) -> str:
        verb, path = request.rsplit(" ", 1)
        path = path.strip('"').rstrip("/")
        if verb == "cat":
            return self.tree.get(path) or ""
        below = {name.removeprefix(f"{path}/") for name in self.tree if name.startswith(f"{path}/")}
        folders = {name.split("/")[0] for name in below if "/" in name}
        rows = [f"/9/040755/0/0/{name}//" for name in (".", "..", *sorted(folders))]
        for name in sorted(below - folders):
            text = self.tree.get(f"{path}/{name}")
            if "/" not in name:
                rows.append(_row(name, text))
        return "\n".join(rows) + "\n\n" if below else f"{path}: File not found by ext2_lookup"


def _row(name: str, text: str | None) -> str:
    if text is None:
        return f"/9/040755/0/0/{name}//"
    kind = "120777" if text.startswith("-> ") else "100644"
    return f"/9/{kind}/0/0/{name}/{len(text)}/"


def failing(
    monkeypatch: pytest.MonkeyPatch, tree: Tree, rules: Mapping[str, hygiene.Rule] = hygiene.RULES
) -> dict[str, str]:
    """What was seen, by the name of each failed check."""
    monkeypatch.setattr(hygiene, "open_root", lambda raw: FakeDisk(tree))
    checks = hygiene.check(Path("disk.raw"), rules)
    assert [check.name for check in checks] == list(rules)
    return {check.name: check.detail for check in checks if not check.passed}


def test_a_clean_disk_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert failing(monkeypatch, CLEAN) == {}


@pytest.mark.parametrize(
    ("name", "path", "text"),
    [
        ("no SSH host keys", "/etc/ssh/ssh_host_rsa_key", "x"),
        ("no SSH host keys", "/etc/ssh/ssh_host_ed25519_key.pub", "x"),
        ("machine ID is empty", "/etc/machine-id", "48a615ae1bd940c0ba9a0740a325d94d\n"),
        ("machine ID is empty", "/var/lib/dbus/machine-id", "48a615ae1bd940c0ba9a0740a325d94d\n"),
        ("no authorized keys", "/root/.ssh/authorized_keys", "ssh-ed25519 x"),
        ("no authorized keys", "/srv/app/.ssh/authorized_keys2", "ssh-ed25519 x"),
        ("no authorized keys", "/home/gone/.ssh/authorized_keys", "ssh-ed25519 x"),
        ("no cloud-init instance", "/var/lib/cloud/instance", "x"),
        ("no cloud-init instance", "/var/lib/cloud/instances/i-1/user-data.txt", "x"),
        ("no network settings of the bake", "/etc/systemd/network/10-cloud-init-ens4.network", "x"),
        ("no network settings of the bake", "/etc/netplan/50-cloud-init.yaml", "x"),
        ("logs are empty", "/var/log/journal/48a6/system.journal", "x" * (hygiene.LOG_BYTES + 1)),
        ("no shell history", "/root/.bash_history", "x"),
        ("no shell history", "/srv/app/.python_history", "x"),
        ("no build user", "/home/packer/.profile", "x"),
        ("no build user", "/etc/sudoers.d/90-cloud-init-users", "x"),
        ("services may start (no policy-rc.d)", "/usr/sbin/policy-rc.d", "x"),
        ("no package cache", "/var/cache/apt/archives/jq_1.6_amd64.deb", "x"),
        ("no package cache", "/var/cache/apt/pkgcache.bin", "x"),
    ],
)
def test_each_trace_fails_its_check(monkeypatch: pytest.MonkeyPatch, name: str, path: str, text: str) -> None:
    seen = failing(monkeypatch, {**CLEAN, path: text})
    assert list(seen) == [name]
    assert path.rsplit("/", 1)[0] in seen[name] or path in seen[name]


def test_a_build_user_that_is_left_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    passwd = f"{CLEAN['/etc/passwd']}packer:x:1000:1000::/home/packer:/bin/bash\n"
    assert failing(monkeypatch, {**CLEAN, "/etc/passwd": passwd}) == {"no build user": "user packer"}


def test_an_uninitialized_machine_id_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    assert failing(monkeypatch, {**CLEAN, "/etc/machine-id": "uninitialized\n"}) == {}


def test_a_link_to_the_machine_id_is_no_second_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert failing(monkeypatch, {**CLEAN, "/var/lib/dbus/machine-id": "-> /etc/machine-id"}) == {}


def test_small_logs_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    assert failing(monkeypatch, {**CLEAN, "/var/log/dpkg.log": "x" * hygiene.LOG_BYTES}) == {}


def test_many_findings_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {f"/etc/ssh/ssh_host_{number:02}_key": "x" for number in range(15)}
    assert failing(monkeypatch, {**CLEAN, **keys})["no SSH host keys"].endswith("ssh_host_09_key and 5 more")


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
