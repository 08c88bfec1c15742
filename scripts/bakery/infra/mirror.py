"""A folder of Terraform providers that the machine's owner names, for machines without a registry."""

import os
import platform
import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from bakery.host.errors import UsageError

REGISTRY = "registry.terraform.io"  # the host in every provider's address; a mirror has a folder of this name
AWS = f"{REGISTRY}/hashicorp/aws"
AWS_VERSION = "5.100.0"  # the version that cdktf-cdktf-provider-aws 20.1.0 binds
VARIABLE = "BAKERY_TERRAFORM_MIRROR"
# https://developer.hashicorp.com/terraform/cli/config/config-file
CONFIG_VARIABLE = "TF_CLI_CONFIG_FILE"
INSTALLATION_BLOCK = re.compile(r"^\s*provider_installation\s*\{", re.MULTILINE)
MIRROR_BLOCK = re.compile(r'filesystem_mirror\s*\{[^}]*?\bpath\s*=\s*"([^"]+)"', re.DOTALL)


def named_mirror(environment: Mapping[str, str]) -> Path | None:
    """The mirror that BAKERY_TERRAFORM_MIRROR names. UsageError if it lacks the provider or others can write to it."""
    text = environment.get(VARIABLE)
    if not text:
        return None
    folder = Path(text).absolute()
    if not holds_provider(folder):
        raise UsageError(
            f"{VARIABLE} is not a mirror with {AWS} {AWS_VERSION}",
            where=text,
            hint=f"it needs {_unpacked_folder(Path()).as_posix()}: {mirror_command(str(folder))}",
        )
    refuse_writable(folder)
    return folder


def has_configuration(environment: Mapping[str, str]) -> bool:
    """Whether Terraform's own configuration sets the source of providers, which then applies.

    UsageError if others can write to a mirror that it names.
    """
    try:
        text = _config_file(environment).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False  # Terraform itself only warns if it is missing
    for path in MIRROR_BLOCK.findall(text):
        refuse_writable(Path(path))
    return INSTALLATION_BLOCK.search(text) is not None


def refuse_writable(folder: Path) -> None:
    """Raise UsageError if others than the owner can write or replace a mirror: its programs get the user's credentials.

    This is as strict as OpenSSH is for keys: the owner's group counts as others. A sticky parent such as /tmp is safe,
    since users can only rename their own files there.
    """
    resolved = folder.resolve()
    with suppress(FileNotFoundError):  # Terraform ignores a missing folder
        inside = [resolved, *sorted(resolved.rglob("*"))]
        parents = [parent for parent in resolved.parents if not parent.stat().st_mode & stat.S_ISVTX]
        for path in (*inside, *parents):
            if path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise UsageError(
                    "other users can write to the Terraform mirror, whose programs run with your credentials",
                    where=str(path),
                    hint=f"run 'chmod go-w {path}', or name another folder in {VARIABLE}",
                )


def holds_provider(folder: Path) -> bool:
    """Whether a folder mirrors the provider for this machine, in one of Terraform's two layouts."""
    packed = folder / AWS / f"terraform-provider-aws_{AWS_VERSION}_{terraform_platform()}.zip"
    with suppress(OSError):
        return _unpacked_folder(folder).is_dir() or packed.is_file()
    return False


def mirror_command(folder: str) -> str:
    """A hint that explains how to make a mirror: Terraform fills it for the stacks that a synth wrote."""
    command = f"terraform providers mirror -platform={terraform_platform()} {folder}"
    return f"where the registry is reachable, run '{command}' in the folder of each stack, below cdktf.out/stacks"


def mirror_providers(folder: Path) -> list[str]:
    """Addresses of all providers in a mirror, sorted."""
    return sorted(str(path.relative_to(folder)) for path in folder.glob(f"{REGISTRY}/*/*") if path.is_dir())


def cli_config(folder: Path) -> str:
    """A CLI configuration that installs the mirror's providers from there, and all others from their registry."""
    listed = ", ".join(f'"{provider}"' for provider in mirror_providers(folder))
    return f"""# Written by bakery: providers come from the mirror that {VARIABLE} names.
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


def terraform_platform() -> str:
    """The platform in Terraform's notation, such as linux_amd64."""
    names = {"x86_64": "amd64", "aarch64": "arm64"}
    return f"{os.uname().sysname.lower()}_{names.get(platform.machine(), platform.machine())}"


def _config_file(environment: Mapping[str, str]) -> Path:
    home = Path(environment.get("HOME") or Path.home())
    return Path(environment.get(CONFIG_VARIABLE) or home / ".terraformrc")


def _unpacked_folder(folder: Path) -> Path:
    return folder / AWS / AWS_VERSION / terraform_platform()
