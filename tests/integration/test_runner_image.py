"""The runner image, built by buildah: its Dockerfile and self-test are ours, its base a Debian instead of Ubuntu.

In place of the set-up, which has tests of its own and takes minutes, an image with one of its programs: the real vault,
with the file capability that the vendor's packages give it.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.root]

ROOT = Path(__file__).parents[2]
TOOLBOX = "opt/bakery"
SECONDS = 600.0  # for a command; the slowest makes the Debian tree in half a minute
# What the Dockerfile would install comes with the base, so that no build needs the package mirror.
PACKAGES = ("ca-certificates", "git", "libcap2-bin")
CAPABILITY = "cap_ipc_lock=ep"  # what `setcap` gets in the vendor's packages
REFUSED = "Operation not permitted"


def run(*command: str | Path, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    """A program with both of its streams in one."""
    done = subprocess.run(
        command,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0 or not check, done.stdout
    return done


def install_toolbox(root: Path) -> Path:
    """What the set-up leaves, with links as it makes them; gives the vault, with its capability."""
    toolbox = root / TOOLBOX
    stored = toolbox / ".cache" / "vault"
    for folder in (stored.parent, toolbox / ".bakery" / "tools" / "bin", toolbox / ".venv" / "bin"):
        folder.mkdir(parents=True)
    shutil.copy((ROOT / ".bakery" / "tools" / "bin" / "vault").resolve(), stored)
    run("setcap", CAPABILITY, stored)
    (toolbox / ".bakery" / "tools" / "bin" / "vault").symlink_to("/" / stored.relative_to(root))
    bakery = toolbox / ".venv" / "bin" / "bakery"
    bakery.write_text("#!/bin/sh\necho 0.1.0\n")
    bakery.chmod(0o755)
    shutil.copytree(ROOT / "runner", toolbox / "runner")
    return stored


@dataclass(frozen=True)
class Buildah:
    """Builds with a storage of its own."""

    folder: Path

    def __call__(self, *arguments: str | Path, check: bool = True) -> str:
        storage: list[str | Path] = [
            "--root",
            self.folder / "storage",
            "--runroot",
            self.folder / "run",
            "--storage-driver",
            "vfs",
        ]
        return run("buildah", *storage, *arguments, check=check, BUILDAH_ISOLATION="chroot").stdout.strip()

    def image(self, name: str) -> Path:
        """Begin an image from nothing; gives its root folder."""
        self("from", "--name", name, "scratch")
        return Path(self("mount", name))

    def commit(self, name: str) -> None:
        self("umount", name)
        self("commit", "--quiet", "--rm", name, f"localhost/{name}")

    def build(self, dockerfile: str, *, check: bool = True) -> str:
        """Build the image `runner` from a Dockerfile in a context that has no more than it needs."""
        context = self.folder / "context"
        shutil.rmtree(context, ignore_errors=True)
        (context / "tools").mkdir(parents=True)
        (context / "tools" / "system-packages.txt").write_text("".join(f"{name}  # a reason\n" for name in PACKAGES))
        (context / "Dockerfile").write_text(dockerfile)
        arguments = ["--build-arg", "BASE=localhost/base", "--build-arg", "TOOLS=localhost/made", "--tag", "runner"]
        return self("build", *arguments, "--file", context / "Dockerfile", context, check=check)


@pytest.fixture(scope="module")
def buildah(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Buildah]:
    """With a Debian as base, and what stands in for the set-up."""
    found = Buildah(tmp_path_factory.mktemp("buildah"))
    tree = found.folder / "base.tar"
    run("mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}", "bookworm", tree)
    found("from", "--name", "base", "scratch")
    found("add", "base", tree, "/")
    found("commit", "--quiet", "--rm", "base", "localhost/base")
    install_toolbox(found.image("made"))
    found.commit("made")
    yield found
    found("rm", "--all")
    shutil.rmtree(found.folder)


def dockerfile() -> str:
    return (ROOT / "runner" / "Dockerfile").read_text()


def test_the_image_is_built_and_passes_its_self_test_as_the_user_of_jobs(buildah: Buildah) -> None:
    assert "ok      vault: Vault v" in buildah.build(dockerfile()), "at the end of the build"
    buildah("from", "--name", "job", "runner")
    try:
        inside = ["run", "job", "--"]
        assert buildah(*inside, "id", "-u") == "10001"
        tested = buildah(*inside, f"/{TOOLBOX}/runner/self-test.sh")
        assert tested.splitlines()[0].startswith("ok      vault: Vault v")
        assert "note:" not in tested, "this container may not lock memory, so the test means something"
        assert buildah(*inside, "/usr/sbin/getcap", f"/{TOOLBOX}/.cache/vault").endswith("vault =")
    finally:
        buildah("rm", "job")


def test_without_the_fix_the_build_fails_at_its_own_test(buildah: Buildah) -> None:
    fix = 'setcap cap_ipc_lock= "$(readlink -f /opt/bakery/.bakery/tools/bin/vault)"'
    assert fix in dockerfile()
    output = buildah.build(dockerfile().replace(fix, "true"), check=False)
    assert "FAILED  vault" in output
    assert REFUSED in output


def test_the_self_test_sees_the_capability_and_that_it_was_cleared(tmp_path: Path) -> None:
    """The failure itself, without a container: setpriv takes the capability out of the bounding set."""
    vault = install_toolbox(tmp_path)
    link = tmp_path / TOOLBOX / ".bakery" / "tools" / "bin" / "vault"
    link.unlink()
    link.symlink_to(vault)
    assert "Vault v" in run(vault, "--version").stdout, "root with all capabilities does not see it"
    confined = run("setpriv", "--bounding-set", "-ipc_lock", vault, "--version", check=False)
    assert confined.returncode != 0
    assert REFUSED in confined.stdout

    test = tmp_path / TOOLBOX / "runner" / "self-test.sh"
    before = run(test, check=False)
    assert (before.returncode, "FAILED  vault" in before.stdout) == (1, True)
    run("setcap", "cap_ipc_lock=", vault)
    after = run(test)
    assert "ok      vault: Vault v" in after.stdout
