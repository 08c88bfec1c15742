"""Finds a folder of Terraform providers on this machine, for places without a registry."""

import os
import platform
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from bakery.host.errors import UsageError

REGISTRY = "registry.terraform.io"  # the host in every provider's address; a mirror has a folder of this name
AWS = f"{REGISTRY}/hashicorp/aws"
AWS_VERSION = "5.100.0"  # the one that cdktf-cdktf-provider-aws 20.1.0 binds
VARIABLE = "BAKERY_TERRAFORM_MIRROR"
MIRROR_BLOCK = re.compile(r'filesystem_mirror\s*\{[^}]*?\bpath\s*=\s*"([^"]+)"', re.DOTALL)
ROOT = Path("/")
KERNEL_FOLDERS = {"dev", "proc", "run", "sys"}


def find(environment: Mapping[str, str]) -> Path | None:
    """The first mirror that holds our provider; None where providers have to come from the registry.

    UsageError if BAKERY_TERRAFORM_MIRROR names a folder that does not hold it.
    """
    if named := environment.get(VARIABLE):
        if not holds_provider(Path(named)):
            raise UsageError(
                f"{VARIABLE} is not a mirror with {AWS} {AWS_VERSION}",
                where=named,
                hint=f"it needs {_unpacked(Path()).as_posix()}: {filling(str(Path(named).absolute()))}",
            )
        return Path(named).absolute()
    return next((folder for folder in _candidates(environment) if holds_provider(folder)), None)


def holds_provider(folder: Path) -> bool:
    """Whether a folder mirrors our provider for this machine, in either of Terraform's two layouts."""
    packed = folder / AWS / f"terraform-provider-aws_{AWS_VERSION}_{machine()}.zip"
    with suppress(OSError):
        return _unpacked(folder).is_dir() or packed.is_file()
    return False


def filling(folder: str) -> str:
    """How to make a mirror, for a hint: Terraform puts into it what the stacks need that a synth wrote."""
    command = f"terraform providers mirror -platform={machine()} {folder}"
    return f"where the registry can be reached, run '{command}' in the folder of each stack, below cdktf.out/stacks"


def providers(folder: Path) -> list[str]:
    """Addresses of all providers in a mirror, sorted."""
    return sorted(str(path.relative_to(folder)) for path in folder.glob(f"{REGISTRY}/*/*") if path.is_dir())


def cli_config(folder: Path) -> str:
    """A CLI configuration that takes what the mirror has from there, and everything else from its registry."""
    listed = ", ".join(f'"{provider}"' for provider in providers(folder))
    return f"""# Written by bakery: providers come from a mirror on this machine.
provider_installation {{
  filesystem_mirror {{
    path    = "{folder}"
    include = [{listed}]
  }}
  direct {{
    exclude = [{listed}]
  }}
}}
"""


def _candidates(environment: Mapping[str, str]) -> Iterator[Path]:
    """What the user's own Terraform would look at, then folders that machine images bring along."""
    home = Path(environment.get("HOME") or Path.home())
    for config in (environment.get("TF_CLI_CONFIG_FILE"), home / ".terraformrc"):
        if config:
            yield from _mirrors_in(Path(config))
    # Terraform's implied mirrors: https://developer.hashicorp.com/terraform/cli/config/config-file
    yield home / ".terraform.d" / "plugins"
    data = environment.get("XDG_DATA_HOME") or str(home / ".local" / "share")
    shared = environment.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    for folder in (data, *shared.split(":")):
        yield Path(folder) / "terraform" / "plugins"
    for top in sorted(ROOT.iterdir()):
        if top.name not in KERNEL_FOLDERS:
            with suppress(OSError):
                yield from sorted(path.parent for path in top.glob(f"*/{REGISTRY}"))


def _mirrors_in(config: Path) -> list[Path]:
    try:
        return [Path(path) for path in MIRROR_BLOCK.findall(config.read_text(encoding="utf-8"))]
    except (OSError, UnicodeDecodeError):
        return []  # Terraform itself only warns of a missing one


def _unpacked(folder: Path) -> Path:
    return folder / AWS / AWS_VERSION / machine()


def machine() -> str:
    """The machine in Terraform's words, such as linux_amd64."""
    names = {"x86_64": "amd64", "aarch64": "arm64"}
    return f"{os.uname().sysname.lower()}_{names.get(platform.machine(), platform.machine())}"
