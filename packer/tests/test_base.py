"""Every image on a Debian base of ours: it became a machine of its own, and a usable one."""

from testinfra.host import Host


def test_release(host: Host) -> None:
    assert host.system_info.distribution == "debian"
    assert host.system_info.release in ("12", "13")


def test_identity_was_made_on_this_machine(host: Host) -> None:
    assert len(host.file("/etc/machine-id").content_string.strip()) == 32
    booted = int(host.check_output("awk '/^btime/ {print $2}' /proc/stat"))
    made = [int(line) for line in host.check_output("stat -c %Y /etc/ssh/ssh_host_*_key").splitlines()]
    assert made
    assert min(made) >= booted


def test_cloud_init_is_done(host: Host) -> None:
    assert host.run("cloud-init status --wait").stdout.strip().endswith("status: done")


def test_own_name_resolves(host: Host) -> None:
    assert host.run("getent hosts $(hostname)").rc == 0


def test_network_is_up(host: Host) -> None:
    assert host.run("networkctl --no-legend list").stdout.count("routable") == 1


def test_root_fills_the_disk(host: Host) -> None:
    disk, root = host.run("lsblk --bytes --noheadings --output SIZE /dev/vda /dev/vda2").stdout.split()[0:4:3]
    assert int(root) > 0.9 * int(disk)


def test_nobody_logs_in_with_a_password(host: Host) -> None:
    with host.sudo():
        settings = host.run("sshd -T").stdout.splitlines()
        hashes = [line.split(":")[1] for line in host.file("/etc/shadow").content_string.splitlines()]
    assert {"passwordauthentication no", "x11forwarding no"} <= set(settings)
    assert all(found.startswith(("!", "*")) for found in hashes)


def test_ansible_can_work_here(host: Host) -> None:
    assert host.run("python3 -c 'import apt'").rc == 0


def test_packages_are_whole(host: Host) -> None:
    assert host.run("dpkg --audit").stdout == ""


def test_time_is_kept(host: Host) -> None:
    assert host.service("systemd-timesyncd").is_running


def test_kernel_updates_reach_the_boot_loader(host: Host) -> None:
    with host.sudo():
        entries = host.check_output("ls /boot/efi/loader/entries")
    assert host.check_output("uname -r") in entries
