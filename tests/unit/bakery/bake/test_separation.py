"""The network of a bake: when it is its own, which ports it sees, and when nothing is baked."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from bakery.bake import packer, separation
from bakery.bake.separation import AS_NOBODY, ENCLOSE
from bakery.clouds.job import Job
from bakery.host.errors import BakeryError, UsageError
from bakery.machine import network
from doubles.packer import PackerProject, define


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine that allows such a network and has no metadata service and no proxy."""
    monkeypatch.setattr(network, "find_obstacle", lambda: "")
    monkeypatch.setattr(network, "find_metadata_service", lambda: "")
    for name in (*network.PROXIES, network.PORTS):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_a_bake_sees_no_port_of_loopback(world: PackerProject, machine: pytest.MonkeyPatch) -> None:
    assert separation.separate_network(world.job(define()), {}) == ["sh", network.SCRIPT, "none"]


def test_it_sees_the_ports_that_it_needs(world: PackerProject, machine: pytest.MonkeyPatch) -> None:
    machine.setenv("https_proxy", "http://user:pass@localhost:3128")
    machine.setenv("http_proxy", "http://proxy.example.com:3129")
    machine.setenv(network.PORTS, "8081, 8080")
    job = replace(world.job(define()), cache_port=4711)
    own_vault = {"VAULT_ADDR": "http://127.0.0.1:8200"}
    assert separation.separate_network(job, own_vault)[-1] == "3128,4711,8080,8081,8200"


@pytest.mark.parametrize("text", ["http", "0", "65536", "8080-8090", "all", "8080;id"])
def test_a_port_is_a_number(machine: pytest.MonkeyPatch, text: str) -> None:
    machine.setenv(network.PORTS, text)
    with pytest.raises(UsageError, match="is no port"):
        network.allowed_ports()


@pytest.mark.parametrize("address", ["http://user:canary@localhost:http", "http://127.0.0.1:65536", "http://[::1"])
def test_a_proxy_that_is_no_address_is_named(machine: pytest.MonkeyPatch, address: str) -> None:
    machine.setenv("HTTPS_PROXY", address)
    with pytest.raises(UsageError, match="HTTPS_PROXY is no address") as caught:
        network.allowed_ports()
    assert "canary" not in f"{caught.value} {caught.value.detail}", "an address may have a password"


def test_a_build_at_a_target_needs_none(world: PackerProject, machine: pytest.MonkeyPatch) -> None:
    assert separation.separate_network(replace(world.job(define()), base=None), {}) == []


def test_a_machine_that_allows_none_is_named(world: PackerProject, machine: pytest.MonkeyPatch) -> None:
    machine.setattr(network, "find_obstacle", lambda: "pasta is not installed (package passt)")
    assert separation.separate_network(world.job(define()), {}) == []
    (event,) = world.events
    assert event.text == "the bake shares the network of this machine: pasta is not installed (package passt)"


def test_nothing_is_baked_where_the_image_could_take_the_machines_rights(
    world: PackerProject, machine: pytest.MonkeyPatch
) -> None:
    machine.setattr(network, "find_obstacle", lambda: "unshare failed: Operation not permitted")
    machine.setattr(network, "find_metadata_service", lambda: "169.254.169.254")
    with pytest.raises(BakeryError, match=r"from the metadata service 169\.254\.169\.254") as caught:
        separation.separate_network(world.job(define()), {})
    assert "Operation not permitted" in caught.value.detail


class TestAnsible:
    @pytest.fixture
    def job(self, world: PackerProject) -> Job:
        """A build at a target."""
        return replace(world.job(define()), base=None)

    @pytest.fixture(autouse=True)
    def allows_all(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A machine with namespaces, on which root bakes what every user can read."""
        monkeypatch.setattr(separation, "_find_obstacle", lambda: "")
        monkeypatch.setattr(separation, "_find_user_obstacle", lambda job, command: "")
        monkeypatch.setattr(os, "geteuid", lambda: 0)

    def test_it_is_another_user_and_sees_no_other_process(self, world: PackerProject, job: Job) -> None:
        nobody = f"sh {AS_NOBODY} {job.project.workspace} {job.ansible_files}"
        for build in (job, world.job(define())):  # at a target, and in a guest on this machine
            wrapper = separation.separate_ansible(build)
            assert wrapper.read_text() == (
                f'#!/bin/sh\nexec sh {ENCLOSE} {nobody} {job.toolchain.ansible_playbook} "$@"\n'
            )
            assert wrapper.stat().st_mode & 0o777 == 0o700

    def test_a_user_stays_the_same(self, job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        self.is_enclosed_only(job)

    def test_so_does_root_where_nobody_can_read_the_project(
        self, world: PackerProject, job: Job, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(separation, "_find_user_obstacle", lambda job, command: "head: cannot open 'x'")
        self.is_enclosed_only(job)
        (event,) = world.events
        assert event.text == "roles run as root of this machine: head: cannot open 'x'"

    def test_so_does_root_with_a_template_of_ones_own(self, job: Job) -> None:
        self.is_enclosed_only(replace(job, definition=define(template="own")))

    def is_enclosed_only(self, job: Job) -> None:
        """Whether Ansible sees no other process and is the user who bakes."""
        text = separation.separate_ansible(job).read_text()
        assert text == f'#!/bin/sh\nexec sh {ENCLOSE} {job.toolchain.ansible_playbook} "$@"\n'

    def test_on_a_machine_that_allows_none_a_line_says_it(
        self, world: PackerProject, job: Job, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(separation, "_find_obstacle", lambda: "unshare failed: Operation not permitted")
        assert separation.separate_ansible(job) == job.toolchain.ansible_playbook
        (event,) = world.events
        assert event.text == (
            "roles can read the logins of this machine's processes: unshare failed: Operation not permitted"
        )

    @pytest.mark.parametrize("changes", [{"mode": "chroot"}, {"template": "own"}])
    def test_on_this_machine_all_of_packer_is_apart(self, world: PackerProject, changes: dict[str, str]) -> None:
        job = world.job(define(**changes))
        assert separation.separate_ansible(job) == job.toolchain.ansible_playbook


@pytest.mark.parametrize("name", ["test_report", "archives_report", "root_archive"])
def test_a_report_that_is_a_link_is_refused(world: PackerProject, name: str) -> None:
    job = world.job(define())
    getattr(job, name).symlink_to("/etc/hostname")
    with pytest.raises(BakeryError, match=r"a role made .* a link"):
        packer.build(job, {}, [])


def test_packer_runs_behind_it(world: PackerProject, monkeypatch: pytest.MonkeyPatch) -> None:
    prefix = world.folder / "prefix"
    prefix.write_text('#!/bin/sh\necho behind >"$1"; shift; exec "$@"\n')
    prefix.chmod(0o755)
    told: Path = world.folder / "told"
    monkeypatch.setattr(packer, "separate_network", lambda *_: [prefix, told])
    packer.build(world.job(define()), {}, [])
    assert told.read_text() == "behind\n"
    assert world.record()["argv"][1] == "build"
