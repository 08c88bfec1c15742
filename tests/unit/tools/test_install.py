"""PATH, cache, vendor, source: in this order, and nothing half-done ever counts."""

import fcntl
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tools import install as installing
from tools import source
from tools.install import install, link, resolve
from tools.progress import SetupError
from tools.vendor import Vendor

if TYPE_CHECKING:
    from unit.tools.conftest import FakeTool

OTHER = "#!/bin/sh\necho Forge v1.2.2\n"
SAME = "#!/bin/sh\necho Forge v1.2.3\n"
# Go makes its caches where the environment says.
KEEPING_GO = """#!/bin/sh
[ "$1" = env ] && echo go1.26.1 && exit
mkdir -p "$GOCACHE" "$GOMODCACHE"
while [ "$1" != -o ]; do shift; done
printf '#!/bin/sh\\necho Forge v1.2.3\\n' > "$2"
chmod +x "$2"
"""


def resolved(bench: "FakeTool") -> Path:
    return resolve(bench.tool, bench.places, Vendor(bench.progress), bench.progress)


@pytest.mark.parametrize("version", ["1.2.3", "1.2.31", "1.10.0", "1.2.3+ent"])
def test_a_program_on_path_of_this_version_or_a_newer_one_is_used_as_it_is(bench: "FakeTool", version: str) -> None:
    program = bench.put_on_path("forge", f"#!/bin/sh\necho Forge v{version}\n")
    assert resolved(bench) == program
    assert bench.server.asked == []


@pytest.mark.parametrize("version", ["1.2.2", "1.1.9", "0.9.9", "2.0.0", "11.2.3", "1.3.0-beta1", "1.3", "unknown"])
def test_an_older_one_another_major_and_a_pre_release_are_not_used(bench: "FakeTool", version: str) -> None:
    program = bench.put_on_path("forge", f"#!/bin/sh\necho Forge v{version}\n")
    assert resolved(bench) == bench.folder / "release" / "forge"
    said = bench.said()
    assert f"{program} is " in said
    assert ">= 1.2.3, < 2 is needed: not used" in said


@pytest.mark.parametrize(
    "text", [OTHER, "#!/bin/sh\nexit 3\n", "not a program"], ids=["other version", "fails", "cannot start"]
)
def test_anything_else_on_path_is_passed_over_and_named(bench: "FakeTool", text: str) -> None:
    program = bench.put_on_path("forge", text)
    assert resolved(bench) == bench.folder / "release" / "forge"
    assert f"{program} is " in bench.said()


