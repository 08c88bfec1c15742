"""The Packer process: what it is given, what its output becomes, and that nothing of it stays."""

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from bakery.bake import packer
from bakery.bake.bake_files import role_files
from bakery.bake.space import explain_full_disk
from bakery.host import process
from bakery.host.errors import BakeryError, DiskError
from bakery.model.exemption import PASSWORDS
from doubles.packer import PackerProject, define

SECRET = "canary-4711"


def failure(world: PackerProject, body: str, **changes: object) -> BakeryError:
    """The error of a build whose Packer does `body`."""
    world.packer(body)
    with pytest.raises(BakeryError) as caught:
        packer.build(world.job(define(**changes)), {}, [SECRET])
    assert caught.value.log == world.project.logs / "bake.log"
    return caught.value


def test_a_guest_build_gets_its_variables(world: PackerProject) -> None:
    packer.build(world.job(define(secrets={"db": {"path": "secret/data/db", "key": "password"}})), {}, [])
    given = world.record()
    assert given["argv"][-1] == str(world.project.resources.template("qemu"))
    assert given["variables"] == given["variables"] | {
        "base_disk": str(world.base.path),
        "disk_size": 4294967296,
        "secrets": {"db": {"path": "secret/data/db", "key": "password"}},
        "ssh_private_key": str(world.folder / "scratch" / "ansible" / "key"),
        "ssh_timeout": "10m",
        "accelerator": "tcg",
        "machine_type": "pc",
        "firmware_code": str(world.folder / "code.fd"),
    }
    assert given["mode"] == "0o700", "the folder of the variables is for us alone"


def test_a_chroot_build_knows_no_guest_and_no_secret(world: PackerProject) -> None:
    secrets = {"db": {"path": "secret/data/db", "key": "password"}}
    packer.build(world.job(define(mode="chroot", secrets=secrets)), {"DB": SECRET}, [SECRET])
    given = world.record()
    assert given["argv"][-1] == str(world.project.resources.template("chroot"))
    assert not {"secrets", "accelerator", "ssh_private_key"} & set(given["variables"])
    assert given["env"]["DB"] == SECRET
    del given["env"]
    assert SECRET not in str(given)


def test_a_template_of_ones_own_gets_the_same(world: PackerProject) -> None:
    packer.build(world.job(define(template="own")), {}, [])
    given = world.record()
    assert given["argv"][-1] == str(world.project.definitions / "own")
    assert given["variables"]["accelerator"] == "tcg"


def test_every_variable_is_declared_by_the_template(world: PackerProject, project_root: Path) -> None:
    for mode, folder in (("vm", "qemu"), ("chroot", "chroot")):
        packer.build(world.job(define(mode=mode)), {}, [])
        declared = [path.read_text() for path in (project_root / "packer" / "templates" / folder).glob("*.pkr.hcl")]
        names = {line.split('"')[1] for text in declared for line in text.splitlines() if line.startswith("variable ")}
        values = {"secret_values"} if mode == "vm" else set()  # the environment brings it
        assert names == {*world.record()["variables"], *values}


def test_ansible_gets_the_software(world: PackerProject) -> None:
    packer.build(world.job(define()), {}, [])
    assert world.record()["software"] == {
        "bakery_image": "web",
        "bakery_version": "1.0.0",
        "bakery_os_family": "Debian",
        "software_lock": {},
        "nginx_port": 8080,
        "software_updates": "all",
        "software_packages": ["jq"],
        "software_roles": ["nginx"],
        "software_start": {},
        "software_layers": {
            "cuts": {},
            "seconds": 10,
            "folder": str(world.folder / "scratch" / "ansible" / "layers"),
        },
        "image_tests": [],
        "image_test_report": str(world.folder / "scratch" / "ansible" / "tests.xml"),
        "archives_report": str(world.folder / "scratch" / "ansible" / "archives.txt"),
        "root_archive": "",
        "seal_keep_passwords": False,
        "seal_at_target": False,
    }


@pytest.mark.parametrize("declares", [True, False])
def test_variables_are_templates_only_for_a_role_that_says_so(world: PackerProject, declares: bool) -> None:
    world.role("motd", {"meta/bakery.yml": f"templates: {str(declares).lower()}\n"})
    text = "{{ lookup('pipe', 'id') }}"
    lines = {"motd_lines": {"first": [text]}}
    packer.build(world.job(define(software={"roles": [{"name": "motd", "vars": lines}]})), {}, [])
    expected = text if declares else {"__ansible_unsafe": text}
    assert world.record()["ansible_vars"]["motd_lines"] == {"first": [expected]}
    files = role_files(world.project.resources.role("motd"), "Debian")
    assert any(path.name == "bakery.yml" for path in files) is declares, "it changes the bake, so it counts"


