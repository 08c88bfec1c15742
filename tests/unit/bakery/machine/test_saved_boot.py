"""The seed and the machine of a guest that is saved, beside those of a bake."""

import json
import re
from pathlib import Path

from ruamel.yaml import YAML

from bakery.machine import saved_boot
from bakery.machine.saved_boot import SETTLE, seed_files
from bakery.machine.ssh import HostKey

TEMPLATES = Path(__file__).parents[4] / "packer" / "templates"
WAKE = TEMPLATES / "qemu" / "linux" / "wake.py"


def host_key(folder: Path) -> HostKey:
    key = folder / "host_key"
    key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blb\n-----END OPENSSH PRIVATE KEY-----\n")
    (folder / "host_key.pub").write_text("ssh-ed25519 AAAA host\n")
    return HostKey(key, folder / "known_hosts")


def find_texts(*names: str) -> list[str]:
    """The texts in wake.py, which is no module, behind these names."""
    lines = [line for line in WAKE.read_text().splitlines() if line.startswith(names)]
    return [text for line in lines for text in re.findall(r'"([^"]+)"', line)]


def test_cloud_init_gets_what_it_gets_in_a_bake(tmp_path: Path) -> None:
    key = host_key(tmp_path)
    keys = {"ed25519_private": key.path.read_text(), "ed25519_public": "ssh-ed25519 AAAA host"}
    template = (TEMPLATES / "user-data.pkrtpl").read_text()
    values = {"user": "root", "public_key": "ssh-ed25519 BBBB bakery", "jsonencode(host_keys)": json.dumps(keys)}
    for name, value in values.items():
        template = template.replace(f"${{{name}}}", value)
    assert "${" not in template
    files = seed_files("ssh-ed25519 BBBB bakery", key)
    assert files["user-data"].startswith("#cloud-config\n")
    assert YAML(typ="safe").load(files["user-data"]) == YAML(typ="safe").load(template)


def test_both_seeds_have_the_files_that_a_restored_guest_reads(tmp_path: Path) -> None:
    text = (TEMPLATES / "qemu" / "linux.pkr.hcl").read_text()
    content = text[text.index("cd_content = {") : text.index("communicator")]
    names = set(re.findall(r'^ *"([\w.-]+)" += ', content, re.MULTILINE))
    assert names == set(seed_files("key", host_key(tmp_path)))
    assert names == {"meta-data", "user-data", *find_texts("KEYS", "LOGINS")}


def test_the_script_in_the_guest_is_whole() -> None:
    assert SETTLE.count("%s") == SETTLE.count("%") == 1, "the program is put in its place"
    assert find_texts("FOLDER") == [saved_boot.FOLDER]
