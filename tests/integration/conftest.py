"""What the tests with real tools share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from bakery.infra import mirror
from bakery.machine.disk_image import BaseDisk
from bakery.machine.timeout import VARIABLE
from doubles.aws.client import StandIn, point_environment, running
from integration.bases import prepare_base
from integration.clones import copy_project

# Where a machine that cannot reach Terraform's registry has providers for the tests and, by the Makefile, for the demo.
# Only these two look there: the bakery itself searches nowhere.
PROVIDERS = Path("/opt/tf-plugins")


def pytest_configure() -> None:
    """Name the mirror for the tests, unless their caller did."""
    if PROVIDERS.is_dir():
        os.environ.setdefault(mirror.VARIABLE, str(PROVIDERS))


BIG = 16 << 20  # bytes on disk
# The longest first, so that all cores are busy to the end.
FIRST = (
    "test_updates_grub.py",
    "test_roles.py",
    "test_stack_environment.py",
    "test_amazon_ebs.py",
    "test_vault_node.py",
    "test_bake.py",
    "test_vsphere.py",
    "test_gitlab.py",
    "test_locks.py",
    "test_patching.py",
    "test_updates.py",
    "test_apply.py",
    "test_stacks.py",
    "test_stack_runner.py",
    "test_vault_raft.py",
    "test_stack_distribution.py",
    "test_verify.py",
    "test_runner_image.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: order.get(item.path.name, len(FIRST)))


@pytest.fixture(scope="session")
def project_root() -> Path:
    """The folder of pyproject.toml."""
    return Path(__file__).parents[2]


@pytest.fixture(autouse=True, scope="session")
def patient() -> Iterator[None]:
    """However busy the machine is: a guest that will never answer has a test of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, "1h")
        yield


@pytest.fixture(autouse=True, scope="module")
def no_disk_stays(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A failed run leaves logs and documents behind, and no gigabytes."""
    yield
    for folder, _, names in os.walk(tmp_path_factory.getbasetemp()):
        for path in (Path(folder, name) for name in names):
            if not path.is_symlink() and path.stat().st_blocks * 512 > BIG:
                path.unlink()


@pytest.fixture(scope="session")
def base_disk() -> BaseDisk:
    """A real Debian 13 base, from which the images of the project start."""
    return prepare_base("debian-13")


@pytest.fixture
def clone(project_root: Path, base_disk: BaseDisk, tmp_path: Path) -> Path:
    """A copy of the project, with the tools and the base that other tests use as well."""
    copy_project(project_root, tmp_path)
    (tmp_path / ".bakery" / "cache").mkdir()
    (tmp_path / ".bakery" / "cache" / "bases").symlink_to(base_disk.path.parents[1])
    return tmp_path


@pytest.fixture(scope="module")
def aws_server() -> Iterator[StandIn]:
    """The stand-in for AWS, in a process of its own."""
    with running() as server:
        yield server


@pytest.fixture
def aws(aws_server: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """An empty cloud that the environment points at."""
    aws_server.reset()
    point_environment(aws_server, monkeypatch)
    return aws_server
