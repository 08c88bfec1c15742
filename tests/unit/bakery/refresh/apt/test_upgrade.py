from bakery.model.observations import Archive, Update, Upgrade
from bakery.refresh.apt.upgrade import Policy, Simulation, describe_upgrade, parse_policies, parse_simulation

DEBIAN, SECURITY = "http://deb.debian.org/debian", "http://deb.debian.org/debian-security"
# From Debian 12, without most of its packages.
SIMULATION = """\
Reading package lists...
The following packages were automatically installed and are no longer required:
  libfoo1
The following packages will be REMOVED:
  exim4
The following NEW packages will be installed:
  linux-image-6.1.0-41-cloud-amd64
The following packages have been kept back:
  libglib2.0-0
  nginx nginx-common
The following packages will be upgraded:
  base-files libc6:i386
2 upgraded, 1 newly installed, 1 to remove and 3 not upgraded.
Remv exim4 [4.96-15+deb12u7]
Inst base-files [12.4+deb12u11] (12.4+deb12u15 Debian:12.15/oldstable [amd64])
Conf base-files (12.4+deb12u15 Debian:12.15/oldstable [amd64])
Inst libc6:i386 [2.36-9+deb12u9] (2.36-9+deb12u14 Debian:12.15/oldstable [i386]) [libc6:amd64 on libc6:i386]
Inst linux-image-6.1.0-41-cloud-amd64 (6.1.158-1 Debian-Security:12/oldstable-security [amd64])
Conf linux-image-6.1.0-41-cloud-amd64 (6.1.158-1 Debian-Security:12/oldstable-security [amd64])
"""
POLICIES = """\
openssl:
  Installed: 3.0.16-1~deb12u1
  Candidate: 3.0.20-1~deb12u2
  Version table:
     3.0.20-1~deb12u2 500
        500 http://deb.debian.org/debian bookworm/main amd64 Packages
     3.0.17-1~deb12u3 500
        500 http://deb.debian.org/debian-security bookworm-security/main amd64 Packages
 *** 3.0.16-1~deb12u1 100
        100 /scratch/var/lib/dpkg/status
libc6:i386:
  Installed: (none)
  Candidate: 2.36-9+deb12u14
  Version table:
     2.36-9+deb12u14 1001
       1001 http://example.org/flat/ ./ Packages
        -10 http://example.org/old stable/updates/main i386 Packages
     2.36-9+deb12u7 500
        500 http://deb.debian.org/debian-security bookworm-security/main i386 Packages
"""


def archive(uri: str, suite: str) -> Archive:
    return Archive(uri, suite, "2026-01-31T12:00:00+00:00", "a" * 64, suite.endswith("security"), "b" * 64)


def test_a_simulation_is_read() -> None:
    assert parse_simulation(SIMULATION) == Simulation(
        installs=("base-files", "libc6:i386", "linux-image-6.1.0-41-cloud-amd64"),
        removals=("exim4",),
        held=("libglib2.0-0", "nginx", "nginx-common"),
    )
    assert parse_simulation("0 upgraded, 0 newly installed.\n") == Simulation((), (), ())


def test_policies_are_read() -> None:
    assert parse_policies(POLICIES) == {
        "openssl": Policy(
            "3.0.16-1~deb12u1",
            "3.0.20-1~deb12u2",
            {
                "3.0.20-1~deb12u2": [(DEBIAN, "bookworm")],
                "3.0.17-1~deb12u3": [(SECURITY, "bookworm-security")],
                "3.0.16-1~deb12u1": [],
            },
        ),
        "libc6:i386": Policy(
            "",
            "2.36-9+deb12u14",
            {
                "2.36-9+deb12u14": [("http://example.org/flat", "."), ("http://example.org/old", "stable/updates")],
                "2.36-9+deb12u7": [(SECURITY, "bookworm-security")],
            },
        ),
    }


def test_an_update_that_passes_a_fix_is_for_security() -> None:
    """A point release brings what the security archive had before: apt names only the former."""
    states = (archive(f"{DEBIAN}/", "bookworm"), archive(SECURITY, "bookworm-security"))
    upgrade = describe_upgrade(Simulation(("openssl", "libc6:i386"), (), ()), parse_policies(POLICIES), states)
    assert upgrade == Upgrade(
        updates=(Update("openssl", "3.0.16-1~deb12u1", "3.0.20-1~deb12u2", "bookworm", security=True),),
        # Its older version in the security archive fixes nothing that was installed.
        added=(Update("libc6:i386", "", "2.36-9+deb12u14", ".", security=False),),
    )


def test_a_fix_that_the_image_has_already_is_no_reason() -> None:
    text = POLICIES.replace("Installed: 3.0.16-1~deb12u1", "Installed: 3.0.18-1")
    states = (archive(DEBIAN, "bookworm"), archive(SECURITY, "bookworm-security"))
    upgrade = describe_upgrade(Simulation((), (), ("openssl",)), parse_policies(text), states)
    assert upgrade.held == (Update("openssl", "3.0.18-1", "3.0.20-1~deb12u2", "bookworm", security=False),)