def test_our_own_link_on_path_is_not_mistaken_for_the_users_program(
    bench: "FakeTool", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{bench.places.bin}:/usr/bin:/bin")
    install([bench.tool], bench.places, bench.progress)
    install([bench.tool], bench.places, bench.progress)
    assert (bench.places.bin / "forge").readlink() == bench.folder / "release" / "forge"


def test_what_is_in_the_cache_is_not_fetched_again(bench: "FakeTool") -> None:
    assert resolved(bench) == resolved(bench)
    assert bench.server.asked == ["/forge.zip"]


@pytest.mark.parametrize("change", [{"tags": ""}, {"tags": "large"}, {"ldflags": "-X main.mood=good"}], ids=str)
def test_a_build_with_other_flags_is_not_taken_from_the_cache(bench: "FakeTool", change: dict[str, str]) -> None:
    bench.server.files.clear()
    bench.put_go_on_path()
    first = resolved(bench)
    second = resolved(replace(bench, tool=replace(bench.tool, **change)))  # type: ignore[arg-type]
    assert first != second
    assert len((bench.bin / "go.calls").read_text().splitlines()) == 2
    assert first.exists(), "another checkout may still use it"


@pytest.mark.parametrize("name", ["go.mod", "go.sum"])
def test_nor_is_one_of_other_sources(bench: "FakeTool", name: str) -> None:
    bench.server.files.clear()
    bench.put_go_on_path()
    first = resolved(bench)
    (bench.tool.source / name).write_text("changed")
    assert resolved(bench) != first


def test_an_unreachable_vendor_leads_to_a_build_from_the_locked_source(bench: "FakeTool") -> None:
    bench.server.files.clear()
    bench.put_go_on_path()
    program = resolved(bench)
    call = (bench.bin / "go.calls").read_text()
    assert program == bench.folder / f"source-{bench.tool.recipe}" / "forge"
    assert call.startswith(f"{bench.tool.source} build -mod=readonly")
    assert "-tags small" in call
    said = bench.said()
    assert "the vendor's release is not reachable" in said
    assert "building 1.2.3 from source, about 1 min on two idle cores" in said


def test_a_build_leaves_gos_caches_to_the_tools_after_it_and_then_their_space_is_free(bench: "FakeTool") -> None:
    bench.server.files.clear()
    bench.put_on_path("go", KEEPING_GO)
    resolved(bench)
    caches = bench.places.go
    assert {path.name for path in caches.iterdir()} == {"build", "modules"}
    with caches.with_name("go.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        source.remove_caches(caches)
        assert caches.exists(), "another set-up builds with them"
    source.remove_caches(caches)
    assert not caches.exists()


def test_a_build_without_space_does_not_start(bench: "FakeTool", monkeypatch: pytest.MonkeyPatch) -> None:
    bench.server.files.clear()
    bench.put_go_on_path()
    monkeypatch.setattr(source, "NEEDED_GB", 10**9)
    with pytest.raises(SetupError, match=r"building forge needs up to 1000000000 GB, and .*/go has [\d.]+ GB left"):
        resolved(bench)
    assert not (bench.bin / "go.calls").exists()


def test_a_build_that_reports_another_version_is_refused(bench: "FakeTool") -> None:
    bench.server.files.clear()
    bench.put_go_on_path(builds=OTHER)
    with pytest.raises(SetupError, match=r"reports version 1\.2\.2, expected 1\.2\.3"):
        resolved(bench)
    assert bench.leftovers() == []


def test_a_failing_build_shows_the_end_of_its_log(bench: "FakeTool") -> None:
    bench.server.files.clear()
    bench.put_on_path("go", '#!/bin/sh\n[ "$1" = env ] && echo go1.26.1 && exit\necho no space left >&2\nexit 1\n')
    with pytest.raises(SetupError, match="no space left") as error:
        resolved(bench)
    assert "setup-forge.log" in error.value.hint
    assert bench.leftovers() == []


def test_an_interrupt_leaves_nothing_and_the_next_run_succeeds(
    bench: "FakeTool", monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(installing, "keep", interrupt)
        with pytest.raises(KeyboardInterrupt):
            resolved(bench)
    assert bench.leftovers() == []
    assert resolved(bench).exists()


def test_what_a_killed_run_left_is_neither_used_nor_kept(bench: "FakeTool") -> None:
    half = bench.folder / "tmp-killed"
    half.mkdir(parents=True)
    (half / "forge").write_text("half")
    assert resolved(bench) == bench.folder / "release" / "forge"
    assert bench.leftovers() == ["release"]


def test_a_second_set_up_waits_and_then_finds_the_tool_there(bench: "FakeTool") -> None:
    bench.folder.mkdir(parents=True)
    with (bench.folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = threading.Thread(target=resolved, args=(bench,))
        waiting.start()
        # The other set-up finishes the tool while ours waits for the lock.
        release = bench.folder / "release"
        release.mkdir()
        (release / "forge").write_text(SAME)
        (release / "forge").chmod(0o755)
    waiting.join(5)
    assert not waiting.is_alive()
    assert bench.server.asked == []


def test_without_go_the_message_says_what_to_do(bench: "FakeTool", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(bench.bin))
    bench.server.files.clear()
    with pytest.raises(SetupError, match=r"forge 1\.2\.3 must be built from source and Go is not installed") as error:
        resolved(bench)
    assert "go.dev/dl" in error.value.hint


def test_a_tool_that_cannot_be_built_says_where_to_get_it(bench: "FakeTool") -> None:
    bench.server.files.clear()
    bench.put_go_on_path()
    with pytest.raises(SetupError, match="cannot be built from the Go module proxy") as error:
        resolved(replace(bench, tool=replace(bench.tool, module=None)))
    assert error.value.hint.endswith("/forge.zip")


def test_a_go_that_is_too_old_is_named(bench: "FakeTool") -> None:
    bench.server.files.clear()
    bench.put_go_on_path(version="go1.19.8")
    with pytest.raises(SetupError, match=r"go1\.19\.8: too old"):
        resolved(bench)


def test_a_link_is_replaced_when_its_target_changes(tmp_path: Path) -> None:
    place = tmp_path / "bin" / "forge"
    link(Path("/old"), place)
    link(Path("/new"), place)
    assert place.readlink() == Path("/new")
    assert list(place.parent.iterdir()) == [place]


PACKER = """#!/bin/sh
# Packer's own layout: the plugin, and its checksum beside it.
[ "$1" = version ] && echo Packer v1.2.3 && exit
folder=$PACKER_PLUGIN_PATH/$5
mkdir -p "$folder" && echo call >> "$PACKER_PLUGIN_PATH/../calls"
cp "$4" "$folder/plugin" && sha256sum "$4" | cut -d ' ' -f 1 > "$folder/plugin_SHA256SUM"
"""


def test_a_plugin_is_handed_to_packer_once_and_again_when_it_was_damaged(bench: "FakeTool") -> None:
    packer = replace(bench.tool, name="packer")
    plugin = replace(bench.tool, plugin="example.org/forge")
    bench.put_on_path("packer", PACKER)
    calls = bench.places.plugins.with_name("calls")
    for _ in range(2):
        install([packer, plugin], bench.places, bench.progress)
    assert calls.read_text().count("call") == 1

    (bench.places.plugins / "example.org/forge/plugin").write_text("half")
    install([packer, plugin], bench.places, bench.progress)
    assert calls.read_text().count("call") == 2


def test_another_version_of_a_plugin_is_replaced(bench: "FakeTool") -> None:
    """Packer would load the newer one, though the tools on PATH are older now."""
    bench.put_on_path("packer", PACKER)
    former = bench.places.plugins / "example.org/forge" / "forge_v1.9.0_x5.0"
    former.parent.mkdir(parents=True)
    for name in (former.name, f"{former.name}_SHA256SUM"):
        former.with_name(name).write_text("former")
    install(
        [replace(bench.tool, name="packer"), replace(bench.tool, plugin="example.org/forge")],
        bench.places,
        bench.progress,
    )
    assert sorted(path.name for path in former.parent.iterdir()) == ["plugin", "plugin_SHA256SUM"]