def test_an_exemption_keeps_passwords(world: PackerProject) -> None:
    packer.build(world.job(define(exemptions=[{"rule": PASSWORDS, "reason": "a console needs one"}])), {}, [])
    assert world.record()["software"]["seal_keep_passwords"] is True


def test_the_environment_is_small_and_private(world: PackerProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "mine")
    packer.build(world.job(define()), {"VAULT_TOKEN": "token"}, [])
    env = world.record()["env"]
    assert env["VAULT_TOKEN"] == "token"
    assert env["PACKER_PLUGIN_PATH"] == str(world.toolchain.plugins)
    assert env["CHECKPOINT_DISABLE"] == "1"
    assert "AWS_SECRET_ACCESS_KEY" not in env
    # Packer's sockets lie there, and a path of a socket has 107 characters at most.
    assert Path(env["TMPDIR"]).parent == world.folder
    assert not Path(env["TMPDIR"]).exists()


def test_phases_are_timed_and_tasks_told(world: PackerProject) -> None:
    world.packer(
        """
say("Starting VM, booting disk image")
say("Provisioning with Ansible...")
ansible("PLAY [Bake] ****", "TASK [nginx : Install nginx] ****", "changed: [image]")
ansible("TASK [seal : Take out what must go] ****")
say("Gracefully halting virtual machine...")
disk(); manifest(); done()
"""
    )
    seconds = packer.build(world.job(define()), {}, [])
    assert list(seconds) == ["prepare", "boot", "provision", "seal", "shutdown"]
    told = [event.text for event in world.events]
    assert told == [
        "booting the guest",
        "starting Ansible",
        "nginx : Install nginx",
        "seal : Take out what must go",
        "shutting the guest down",
    ]
    assert all(event.subject == "web 1.0.0" for event in world.events)


def test_secrets_never_reach_the_log_or_the_screen(world: PackerProject) -> None:
    error = failure(
        world,
        f"""
ansible("TASK [nginx : Print {SECRET}] ****", 'fatal: [image]: FAILED! => {{"msg": "no {SECRET} here"}}')
sys.exit(1)
""",
    )
    assert SECRET not in error.message + error.detail
    assert error.message == "task 'nginx : Print <redacted>' failed: no <redacted> here"
    assert SECRET not in (world.project.logs / "bake.log").read_text()
    assert not any(SECRET in event.text for event in world.events)


def test_a_role_that_fails_names_task_reason_and_place(world: PackerProject) -> None:
    error = failure(
        world,
        """
ansible(
    "TASK [Install packages] ****", "ok: [image]",
    "TASK [nginx : Check the configuration] ****",
    "[ERROR]: Task failed: Module failed: non-zero return code",
    "Origin: roles/nginx/tasks/main.yml:51:7",
    "",
    'fatal: [image]: FAILED! => {"changed": false, "msg": "non-zero return code", "stderr": "nginx: [emerg] line 3"}',
    "PLAY RECAP ****",
)
say("Provisioning step had errors: Running the cleanup provisioner, if present...")
print("Build 'qemu.image' errored after 9 seconds: Error executing Ansible: Non-zero exit status: exit status 2")
sys.exit(1)
""",
    )
    assert error.message == "task 'nginx : Check the configuration' failed: non-zero return code"
    assert error.where == "roles/nginx/tasks/main.yml:51"
    assert error.detail == "nginx: [emerg] line 3"


def test_a_file_that_ansible_cannot_read_is_named(world: PackerProject) -> None:
    """It is read when its role begins, so no task fails."""
    error = failure(
        world,
        """
ansible(
    "TASK [Apply a role] ****",
    "[ERROR]: YAML parsing failed: Colons in unquoted values must be followed by a non-space character.",
    "Origin: roles/app/tasks/main.yml:56:23",
)
print("Build 'qemu.image' errored after 9 seconds: Error executing Ansible: Non-zero exit status: exit status 4")
sys.exit(1)
""",
    )
    reason = "YAML parsing failed: Colons in unquoted values must be followed by a non-space character."
    assert (error.message, error.where) == (f"Ansible stopped: {reason}", "roles/app/tasks/main.yml:56")


def test_an_item_of_a_loop_that_fails(world: PackerProject) -> None:
    line = 'failed: [image] (item=eve) => {"item": "eve", "msg": "no such group"}'
    error = failure(world, f"ansible('TASK [app : Users] ****', {line!r}); sys.exit(1)")
    assert error.message == "task 'app : Users' failed: no such group"


