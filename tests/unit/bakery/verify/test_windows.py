import tempfile
from pathlib import Path

import pytest

from bakery.model.documents import Check
from bakery.verify import windows, windows_settings
from bakery.verify.rule import Rule
from doubles.hives import Keys, make_hive
from doubles.trees import Tree, make_disk
from unit.bakery.verify.test_hygiene import check_tree

STATE = "/Windows/Setup/State/State.ini"
GENERALIZED = f"[State]\r\nImageState={windows.GENERALIZED}\r\n"
DELETED = f"<AdministratorPassword><Value>{windows.DELETED}</Value><PlainText>true</PlainText></AdministratorPassword>"
CLEAN: Tree = {
    STATE: GENERALIZED,
    "/Windows/Panther/unattend.xml": f"<UserAccounts>{DELETED}</UserAccounts><AutoLogon><Password/></AutoLogon>",
    "/Windows/Panther/setupact.log": "<Password>of no answer file</Password>",
    "/ProgramData/ssh/sshd_config": "",
    "/Users/Administrator/NTUSER.DAT": "regf",
    "/Users/All Users": "-> /ProgramData",
}


CONFIG = "/Windows/System32/config"
CONTROL = "ControlSet002"
RULE = "v2.31|Action={action}|Active=TRUE|Dir=In|Protocol=6|LPort={port}|Name=WinRM over TLS|"
FIREWALL = rf"{CONTROL}\{windows_settings.FIREWALL}"
LISTENER = rf"{windows_settings.LISTENERS}\*+HTTPS"
SOFTWARE: Keys = {rf"{windows_settings.LISTENERS}\*+HTTP": {"Port": 5985}, windows_settings.CERTIFICATES: {}}
SYSTEM: Keys = {
    "Select": {"Current": 2},
    rf"ControlSet001\{windows_settings.SERVICE}": {"Start": 2},
    rf"{CONTROL}\{windows_settings.SERVICE}": {"Start": 4},
    FIREWALL: {"{A}": RULE.format(action="Block", port=5986), "{B}": RULE.format(action="Allow", port=3389)},
}


def failing(
    monkeypatch: pytest.MonkeyPatch,
    tree: Tree,
    rules: dict[str, Rule],
    software: Keys = SOFTWARE,
    system: Keys = SYSTEM,
) -> dict[str, str]:
    """What was seen, by the name of each failed check."""
    hives = {f"{CONFIG}/SOFTWARE": make_hive(software), f"{CONFIG}/SYSTEM": make_hive(system)}
    with tempfile.TemporaryDirectory() as folder:
        disk = make_disk(tree, Path(folder, "disk.raw"), hives)
        checks = check_tree(monkeypatch, tree, rules, disk=disk)
    return {check.name: check.detail for check in checks if not check.passed}


def test_a_clean_disk_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert failing(monkeypatch, CLEAN, windows.RULES) == {}


@pytest.mark.parametrize(
    ("name", "path", "text"),
    [
        ("no build user", "/Users/packer", None),
        ("no build user", "/Users/Vagrant/NTUSER.DAT", "regf"),
        ("no SSH host keys", "/ProgramData/ssh/ssh_host_ed25519_key", "x"),
        ("no SSH host keys", "/ProgramData/ssh/ssh_host_ed25519_key.pub", "x"),
        ("no authorized keys", "/ProgramData/ssh/administrators_authorized_keys", "x"),
        ("no authorized keys", "/Users/Administrator/.ssh/authorized_keys", "x"),
        ("no memory dumps", "/Windows/MEMORY.DMP", "x"),
        ("no memory dumps", "/windows/minidump/112926-01.dmp", "x"),
        ("no memory dumps", "/hiberfil.sys", "x"),
        ("no shell history", f"/Users/Administrator/{windows.HISTORY}/ConsoleHost_history.txt", "x"),
    ],
)
def test_what_a_bake_leaves_is_found(monkeypatch: pytest.MonkeyPatch, name: str, path: str, text: str | None) -> None:
    failed = failing(monkeypatch, {**CLEAN, path: text}, windows.RULES)
    assert list(failed) == [name]
    assert failed[name] in path


