"""An image on a vendor's cloud image, of any Linux: it became a machine of its own, and nobody can guess a way in."""

from testinfra.host import Host


def test_identity_was_made_on_this_machine(host: Host) -> None:
    assert len(host.file("/etc/machine-id").content_string.strip()) == 32
    # When cloud-init first saw this machine: a build is tested after a restart, so the boot says nothing.
    began = int(host.check_output("stat --dereference --format %W /var/lib/cloud/instance"))
    made = [int(line) for line in host.check_output("stat --format %Y /etc/ssh/ssh_host_*_key").splitlines()]
    assert made
    assert min(made) >= began > 0


def test_cloud_init_is_done(host: Host) -> None:
    assert host.run("cloud-init status --wait").stdout.strip().endswith("status: done")


def test_nobody_logs_in_with_a_password(host: Host) -> None:
    with host.sudo():
        settings = host.run("sshd -T").stdout.splitlines()
        hashes = [line.split(":")[1] for line in host.file("/etc/shadow").content_string.splitlines()]
    assert "passwordauthentication no" in settings
    assert all(found.startswith(("!", "*")) for found in hashes)


def test_ansible_can_work_here(host: Host) -> None:
    assert host.run("/usr/bin/python3 --version").rc == 0
    assert host.exists("setfacl"), "to become a user without privileges"
