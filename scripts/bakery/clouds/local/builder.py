"""Local builds: a guest in QEMU, or its disk in a chroot."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bakery.clouds.builder import Builder, ssh_variables
from bakery.clouds.job import Job
from bakery.machine import disk_image, qemu
from bakery.model.bases import QEMU
from bakery.model.definition import ImageDefinition

# Boot to SSH takes 40 s without acceleration on two idle cores; a busy machine gets ten times that and more.
SSH_TIMEOUT = {"kvm": "3m", "tcg": "10m"}
# A guest that goes on from a saved boot answers after 3 to 10 s, on two idle cores; otherwise it boots.
RESTORED_TIMEOUT = "2m"


def source(definition: ImageDefinition) -> str:
    if definition.mode == "chroot":
        return "null.linux"
    return "qemu.windows" if definition.windows else "qemu.linux"


def variables(job: Job) -> dict[str, Any]:
    assert job.base
    disk_variables = {
        "base_disk": str(job.start_disk),
        "output_folder": str(job.output),
        "pid_file": str(job.pid_file),
    }
    return disk_variables if job.definition.mode == "chroot" else disk_variables | _guest_variables(job)


def _guest_variables(job: Job) -> dict[str, Any]:
    assert job.base
    code, variables = qemu.firmware()
    machine = qemu.MACHINE
    return {
        "disk_size": disk_image.inspect(job.base.path)["virtual-size"],
        "secrets": job.secret_references,
        **ssh_variables(job, SSH_TIMEOUT[job.toolchain.accelerator]),
        **({"ssh_timeout": RESTORED_TIMEOUT} if job.boot else {}),
        "strategy_plugins": str(find_strategies()),
        "serial_log": str(job.console),
        "accelerator": job.toolchain.accelerator,
        "machine_type": machine.type,
        "cpu": machine.cpu,
        "cpus": qemu.count_cpus(job.toolchain.accelerator),
        "memory_mib": machine.memory_mib,
        "firmware_code": str(code),
        "firmware_vars": str(variables),
    }


def find_strategies() -> Path:
    """The folder of Mitogen's strategies for Ansible."""
    package = find_spec("ansible_mitogen")
    assert package and package.origin, "Mitogen is a dependency of this package"
    return Path(package.origin).parent / "plugins" / "strategy"


BUILDER = Builder(
    QEMU,
    "bake-private",
    "packer-plugin-qemu",
    source,
    variables,
    required=("base_disk", "output_folder", "manifest"),
    system_tools=("mmdebstrap", "mke2fs", "qemu-img", "qemu-system-x86_64"),
)
