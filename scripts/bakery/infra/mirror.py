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
COMMENT = re.compile(r"^\s*(#|//).*$", re.MULTILINE)
# In both syntaxes, HCL and JSON.
INSTALLATION_BLOCK = re.compile(r'\bprovider_installation"?\s*:?\s*[\[{]')
OVERRIDES_BLOCK = re.compile(r'\bdev_overrides"?\s*:?\s*[\[{]')
MIRROR_BLOCK = re.compile(r'filesystem_mirror"?\s*:?\s*[\[{][^}]*?\bpath"?\s*[=:]\s*"([^"]+)"', re.DOTALL)


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

    UsageError if others can write to it or to a mirror that it names, or if it takes a provider without a checksum.
    """
    texts = [_read_config(path) for path in _config_files(environment) if path.is_file()]
    return any(INSTALLATION_BLOCK.search(text) for text in texts)


def check_implied(environment: Mapping[str, str]) -> None:
    """Refuse a folder that others can write to and that Terraform searches if nothing is configured."""
    for folder in _implied_folders(environment):
        refuse_writable(folder)


def refuse_writable(path: Path) -> None:
    """Raise UsageError if others can write or replace a mirror or its configuration: its programs get credentials.

    Others are all but the user and root. This is as strict as OpenSSH is for keys: the owner's group counts as others.
    A sticky parent such as /tmp is safe, since users can only rename their own files there.
    """
    resolved = path.resolve()
    with suppress(FileNotFoundError):  # Terraform ignores a missing folder
        inside = [resolved, *sorted(resolved.rglob("*"))]
        for one in (*inside, *resolved.parents):
            status = one.stat()
            sticky = one in resolved.parents and status.st_mode & stat.S_ISVTX
            if status.st_uid not in (0, os.getuid()):
                raise _refusal(one, f"run 'chown {os.getuid()} {one}'")
            if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not sticky:
                raise _refusal(one, f"run 'chmod go-w {one}'")


def _refusal(path: Path, repair: str) -> UsageError:
    return UsageError(
        "other users can write to the Terraform mirror, whose programs run with your credentials",
        where=str(path),
        hint=f"{repair}, or name another folder in {VARIABLE}",
    )


def _read_config(path: Path) -> str:
    """A configuration whose sources of providers were checked; empty if it cannot be read."""
    try:
        text = COMMENT.sub("", path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return ""  # Terraform itself only warns
    if not INSTALLATION_BLOCK.search(text):
        return text
    if OVERRIDES_BLOCK.search(text):
        raise UsageError(
            "dev_overrides runs a provider whatever the lock file says",
            where=str(path),
            hint=f"remove dev_overrides there, or name another file in {CONFIG_VARIABLE}",
        )
    refuse_writable(path)
    for folder in MIRROR_BLOCK.findall(text):
        refuse_writable(Path(folder))
    return text


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


def _config_files(environment: Mapping[str, str]) -> list[Path]:
    """The file that a variable names, or else those of the user, which Terraform joins."""
    if named := environment.get(CONFIG_VARIABLE):
        return [Path(named)]
    home = _home(environment)
    return [home / ".terraformrc", *sorted((home / ".terraform.d").glob("*.tfrc*"))]


def _implied_folders(environment: Mapping[str, str]) -> list[Path]:
    """Folders that Terraform searches without a configuration ("Implied Local Mirror Directories" on the same page)."""
    home = _home(environment)
    personal = environment.get("XDG_DATA_HOME") or str(home / ".local" / "share")
    shared = (environment.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share").split(":")
    searched = [Path(folder) / "terraform" / "plugins" for folder in (personal, *shared) if folder]
    return [home / ".terraform.d" / "plugins", *searched]


def _home(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("HOME") or Path.home())


def _unpacked_folder(folder: Path) -> Path:
    return folder / AWS / AWS_VERSION / terraform_platform()
