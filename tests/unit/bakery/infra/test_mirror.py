"""Where providers come from on a machine without a registry."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from bakery.host.errors import UsageError
from bakery.infra import mirror

ADDRESS = "registry.terraform.io/hashicorp/aws"

MakeMirror = Callable[..., Path]


def find(tmp_path: Path, **environment: str) -> Path | None:
    seen: Mapping[str, str] = {
        "HOME": str(tmp_path / "home"),
        "XDG_DATA_DIRS": str(tmp_path / "share"),
        **environment,
    }
    return mirror.find(seen)


def test_without_a_mirror_there_is_the_registry(tmp_path: Path) -> None:
    assert find(tmp_path) is None


@pytest.mark.parametrize("packed", [False, True])
def test_the_variable_names_a_mirror(make_mirror: MakeMirror, tmp_path: Path, packed: bool) -> None:
    folder = make_mirror(tmp_path / "mine", packed)
    assert find(tmp_path, BAKERY_TERRAFORM_MIRROR=str(folder)) == folder


def test_a_variable_that_names_no_mirror_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a mirror") as caught:
        find(tmp_path, BAKERY_TERRAFORM_MIRROR=str(tmp_path))
    assert caught.value.where == str(tmp_path)
    assert mirror.AWS_VERSION in caught.value.hint
    assert f"'terraform providers mirror -platform={mirror.machine()} {tmp_path}'" in caught.value.hint


def test_the_users_own_configuration_names_a_mirror(make_mirror: MakeMirror, tmp_path: Path) -> None:
    folder = make_mirror(tmp_path / "theirs")
    config = tmp_path / "terraform.rc"
    config.write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{folder}"\n  }}\n}}\n')
    assert find(tmp_path, TF_CLI_CONFIG_FILE=str(config)) == folder


def test_a_configuration_that_is_not_there_is_none(tmp_path: Path) -> None:
    assert find(tmp_path, TF_CLI_CONFIG_FILE=str(tmp_path / "absent")) is None


@pytest.mark.parametrize(
    "place", ["home/.terraform.d/plugins", "home/.local/share/terraform/plugins", "share/terraform/plugins"]
)
def test_terraforms_implied_mirrors(make_mirror: MakeMirror, tmp_path: Path, place: str) -> None:
    folder = make_mirror(tmp_path / place)
    assert find(tmp_path) == folder


def test_a_folder_that_the_machine_brings_along(make_mirror: MakeMirror, tmp_path: Path, no_mirror: Path) -> None:
    folder = make_mirror(no_mirror / "opt" / "providers")
    assert find(tmp_path) == folder


def test_a_mirror_without_our_version_is_passed_over(make_mirror: MakeMirror, tmp_path: Path, no_mirror: Path) -> None:
    make_mirror(no_mirror / "opt" / "old", version="4.0.0")
    folder = make_mirror(no_mirror / "opt" / "right")
    assert find(tmp_path) == folder


def test_only_what_is_mirrored_is_taken_from_there(make_mirror: MakeMirror, tmp_path: Path) -> None:
    folder = make_mirror(tmp_path / "mirror")
    (folder / "registry.terraform.io" / "hashicorp" / "random").mkdir()
    text = mirror.cli_config(folder)
    listed = f'["{ADDRESS}", "registry.terraform.io/hashicorp/random"]'
    assert f'path    = "{folder}"' in text
    assert f"include = {listed}" in text
    assert f"exclude = {listed}" in text
