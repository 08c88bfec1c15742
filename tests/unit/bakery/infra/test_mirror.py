"""Where providers come from on a machine without a registry."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bakery.host.errors import UsageError
from bakery.infra import mirror

ADDRESS = "registry.terraform.io/hashicorp/aws"

MakeMirror = Callable[..., Path]


def config(path: Path, block: str) -> Path:
    path.write_text(f"provider_installation {{\n  {block}\n}}\n")
    return path


class TestNamed:
    def test_nothing_is_named(self) -> None:
        assert mirror.named_mirror({}) is None
        assert mirror.named_mirror({mirror.VARIABLE: ""}) is None

    @pytest.mark.parametrize("packed", [False, True])
    def test_the_variable_names_a_mirror(self, make_mirror: MakeMirror, tmp_path: Path, packed: bool) -> None:
        folder = make_mirror(tmp_path / "mine", packed)
        assert mirror.named_mirror({mirror.VARIABLE: str(folder)}) == folder

    @pytest.mark.parametrize("version", [None, "4.0.0"])
    def test_a_folder_without_our_provider(self, make_mirror: MakeMirror, tmp_path: Path, version: str | None) -> None:
        if version:
            make_mirror(tmp_path, version=version)
        with pytest.raises(UsageError, match="is not a mirror") as caught:
            mirror.named_mirror({mirror.VARIABLE: str(tmp_path)})
        assert caught.value.where == str(tmp_path)
        assert mirror.AWS_VERSION in caught.value.hint
        assert f"'terraform providers mirror -platform={mirror.terraform_platform()} {tmp_path}'" in caught.value.hint

    @pytest.mark.parametrize("place", ["home/.terraform.d/plugins", "opt/providers"])
    def test_nothing_is_searched(
        self, make_mirror: MakeMirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
    ) -> None:
        make_mirror(tmp_path / place)
        monkeypatch.chdir(tmp_path)
        assert mirror.named_mirror({"HOME": str(tmp_path / "home")}) is None
        assert not mirror.has_configuration({"HOME": str(tmp_path / "home")})


class TestConfigured:
    @pytest.mark.parametrize(
        "block", ['filesystem_mirror {{ path = "{}" }}', 'network_mirror {{ url = "https://x/{}" }}']
    )
    def test_the_users_own_configuration(self, make_mirror: MakeMirror, tmp_path: Path, block: str) -> None:
        folder = make_mirror(tmp_path / "theirs")
        file = config(tmp_path / "terraform.rc", block.format(folder))
        assert mirror.has_configuration({mirror.CONFIG_VARIABLE: str(file)})

    def test_the_one_in_the_home_folder(self, own_home: Path) -> None:
        config(own_home / ".terraformrc", 'filesystem_mirror { path = "/nowhere" }')
        assert mirror.has_configuration({"HOME": str(own_home)})
        assert mirror.has_configuration({})

    def test_one_that_says_nothing_of_providers(self, tmp_path: Path, own_home: Path) -> None:
        config(own_home / ".terraformrc", 'filesystem_mirror { path = "/nowhere" }')
        file = tmp_path / "terraform.rc"
        file.write_text('plugin_cache_dir = "/cache"\n')
        assert not mirror.has_configuration({mirror.CONFIG_VARIABLE: str(file)})

    def test_one_that_is_not_there(self, tmp_path: Path) -> None:
        assert not mirror.has_configuration({mirror.CONFIG_VARIABLE: str(tmp_path / "absent")})


class TestOthersWhoCanWrite:
    """pytest's own folder lies in a sticky one that everybody can write to, as most of /tmp does."""

    @pytest.mark.parametrize("mode", [0o777, 0o775, 0o1777])
    @pytest.mark.parametrize("place", ["mirror", f"mirror/{ADDRESS}", "mirror/registry.terraform.io"])
    def test_to_the_mirror(self, make_mirror: MakeMirror, tmp_path: Path, place: str, mode: int) -> None:
        folder = make_mirror(tmp_path / "mirror")
        (tmp_path / place).chmod(mode)
        with pytest.raises(UsageError, match="other users can write to the Terraform mirror") as caught:
            mirror.named_mirror({mirror.VARIABLE: str(folder)})
        assert caught.value.where == str(tmp_path / place)
        assert f"'chmod go-w {tmp_path / place}'" in caught.value.hint

    def test_to_a_program_in_it(self, make_mirror: MakeMirror, tmp_path: Path) -> None:
        folder = make_mirror(tmp_path / "mirror")
        program = folder / ADDRESS / mirror.AWS_VERSION / mirror.terraform_platform() / "terraform-provider-aws"
        program.touch()
        program.chmod(0o757)
        with pytest.raises(UsageError, match="other users can write"):
            mirror.named_mirror({mirror.VARIABLE: str(folder)})

    def test_to_a_parent(self, make_mirror: MakeMirror, tmp_path: Path) -> None:
        folder = make_mirror(tmp_path / "shared" / "mirror")
        (tmp_path / "shared").chmod(0o777)
        with pytest.raises(UsageError, match="other users can write") as caught:
            mirror.named_mirror({mirror.VARIABLE: str(folder)})
        assert caught.value.where == str(tmp_path / "shared")
        (tmp_path / "shared").chmod(0o1777)
        assert mirror.named_mirror({mirror.VARIABLE: str(folder)}) == folder

    def test_to_what_a_link_leads_to(self, make_mirror: MakeMirror, tmp_path: Path) -> None:
        folder = make_mirror(tmp_path / "shared" / "mirror")
        (tmp_path / "shared").chmod(0o777)
        (tmp_path / "link").symlink_to(folder)
        with pytest.raises(UsageError, match="other users can write"):
            mirror.named_mirror({mirror.VARIABLE: str(tmp_path / "link")})

    def test_to_the_mirror_of_the_users_configuration(self, make_mirror: MakeMirror, tmp_path: Path) -> None:
        folder = make_mirror(tmp_path / "mirror")
        folder.chmod(0o777)
        file = config(tmp_path / "terraform.rc", f'filesystem_mirror {{ path = "{folder}" }}')
        with pytest.raises(UsageError, match="other users can write"):
            mirror.has_configuration({mirror.CONFIG_VARIABLE: str(file)})

    @pytest.mark.parametrize("place", ["mirror", "."])
    def test_who_own_the_mirror_or_a_parent(
        self, make_mirror: MakeMirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
    ) -> None:
        folder = make_mirror(tmp_path / "mirror")
        owned = (tmp_path / place).stat()
        monkeypatch.setattr(os, "getuid", lambda: 4711)
        monkeypatch.setattr(Path, "stat", _stat_as_root(Path.stat, owned.st_ino))
        with pytest.raises(UsageError, match="other users can write") as caught:
            mirror.named_mirror({mirror.VARIABLE: str(folder)})
        assert caught.value.where == str((tmp_path / place).resolve())
        assert f"'chown 4711 {caught.value.where}'" in caught.value.hint

    def test_to_the_configuration(self, tmp_path: Path) -> None:
        file = config(tmp_path / "terraform.rc", 'network_mirror { url = "https://x/" }')
        file.chmod(0o666)
        with pytest.raises(UsageError, match="other users can write") as caught:
            mirror.has_configuration({mirror.CONFIG_VARIABLE: str(file)})
        assert caught.value.where == str(file)

    @pytest.mark.parametrize("name", ["more.tfrc", "more.tfrc.json"])
    def test_to_a_mirror_of_a_further_file(self, make_mirror: MakeMirror, own_home: Path, name: str) -> None:
        folder = make_mirror(own_home / "mirror")
        folder.chmod(0o777)
        texts = {
            "more.tfrc": f'provider_installation {{ filesystem_mirror {{ path = "{folder}" }} }}',
            "more.tfrc.json": f'{{"provider_installation": [{{"filesystem_mirror": [{{"path": "{folder}"}}]}}]}}',
        }
        (own_home / ".terraform.d").mkdir()
        (own_home / ".terraform.d" / name).write_text(texts[name])
        with pytest.raises(UsageError, match="other users can write"):
            mirror.has_configuration({"HOME": str(own_home)})
        folder.chmod(0o755)
        assert mirror.has_configuration({"HOME": str(own_home)})


