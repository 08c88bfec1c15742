"""Tools on PATH that count how often they are asked."""

import os
from pathlib import Path

import pytest

from bakery.engine import toolbox
from bakery.host import files
from bakery.host.errors import BakeryError
from doubles.programs import Programs
from unit.bakery.cli.cli_runner import CliRunner


@pytest.fixture
def programs(bakery: CliRunner, tmp_path: Path) -> Programs:
    """The programs of the system, each in version 7.2.0, and not just changed."""
    bakery.monkeypatch.setattr(files, "GRAIN", 0)
    found = Programs(tmp_path / "bin", bakery.monkeypatch)
    for name in toolbox.SYSTEM_TOOLS:
        found.shell(name, f"echo '{name} version 7.2.0 (Debian 1:7.2)'")
    return found


def system(bakery: CliRunner) -> dict[str, str]:
    found = toolbox.versions(bakery.project)
    return {name: found[name] for name in toolbox.SYSTEM_TOOLS}


class TestFind:
    def test_what_the_set_up_installed_comes_first(self, bakery: CliRunner, programs: Programs) -> None:
        programs.shell("packer")
        assert toolbox.find(bakery.project, "packer") == programs.folder / "packer"
        own = bakery.write(".bakery/tools/bin/packer", "")
        assert toolbox.find(bakery.project, "packer") == own

    def test_another_workspace_has_the_same_tools(self, bakery: CliRunner) -> None:
        own = bakery.write(".bakery/tools/bin/packer", "")
        answer = bakery("doctor", "bake", "--workspace", "elsewhere", "--json")
        assert answer.code == 1
        assert toolbox.find(bakery.session().project, "packer") == own

    def test_nothing(self, bakery: CliRunner) -> None:
        with pytest.raises(BakeryError, match="packer is not installed") as caught:
            toolbox.find(bakery.project, "packer")
        assert "make setup" in caught.value.hint


class TestVersions:
    def test_are_asked_once_per_program(self, bakery: CliRunner, programs: Programs) -> None:
        assert system(bakery) == dict.fromkeys(toolbox.SYSTEM_TOOLS, "7.2.0")
        assert system(bakery) == dict.fromkeys(toolbox.SYSTEM_TOOLS, "7.2.0")
        assert {name: programs.calls(name) for name in toolbox.SYSTEM_TOOLS} == {
            name: [flag] for name, flag in toolbox.SYSTEM_TOOLS.items()
        }

    def test_of_a_program_that_changed_are_asked_again(self, bakery: CliRunner, programs: Programs) -> None:
        system(bakery)
        programs.shell("qemu-img", "echo qemu-img version 7.2.11")
        assert system(bakery)["qemu-img"] == "7.2.11"
        assert len(programs.calls("qemu-img")) == 2
        assert len(programs.calls("mke2fs")) == 1

    def test_of_a_program_that_was_replaced_by_one_of_its_size(self, bakery: CliRunner, programs: Programs) -> None:
        system(bakery)
        program = programs.folder / "mke2fs"
        program.write_text(program.read_text().replace("7.2.0", "7.2.1"))
        os.utime(program, (1, 1))
        assert system(bakery)["mke2fs"] == "7.2.1"

    def test_on_standard_error_count_too(self, bakery: CliRunner, programs: Programs) -> None:
        programs.shell("mke2fs", "echo 'mke2fs 1.47.0 (5-Feb-2023)' >&2")
        assert system(bakery)["mke2fs"] == "1.47.0"

    def test_of_what_is_not_there(self, bakery: CliRunner, programs: Programs) -> None:
        (programs.folder / "mmdebstrap").unlink()
        assert system(bakery)["mmdebstrap"] == "missing"
        programs.shell("mmdebstrap", "echo mmdebstrap 1.3.1")
        assert system(bakery)["mmdebstrap"] == "1.3.1"

    def test_survive_a_damaged_cache(self, bakery: CliRunner, programs: Programs) -> None:
        bakery.write(".bakery/cache/tools.json", "{")
        assert system(bakery)["qemu-img"] == "7.2.0"

    def test_of_packer_and_its_plugins_are_what_they_report(self, bakery: CliRunner, programs: Programs) -> None:
        place = bakery.write(
            ".bakery/tools/packer-plugins/github.com/hashicorp/qemu/packer-plugin-qemu_v1.4.0_x5.0", ""
        )
        place.write_text('#!/bin/sh\n[ $1 = describe ] && echo \'{"version":"1.4.0","sdk_version":"0.6.0"}\'\n')
        place.chmod(0o755)
        place.with_name(f"{place.name}_SHA256SUM").write_text("0123")
        programs.shell("packer", "echo Packer v1.16.2; echo The latest version is 9.9.9")
        found = toolbox.versions(bakery.project)
        assert (found["packer"], found["packer-plugin-qemu"], found["packer-plugin-azure"]) == (
            "1.16.2",
            "1.4.0",
            "missing",
        )
        assert {"python", "ansible-core"} <= found.keys()

    def test_of_the_packer_that_the_set_up_installed_count(self, bakery: CliRunner, programs: Programs) -> None:
        programs.shell("packer", "echo Packer v1.16.0")
        bakery.write(".bakery/tools/bin/packer", "#!/bin/sh\necho Packer v1.17.1\n").chmod(0o755)
        assert toolbox.versions(bakery.project)["packer"] == "1.17.1"
        assert programs.calls("packer") == []

    def test_change_the_key_of_an_image(self, bakery: CliRunner, programs: Programs) -> None:
        programs.shell("packer", "echo Packer v1.16.0")
        before = bakery.line("web")[0].input_key
        programs.shell("packer", "echo Packer v1.16.10")
        assert bakery.line("web")[0].input_key != before
