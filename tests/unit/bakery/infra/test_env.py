"""The variables that cdktf and Terraform run with."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bakery.host.errors import UsageError
from bakery.infra import env
from bakery.model.project import Project

SECRETS = {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "hidden", "AWS_SESSION_TOKEN": "token"}


def test_our_tools_come_first_and_once(project: Project) -> None:
    first = env.variables(project, {"PATH": "/usr/bin:/bin"})["PATH"]
    assert first.split(":") == [str(project.tool_bin), str(Path(sys.executable).parent), "/usr/bin", "/bin"]
    assert env.variables(project, {"PATH": first})["PATH"] == first


def test_a_partial_environment_keeps_our_path(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/somewhere/bin")
    assert env.variables(project, {})["PATH"].endswith(":/somewhere/bin")


def test_nothing_secret_is_for_printing(project: Project) -> None:
    printed = env.variables(project, {**SECRETS, "HOME": "/nowhere"})
    assert not any(name.startswith("AWS_") for name in printed)
    assert not set(SECRETS.values()) & set(printed.values())


def test_a_child_gets_credentials_and_choices_only(project: Project) -> None:
    child = env.for_child(
        project, {**SECRETS, "BAKERY_CATALOG": "c", "EDITOR": "vi", "TF_CLI_ARGS": "-x", "TF_LOG": "1"}
    )
    assert child.items() >= SECRETS.items()
    assert child["BAKERY_CATALOG"] == "c"
    assert child["TF_INPUT"] == "0"
    assert not {"EDITOR", "TF_CLI_ARGS", "TF_LOG"} & set(child)


@pytest.mark.parametrize("name", ["ARM_CLIENT_SECRET", "TF_VAR_vsphere_logins", "VAULT_TOKEN"])
def test_every_provider_gets_its_login(project: Project, name: str) -> None:
    assert env.for_child(project, {name: "s3cret"})[name] == "s3cret"
    assert env.secret_values({name: "s3cret"}) == ["s3cret"]
    assert name not in env.variables(project, {name: "s3cret"})


def test_secret_values_are_named_for_redaction() -> None:
    assert env.secret_values({**SECRETS, "AWS_SESSION_TOKEN": ""}) == ["hidden"]


@pytest.mark.parametrize(
    "name",
    [
        *("VAULT_TOKEN", "VAULT_ID_TOKEN", "VAULT_SECRET_ID", "VAULT_JWT", "AWS_ID_TOKEN", "AWS_SECRET_ACCESS_KEY"),
        *("CI_JOB_TOKEN", "CI_JOB_JWT", "CI_JOB_JWT_V2", "CI_REGISTRY_PASSWORD", "CI_DEPLOY_PASSWORD", "GITLAB_TOKEN"),
        *("ARM_CLIENT_SECRET", "ARM_OIDC_TOKEN", "ARM_ACCESS_KEY", "GOOGLE_CREDENTIALS_JSON", "TF_VAR_vsphere_logins"),
        *("VSPHERE_PASSWORD", "GITHUB_TOKEN", "NPM_TOKEN", "AZURE_STORAGE_CONNECTION_STRING", "PGPASSWORD"),
    ],
)
def test_every_secret_of_the_environment_is_hidden(name: str) -> None:
    assert env.secret_values({name: "hidden"}) == ["hidden"]


def test_passwords_in_addresses_are_hidden() -> None:
    environment = {
        "https_proxy": "http://robot:p%40ss-word@proxy.example.com:3128",
        "CI_REPOSITORY_URL": "https://gitlab-ci-token:glcbt-64_x@gitlab.example.com/images.git",
        "HOMEPAGE": "https://example.com:8443/user@home",
    }
    assert env.secret_values(environment) == ["p%40ss-word", "p@ss-word", "glcbt-64_x"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/tmp/token"),
        ("AWS_ACCESS_KEY_ID", "AKIA"),
        ("USE_TOKEN", "1"),
        ("PWD", "/home"),
    ],
)
def test_other_variables_are_not_hidden(name: str, text: str) -> None:
    assert env.secret_values({name: text}) == []


@pytest.mark.parametrize("name", ["VAULT_ROLE_ID", "VAULT_SECRET_ID", "VAULT_JWT", "VAULT_ID_TOKEN", "AWS_ID_TOKEN"])
def test_a_child_gets_no_login_for_further_tokens(project: Project, name: str) -> None:
    assert name not in env.for_child(project, {name: "s3cret", "VAULT_TOKEN": "t"})


@pytest.mark.parametrize(("environment", "name"), [({}, "demo"), ({"BAKERY_ENVIRONMENT": "prod"}, "prod")])
def test_backends_are_remembered_per_environment(project: Project, environment: dict[str, str], name: str) -> None:
    found = env.variables(project, environment)
    assert (found["BAKERY_ENVIRONMENT"], found["TF_DATA_DIR"]) == (name, f".terraform/{name}")


def test_cdktf_and_commands_by_hand_only_read_locks(project: Project) -> None:
    assert env.variables(project, {})["TF_CLI_ARGS_init"] == "-lockfile=readonly"
    child = env.for_child(project, {"TF_CLI_ARGS_init": "-upgrade"})
    assert child["TF_CLI_ARGS_init"] == "-lockfile=readonly"


@pytest.mark.parametrize(
    ("place", "environment"),
    [
        ("home/.terraform.d/plugins", {}),
        ("home/.local/share/terraform/plugins", {}),
        ("data/terraform/plugins", {"XDG_DATA_HOME": "data"}),
        ("shared/terraform/plugins", {"XDG_DATA_DIRS": "/nowhere:shared"}),
    ],
)
def test_a_folder_that_terraform_searches_is_refused_if_others_can_write_to_it(
    project: Project, tmp_path: Path, place: str, environment: dict[str, str]
) -> None:
    paths = {
        name: text.replace("data", f"{tmp_path}/data").replace("shared", f"{tmp_path}/shared")
        for name, text in environment.items()
    }
    folder = tmp_path / place
    folder.mkdir(parents=True)
    env.variables(project, {"HOME": str(tmp_path / "home"), **paths})
    folder.chmod(0o777)
    with pytest.raises(UsageError, match="other users can write") as caught:
        env.variables(project, {"HOME": str(tmp_path / "home"), **paths})
    assert caught.value.where == str(folder)


def test_with_a_mirror_terraform_gets_a_configuration_of_ours(
    project: Project, tmp_path: Path, make_mirror: Callable[..., Path]
) -> None:
    folder = make_mirror(tmp_path / "mirror")
    found = env.variables(project, {"BAKERY_TERRAFORM_MIRROR": str(folder), "TF_CLI_CONFIG_FILE": "/theirs"})
    assert Path(found["TF_CLI_CONFIG_FILE"]).is_relative_to(project.workspace)
    assert str(folder) in Path(found["TF_CLI_CONFIG_FILE"]).read_text()
    assert found["CDKTF_SKIP_PROVIDER_LOCK"] == "true"
    assert "TF_PLUGIN_CACHE_DIR" not in found


def test_with_a_configuration_of_the_users_terraform_goes_by_that(project: Project, tmp_path: Path) -> None:
    config = tmp_path / "terraform.rc"
    config.write_text('provider_installation {\n  filesystem_mirror {\n    path = "/theirs"\n  }\n}\n')
    found = env.for_child(project, {"TF_CLI_CONFIG_FILE": str(config)})
    assert found["TF_CLI_CONFIG_FILE"] == str(config)
    assert found["CDKTF_SKIP_PROVIDER_LOCK"] == "true"
    assert "TF_PLUGIN_CACHE_DIR" not in found


def test_without_a_mirror_stacks_share_a_download(project: Project) -> None:
    found = env.for_child(project, {"TF_CLI_CONFIG_FILE": "/theirs"})
    assert Path(found["TF_PLUGIN_CACHE_DIR"]).stat().st_mode & 0o777 == 0o700
    assert found["TF_CLI_CONFIG_FILE"] == "/theirs"
    assert "CDKTF_SKIP_PROVIDER_LOCK" not in found


def test_terraform_is_the_users_choice_then_ours_then_any(project: Project, tmp_path: Path) -> None:
    assert env.find_terraform(project, {"PATH": str(tmp_path)}) == "terraform"
    other = tmp_path / "terraform"
    other.touch(mode=0o755)
    assert env.find_terraform(project, {"PATH": str(tmp_path)}) == str(other)
    ours = project.tool_bin / "terraform"
    ours.touch(mode=0o755)
    assert env.find_terraform(project, {"PATH": str(tmp_path)}) == str(ours)
    assert env.find_terraform(project, {"TERRAFORM_BINARY_NAME": "tofu"}) == "tofu"