@pytest.mark.parametrize(
    ("path", "text", "element"),
    [
        ("/Windows/Panther/Unattend/unattend.xml", "<Password><Value>x</Value></Password>", "Password"),
        ("/Windows/Panther/unattend-original.xml", "<Password>x</Password>", "Password"),
        ("/WINDOWS/system32/sysprep/UNATTEND.XML", "<Credentials>\n<Password>x</Password>", "Password"),
        (
            "/Windows/System32/Sysprep/unattend.xml",
            DELETED.replace(windows.DELETED, "eABQAA=="),
            "AdministratorPassword",
        ),
        ("/Autounattend.xml", "<Password><PlainText>true</PlainText>\n<Value> x </Value></Password>", "Password"),
        ("/unattend.xml", "\0".join("<Password><Value>x</Value></Password>"), "Password"),
        ("/unattend.xml", "<AutoLogon><Password/></AutoLogon><Password>x</Password>", "Password"),
    ],
)
def test_a_password_in_an_answer_file_is_found(
    monkeypatch: pytest.MonkeyPatch, path: str, text: str, element: str
) -> None:
    assert failing(monkeypatch, {**CLEAN, path: text}, windows.RULES) == {
        "no passwords in answer files": f"{path} has {element}"
    }


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("[State]\r\nImageState=IMAGE_STATE_COMPLETE\r\n", "has IMAGE_STATE_COMPLETE"),
        (
            "[State]\r\nImageState=IMAGE_STATE_GENERALIZE_RESEAL_TO_AUDIT\r\n",
            "has IMAGE_STATE_GENERALIZE_RESEAL_TO_AUDIT",
        ),
        ("", "names no state"),
    ],
)
def test_an_image_that_is_not_generalized_fails(monkeypatch: pytest.MonkeyPatch, text: str, seen: str) -> None:
    failed = failing(monkeypatch, {**CLEAN, STATE: text}, windows.RULES)
    assert failed == {"Sysprep generalized the image": f"{STATE} {seen}, not {windows.GENERALIZED}"}


def test_a_disk_without_windows_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(failing(monkeypatch, {"/etc/passwd": ""}, windows.RULES)) == ["Sysprep generalized the image"]


@pytest.mark.parametrize("text", [f'ImageState="{windows.GENERALIZED}"', "\0".join(GENERALIZED)])
def test_the_state_is_read_in_quotes_and_in_utf_16(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    assert failing(monkeypatch, {**CLEAN, STATE: text}, windows.RULES) == {}


@pytest.mark.parametrize(
    ("name", "software", "system", "detail"),
    [
        ("WinRM is closed", {LISTENER: {"Port": 5986}}, {}, "listener *+HTTPS"),
        (
            "WinRM is closed",
            {},
            {rf"{CONTROL}\{windows_settings.SERVICE}": {"Start": 2}},
            "the service starts (Start is 2)",
        ),
        (
            "WinRM is closed",
            {},
            {FIREWALL: {"{C}": RULE.format(action="Allow", port=5986)}},
            "firewall rule WinRM over TLS",
        ),
        ("no machine certificates", {rf"{windows_settings.CERTIFICATES}\0A1B": {"Blob": "x"}}, {}, "0A1B"),
        (
            "no automatic login",
            {windows_settings.LOGON: {"AutoAdminLogon": "1", "DefaultUserName": "Administrator"}},
            {},
            "AutoAdminLogon of Administrator",
        ),
        ("no automatic login", {windows_settings.LOGON: {"DefaultPassword": "x"}}, {}, "DefaultPassword"),
    ],
)
def test_settings_of_the_build_are_found(
    monkeypatch: pytest.MonkeyPatch, name: str, software: Keys, system: Keys, detail: str
) -> None:
    failed = failing(monkeypatch, CLEAN, windows.RULES, {**SOFTWARE, **software}, {**SYSTEM, **system})
    assert failed == {name: detail}


def test_a_disk_without_a_registry_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    checks = check_tree(monkeypatch, CLEAN, windows.RULES)
    assert Check("WinRM is closed", False, "the disk has no registry: no system32 in /Windows") in checks


def test_every_rule_says_why_who_asks_and_how_to_pass() -> None:
    for rule in windows.RULES.values():
        assert rule.reason.endswith(".") and rule.remedy.endswith(".") and "](https://" in rule.source