def test_a_provider_past_the_lock_file_is_refused(tmp_path: Path) -> None:
    file = config(tmp_path / "terraform.rc", 'dev_overrides { "hashicorp/aws" = "/home/me/go/bin" }')
    with pytest.raises(UsageError, match="dev_overrides runs a provider") as caught:
        mirror.has_configuration({mirror.CONFIG_VARIABLE: str(file)})
    assert caught.value.where == str(file)


def test_a_comment_configures_nothing(tmp_path: Path) -> None:
    file = tmp_path / "terraform.rc"
    file.write_text('# provider_installation { dev_overrides { } }\nplugin_cache_dir = "/cache"\n')
    assert not mirror.has_configuration({mirror.CONFIG_VARIABLE: str(file)})


def _stat_as_root(stat: Callable[..., os.stat_result], stranger: int) -> Callable[..., os.stat_result]:
    """`Path.stat` on a machine where everything is root's but one inode, which is somebody else's."""

    def changed(self: Path, **options: bool) -> os.stat_result:
        fields = list(stat(self, **options))
        fields[4] = 4712 if fields[1] == stranger else 0
        return os.stat_result(fields)

    return changed


def test_only_what_is_mirrored_is_taken_from_there(make_mirror: MakeMirror, tmp_path: Path) -> None:
    folder = make_mirror(tmp_path / "mirror")
    (folder / "registry.terraform.io" / "hashicorp" / "random").mkdir()
    text = mirror.cli_config(folder)
    listed = f'["{ADDRESS}", "registry.terraform.io/hashicorp/random"]'
    assert f'path    = "{folder}"' in text
    assert f"include = {listed}" in text
    assert f"exclude = {listed}" in text
