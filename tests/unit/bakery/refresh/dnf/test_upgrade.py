import pytest

from bakery.model.observations import Update, Upgrade
from bakery.refresh.dnf.upgrade import (
    Knowledge,
    Package,
    Transaction,
    describe_upgrade,
    parse_advisories,
    parse_transaction,
)

# By dnf 4.14, with the names of Rocky Linux 9.
TRANSACTION = """\
Last metadata expiration check: 0:00:02 ago on Sat Jan 31 10:06:18 2026.
Dependencies resolved.
==========================================================================
 Package            Arch    Version                  Repository       Size
==========================================================================
Installing:
 kernel-core        x86_64  5.14.0-503.40.1.el9_5    baseos           18 M
 python3-new        noarch  2:1.0-1.el9              appstream            5.5 k
     replacing  python3-old.noarch 1.0-1.el9
Upgrading:
 glibc              i686    2.34-125.el9_5.8         baseos               1.9 M
 glibc              x86_64  2.34-125.el9_5.8         baseos               2.0 M
Installing dependencies:
 newdep             noarch  1-1                      baseos               5.4 k
Removing:
 kernel-core        x86_64  5.14.0-427.13.1.el9_4    @baseos               60 M
 obsolete           noarch  1-1                      @baseos               60 M
Enabling module streams:
 nodejs                     20
Skipping packages with conflicts:
(add '--best --allowerasing' to command line to force their upgrade):
 conflicting        noarch  2-1                      baseos               5.4 k
Skipping packages with broken dependencies:
 broken             noarch  2-1                      baseos               5.4 k

Transaction Summary
================================================================================
Install  3 Packages
 and more
"""
KERNEL = Package("kernel-core", "x86_64", "5.14.0-503.40.1.el9_5", "baseos")
GLIBC, GLIBC_32 = (Package("glibc", arch, "2.34-125.el9_5.8", "baseos") for arch in ("x86_64", "i686"))
NOTICES = """\
RLSA-2026:0001 Important/Sec. glibc-2.34-125.el9_5.3.x86_64
RLSA-2026:0001 Important/Sec. glibc-2.34-125.el9_5.3.i686
RLSA-2026:0002 Unknown/Sec.   glibc-2.34-125.el9_5.8.x86_64
RLSA-2026:0003 Moderate/Sec.  python3-dns-1:2.1-1.el9.noarch
RLBA-2026:0004 bugfix         kernel-core-5.14.0-503.40.1.el9_5.x86_64
"""


def know(installed: dict[tuple[str, str], str], notices: str = NOTICES, classified: str = "baseos") -> Knowledge:
    return Knowledge("x86_64", installed, parse_advisories(notices), frozenset([classified]))


def test_a_transaction_is_read() -> None:
    assert parse_transaction(TRANSACTION) == Transaction(
        packages=(
            KERNEL,
            Package("python3-new", "noarch", "2:1.0-1.el9", "appstream"),
            GLIBC_32,
            GLIBC,
            Package("newdep", "noarch", "1-1", "baseos"),
        ),
        removals=("obsolete", "python3-old"),
    )
    assert parse_transaction("Dependencies resolved.\nNothing to do.\nComplete!\n") == Transaction()


def test_notices_for_security_are_read() -> None:
    assert parse_advisories(NOTICES) == {
        ("glibc", "x86_64"): ["2.34-125.el9_5.3", "2.34-125.el9_5.8"],
        ("glibc", "i686"): ["2.34-125.el9_5.3"],
        ("python3-dns", "noarch"): ["1:2.1-1.el9"],
    }


@pytest.mark.parametrize(
    ("installed", "package", "security"),
    [
        ("2.34-100.el9", GLIBC, True),
        ("2.34-125.el9_5.3", GLIBC, True),
        ("2.34-125.el9_5.3", GLIBC_32, False),  # it has the fix that a notice names
        ("2.34-60.el9", GLIBC._replace(evr="2.34-100.el9"), False),  # no notice is about this version or an older one
        ("2.34-60.el9", GLIBC._replace(evr="2.34-100.el9", repository="extras"), None),
        ("2.34-60.el9", GLIBC._replace(repository="extras"), True),
        ("5.14.0-427.el9", KERNEL, False),
    ],
)
def test_an_update_that_passes_a_fix_is_for_security(installed: str, package: Package, security: bool | None) -> None:
    knowledge = know({(package.name, package.arch): installed})
    assert knowledge.describe_update(package).security is security


def test_packages_have_the_names_of_dnf() -> None:
    knowledge = know({("glibc", "x86_64"): "1-1", ("glibc", "i686"): "1-1", ("changed", "noarch"): "1-1"})
    updates = [knowledge.describe_update(one) for one in (GLIBC, GLIBC_32, Package("changed", "x86_64", "2-1", "a"))]
    assert [(update.name, update.installed) for update in updates] == [
        ("glibc", "1-1"),
        ("glibc.i686", "1-1"),
        ("changed", "1-1"),
    ]


def test_updates_that_no_transaction_takes_are_held() -> None:
    newest = (KERNEL, GLIBC, Package("python3-old", "noarch", "2-1", "baseos"))
    knowledge = know({("glibc", "x86_64"): "2.34-1", ("kernel-core", "x86_64"): "5-1"})
    assert describe_upgrade(Transaction((KERNEL,), ("python3-old",)), newest, knowledge) == Upgrade(
        updates=(Update("kernel-core", "5-1", KERNEL.evr, "baseos", security=False),),
        removed=("python3-old",),
        held=(Update("glibc", "2.34-1", GLIBC.evr, "baseos", security=True),),
    )