IGNORED = """
ansible("TASK [app : Try] ****", "[ERROR]: Task failed: x", "Origin: tasks/main.yml:1:3")
ansible('fatal: [image]: FAILED! => {"msg": "x"}', "...ignoring")
"""


def test_a_failure_that_the_role_ignores_is_not_the_reason(world: PackerProject) -> None:
    error = failure(
        world,
        IGNORED
        + """
ansible("TASK [app : Do] ****", "Origin: tasks/main.yml:9:3", 'fatal: [image]: FAILED! => {"msg": "the reason"}')
sys.exit(1)
""",
    )
    assert (error.message, error.where) == ("task 'app : Do' failed: the reason", "tasks/main.yml:9")


def test_a_failure_that_the_role_ignores_is_not_a_failure(world: PackerProject) -> None:
    summary = "Build 'qemu.image' errored after 9 seconds: Timeout while waiting for shutdown"
    assert failure(world, f"{IGNORED}print({summary!r}); sys.exit(1)").message.endswith("waiting for shutdown")


def test_a_guest_that_goes_away_during_a_task(world: PackerProject) -> None:
    line = 'fatal: [image]: UNREACHABLE! => {"msg": "Failed to connect", "unreachable": true}'
    error = failure(world, f"ansible('TASK [app : Reboot] ****', {line!r}); sys.exit(1)")
    assert error.message == "the guest stopped answering at task 'app : Reboot'"
    assert error.detail == "Failed to connect"


def test_a_guest_that_never_answers_shows_its_console(world: PackerProject) -> None:
    error = failure(
        world,
        """
pathlib.Path(variables["serial_log"]).write_text("BdsDxe: starting\\n\\x1b[2JKernel panic\\n\\n")
say("Timeout waiting for SSH.")
sys.exit(1)
""",
    )
    assert error.message == "the guest never answered on SSH"
    assert error.detail == "BdsDxe: starting\nKernel panic"
    assert error.where == str(world.project.logs / "bake.console")


def test_a_guest_that_does_not_start_shows_what_qemu_said(world: PackerProject) -> None:
    error = failure(
        world,
        """
pathlib.Path(os.environ["QEMU_LOG"]).write_text("qemu-system-x86_64: Could not set up host forwarding rule")
say("Error launching VM: Qemu failed to start. Please run with PACKER_LOG=1 to get more info.")
sys.exit(1)
""",
    )
    assert error.message == "QEMU did not start"
    assert "host forwarding" in error.detail


def test_plugins_that_are_missing_are_named(world: PackerProject) -> None:
    error = failure(
        world,
        '''
print("""Error: Missing plugins

The following plugins are required, but not installed:

* github.com/hashicorp/ansible >= 1.0.3
* github.com/hashicorp/qemu >= 1.0.9

Did you run packer init for this project ?
""", file=sys.stderr)
sys.exit(1)
''',
    )
    assert "github.com/hashicorp/ansible >= 1.0.3, github.com/hashicorp/qemu >= 1.0.9" in error.message
    assert "make setup" in error.hint


def test_an_invalid_template_is_condensed(world: PackerProject) -> None:
    error = failure(
        world,
        '''
print("""Error: Unsupported argument

  on templates/qemu/qemu.pkr.hcl line 50:
  (source code not available)

An argument named "memry" is not expected here. Did you mean "memory"?

Error: Another

more
""", file=sys.stderr)
sys.exit(1)
''',
    )
    assert error.message == "Packer refuses the template: Unsupported argument"
    assert error.where == "templates/qemu/qemu.pkr.hcl:50"
    assert error.detail == 'An argument named "memry" is not expected here. Did you mean "memory"?'


def test_vault_that_goes_away_between_our_look_and_packers(world: PackerProject) -> None:
    error = failure(
        world,
        '''
print("""Error: Error in function call

  on qemu.pkr.hcl line 18, in local "secrets":
  (source code not available)

Call to function "vault" failed: Error reading vault secret: connection refused.
""", file=sys.stderr)
sys.exit(1)
''',
    )
    assert error.message.startswith("Packer cannot read a secret: Error reading vault secret: connection refused")


def test_any_other_failure_shows_packers_own_summary(world: PackerProject) -> None:
    error = failure(
        world,
        """
print("Build 'qemu.image' errored after 3 seconds: Failed creating Qemu driver: exec: not found")
sys.exit(1)
""",
    )
    assert error.message == "Packer failed: Failed creating Qemu driver: exec: not found"


def test_packer_is_missing(world: PackerProject) -> None:
    world.toolchain.packer.unlink()
    with pytest.raises(BakeryError, match="packer is not installed") as caught:
        packer.build(world.job(define()), {}, [])
    assert "bakery doctor" in caught.value.hint


