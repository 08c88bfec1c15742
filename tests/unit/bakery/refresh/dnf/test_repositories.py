from pathlib import Path

import pytest

from bakery.host.errors import BakeryError
from bakery.refresh.dnf.repositories import Repository, read_configuration

VARIABLES = {"releasever": "9", "basearch": "x86_64"}
# From Rocky Linux 9, with what else dnf.conf(5) allows.
ROCKY = """\
# rocky.repo
[baseos]
name=Rocky Linux $releasever - BaseOS
mirrorlist=https://mirrors.example/mirrorlist?arch=$basearch&repo=BaseOS-${releasever}$rltype
#baseurl=http://dl.example/$contentdir/$releasever/BaseOS/$basearch/os/
gpgcheck=1
enabled=1
countme=1
metadata_expire=6h
gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-Rocky-9

[baseos-debuginfo]
name=off
baseurl=file:///srv/off
enabled = False
"""
OTHER = """\
[other]
baseurl=https://one.example/$contentdir/%C3%A4
        https://two.example/
excludepkgs=a,b
        c
priority=10
proxy=http://proxy.example
sslclientkey=/etc/pki/key
repo_gpgcheck=0
"""


def write(folder: Path, path: str, text: str) -> None:
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(text)


def test_repositories_are_read_with_their_variables(tmp_path: Path) -> None:
    write(tmp_path, "etc/yum.repos.d/rocky.repo", ROCKY)
    write(tmp_path, "etc/yum.repos.d/other.repo", OTHER)
    write(tmp_path, "etc/yum.repos.d/off.repo.rpmsave", "[saved]\nbaseurl=http://x\n")
    write(tmp_path, "etc/dnf/dnf.conf", "[main]\nrepo_gpgcheck=1\n")
    write(tmp_path, "etc/dnf/vars/contentdir", "pub/rocky\n")
    write(tmp_path, "etc/yum/vars/contentdir", "older\n")
    other, baseos = read_configuration(tmp_path, VARIABLES)[1]
    assert other == Repository(
        "other",
        (
            ("baseurl", "https://one.example/pub/rocky/%C3%A4 https://two.example/"),
            ("excludepkgs", "a b c"),
            ("priority", "10"),
            ("repo_gpgcheck", "0"),
        ),
    )
    # A variable that the image does not have stays, as dnf leaves it.
    address = "https://mirrors.example/mirrorlist?arch=x86_64&repo=BaseOS-9$rltype"
    assert (baseos.name, baseos.address) == ("baseos", address)
    assert baseos.fetching == {
        "mirrorlist": address,
        "gpgkey": "file:///etc/pki/rpm-gpg/RPM-GPG-KEY-Rocky-9",
        "repo_gpgcheck": "1",
    }
    assert baseos.stanza == f"[baseos]\nname=baseos\ngpgcheck=0\nmirrorlist={address}\n"


def test_settings_that_name_commands_or_files_are_left_out(tmp_path: Path) -> None:
    text = "[main]\nexclude=kernel*, a\nbest=True\nproxy=http://x\npluginpath=/tmp\nprotected_packages=glob:/etc/x\n"
    write(tmp_path, "etc/dnf/dnf.conf", text)
    assert read_configuration(tmp_path, {}) == ({"exclude": "kernel* a", "best": "True"}, ())


def test_repositories_of_the_main_file(tmp_path: Path) -> None:
    write(tmp_path, "etc/dnf/dnf.conf", "[main]\n[extra]\nbaseurl=http://x.example/\n")
    assert [one.name for one in read_configuration(tmp_path, {})[1]] == ["extra"]


def test_an_image_may_set_its_release(tmp_path: Path) -> None:
    write(tmp_path, "etc/distro.repos.d/a.repo", "[a]\nmirrorlist=http://x/?repo=a,$releasever\n")
    write(tmp_path, "etc/dnf/vars/releasever", "9.4\n")
    assert read_configuration(tmp_path, VARIABLES)[1] == (Repository("a", (("mirrorlist", "http://x/?repo=a,9.4"),)),)


def test_repositories_elsewhere_are_not_overlooked(tmp_path: Path) -> None:
    write(tmp_path, "etc/dnf/dnf.conf", "[main]\nreposdir=/opt/repositories\n")
    with pytest.raises(BakeryError, match="sets reposdir"):
        read_configuration(tmp_path, VARIABLES)


def test_the_first_of_two_with_one_name_counts(tmp_path: Path) -> None:
    write(tmp_path, "etc/yum.repos.d/a.repo", "[one]\nenabled=0\nbaseurl=http://a\n[two]\nbaseurl=http://a\n")
    write(tmp_path, "etc/yum.repos.d/b.repo", "[one]\nbaseurl=http://b\n[two]\nbaseurl=http://b\n")
    assert [(one.name, one.address) for one in read_configuration(tmp_path, {})[1]] == [("two", "http://a")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[a]\nbaseurl=file:///media/cdrom\n", "'a' of the image is not at a network address: file:///media/cdrom"),
        ("[a]\nbaseurl=http://x /srv\n", "not at a network address: /srv"),
        (
            "[a]\nmirrorlist=file:///etc/mirrors\nbaseurl=http://x\n",
            "not at a network address: file:///etc/mirrors",
        ),
        ("[a]\nname=a\n", "'a' of the image has no address"),
        ("[../a]\nbaseurl=http://x\n", "'../a' of the image has a name that dnf does not accept"),
        ("[a]\nbaseurl=http://x\n[a\n", "a configuration file of dnf cannot be parsed"),
        ("baseurl=http://x\n", "a configuration file of dnf cannot be parsed"),
    ],
)
def test_repositories_that_are_refused(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, "etc/yum.repos.d/a.repo", text)
    with pytest.raises(BakeryError, match=message.replace(".", r"\.")):
        read_configuration(tmp_path, {})