def test_packer_is_killed(world: PackerProject) -> None:
    error = failure(world, "guest(); os.kill(os.getpid(), signal.SIGKILL)")
    assert error.message == "Packer was killed (SIGKILL)"
    assert not world.guest_lives()


def test_packer_whose_inner_process_is_killed_reports_success(world: PackerProject) -> None:
    """Seen with Packer 1.11.2: exit code 0, and the disk's holder goes on."""
    error = failure(world, "disk(); manifest(); guest()")
    assert error.message == "Packer ended before it finished"
    assert not world.guest_lives()


def test_a_play_that_ends_before_the_seal_is_an_error(world: PackerProject) -> None:
    """`meta: end_play` is no error for Ansible and Packer."""
    error = failure(world, 'disk(); manifest(); print("==> Builds finished. The artifacts of successful builds are:")')
    assert error.message == "web 1.0.0 was not sealed: its play ended before the last step"


def test_an_interrupted_packer_is_not_called_a_failure_of_the_template(world: PackerProject) -> None:
    error = failure(world, 'print("Cleanly cancelled builds after being interrupted."); sys.exit(1)')
    assert error.message == "the bake was interrupted"


def test_a_build_that_hangs_is_stopped(world: PackerProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packer, "TIMEOUT_SECONDS", 0.5)
    error = failure(world, 'print("tar: No space left on device", flush=True); guest(); time.sleep(60)')
    assert "did not end within" in error.message
    with pytest.raises(BakeryError) as caught, explain_full_disk(world.job(define())):
        raise error
    assert caught.value is error, "the file system of the guest may be full"
    assert not world.guest_lives()


def test_a_full_disk_is_the_reason_whatever_broke_first(world: PackerProject, monkeypatch: pytest.MonkeyPatch) -> None:
    job = world.job(define())
    monkeypatch.setattr("bakery.bake.space.FULL", 1 << 62)
    world.packer("sys.exit(1)")
    with pytest.raises(BakeryError, match="the disk filled up"):
        packer.build(job, {}, [])


def test_writes_that_the_disk_lost_are_the_reason(world: PackerProject) -> None:
    """As chroot.sh says it; the disk has room again."""
    world.packer("print('==> null.linux: error: not all that was written is on the disk'); sys.exit(1)")
    with pytest.raises(DiskError, match="this machine's disk did not take all") as caught:
        packer.build(world.job(define(mode="chroot")), {}, [])
    assert "MiB are free, and the bake of web needs" in caught.value.detail


def test_ctrl_c_leaves_no_guest(world: PackerProject, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: Any, **options: Any) -> None:
        run(*arguments, **options)
        raise KeyboardInterrupt

    run = process.run
    world.packer("guest(); done()")
    monkeypatch.setattr(process, "run", interrupt)
    with pytest.raises(KeyboardInterrupt):
        packer.build(world.job(define()), {}, [])
    assert not world.guest_lives()


def _wait_for_program(pid: int) -> None:
    """Popen returns while the kernel still loads the program: for a moment /proc shows nothing of it."""
    while not Path(f"/proc/{pid}/environ").read_bytes():
        time.sleep(0.001)


def test_what_a_killed_run_left_is_swept(world: PackerProject) -> None:
    drafts = world.folder / "drafts"
    stale, elsewhere = drafts / ".1.0.0-abcdefgh", world.folder / "bakery-left"
    stale.mkdir(parents=True)
    elsewhere.mkdir()
    (stale / "tmp").symlink_to(elsewhere)
    with subprocess.Popen(["sleep", "60"], env={"DISK": str(stale / "output")}) as guest:
        _wait_for_program(guest.pid)
        (stale / "holder.pid").write_text(str(guest.pid))
        packer.remove_remains(drafts)
        assert guest.wait(5) < 0
    assert list(drafts.iterdir()) == []
    assert not elsewhere.exists()


@pytest.mark.parametrize(
    "content",
    [str(os.getpid()), "1", "999999999", "", "not a number", "-1"],
    ids=["us", "1", "no", "none", "text", "-1"],
)
def test_a_stale_process_id_kills_nobody(world: PackerProject, content: str) -> None:
    scratch = world.folder / "scratch"
    scratch.mkdir()
    (scratch / "holder.pid").write_text(content)
    packer.release(scratch)


def test_a_foreign_link_is_not_followed(world: PackerProject) -> None:
    scratch, precious = world.folder / "scratch", world.folder / "precious"
    scratch.mkdir()
    precious.mkdir()
    (scratch / "tmp").symlink_to(precious)
    packer.release(scratch)
    assert precious.exists()
