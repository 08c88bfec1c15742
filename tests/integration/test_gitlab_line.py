"""A pipeline that goes to its end: a parent and its child are baked, tested and published, and Terraform hands out the
child. Then what is not applied. Each test starts where the last one ended.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from bakery.catalog import Catalog, Record, open_store
from bakery.demo.stand_ins.vault import VaultServer
from bakery.engine.gitlab import render
from bakery.host import files
from bakery.machine.disk_image import BaseDisk
from bakery.signing import Keyring
from doubles.aws.client import StandIn, running
from doubles.serving import at_work
from integration import published_images
from integration.pipelines import (
    CANARY,
    CHECKS,
    DUTIES,
    GROUND,
    TINY,
    Login,
    Repository,
    Run,
    check_out,
    log_in,
    vault_with_secrets,
)

# 265 s of a processor: two images are baked and booted. In `make test`, test_gitlab.py runs these jobs up to a bake
# that fails, test_patching.py bakes, tests and publishes, and test_apply.py applies.
pytestmark = [pytest.mark.integration, pytest.mark.guest, pytest.mark.root, pytest.mark.soak]

BUCKET = "bakery-demo-catalog"  # of cdktf/environments/demo.yaml
BEFORE = ["vault-check publish", "vault-check apply"]
STEPS = ["bake-private", "verify", "publish"]


@dataclass(frozen=True)
class PipelineProject:
    """The project and all that its jobs can reach."""

    aws: StandIn
    vault: VaultServer
    login: Login
    repository: Repository
    settings: dict[str, str]

    def run(self, *options: str) -> Run:
        return self.repository.run(*options, settings=self.settings, **self.login.environment)

    def record(self, image: str) -> Record:
        keyring = Keyring(Path("nowhere"), {**self.vault.env, "BAKERY_SIGNING_KEY": "vault:transit"})
        found = Catalog(open_store(self.settings["BAKERY_CATALOG"]), keyring).newest(image, "x86_64")
        assert found
        return found

    def state(self) -> dict[str, Any]:
        """Terraform's, of the stack `images`."""
        location = {"Bucket": published_images.STATE_BUCKET, "Key": "demo/images.tfstate"}
        found: dict[str, Any] = json.load(
            self.aws.client("s3", published_images.REGIONS[0]).get_object(**location)["Body"]
        )
        return found

    def keys(self, action: str) -> set[str]:
        """Access keys that an operation was called with."""
        return {call["key"] for call in self.aws.control("GET", "calls") if call["action"] == action}

    def left(self, kind: str, pattern: str) -> list[Path]:
        """Files that jobs had at hand (`builds`) or handed on (`artifacts`)."""
        return sorted((self.repository.root / ".gitlab-ci-local" / kind).glob(pattern))


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory, base_disk: BaseDisk) -> Iterator[PipelineProject]:
    """Nothing is baked yet. The buckets of catalog and state are there, the rest of the cloud is empty."""
    folder = tmp_path_factory.mktemp("line")
    with (
        pytest.MonkeyPatch.context() as patch,
        vault_with_secrets(folder / "vault") as vault,
        served(base_disk.path) as url,
        running() as aws,
    ):
        published_images.make_state_bucket(aws)
        aws.client("s3", published_images.REGIONS[0]).create_bucket(Bucket=BUCKET)
        login = log_in(vault, f"s3://{BUCKET}/catalog")
        repository = check_out(folder / "project")
        repository.write("packer/images/ground.yaml", GROUND.format(url=url, sha256=files.sha256(base_disk.path)))
        settings = {**published_images.environment(aws), "AWS_ACCESS_KEY_ID": "machine", **login.settings}
        for name in published_images.environment(aws):
            patch.setenv(name, settings[name])  # boto3 looks for the endpoint there
        yield PipelineProject(aws, vault, login, repository, settings)


@contextmanager
def served(file: Path) -> Iterator[str]:
    """The URL of a file."""

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(file.parent))

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

    with at_work(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        yield f"http://127.0.0.1:{server.server_port}/{file.name}"


def test_a_green_run_bakes_tests_publishes_and_applies(line: PipelineProject) -> None:
    run = line.run()
    steps = [f"{step} {image}" for image in ("ground", "tiny") for step in STEPS]
    assert run.jobs == dict.fromkeys([*CHECKS, "bake", *BEFORE, *steps, "apply images"], "PASS"), run.out
    # Nothing is built at a cloud. What a bake and a publish need is checked before they run.
    assert set(line.login.roles()) == {f"bakery-{duty}" for duty in DUTIES if duty != "bake-public"}
    assert CANARY not in run.out
    assert line.login.environment["VAULT_ID_TOKEN"] not in run.out


def test_the_child_was_built_on_the_parent_that_the_pipeline_made(line: PipelineProject) -> None:
    ground, tiny = line.record("ground"), line.record("tiny")
    for found in (ground, tiny):
        assert (found.state, found.version, found.mode) == ("complete", "1.0.0", "chroot")
    assert tiny.base
    assert (tiny.base.name, tiny.base.version, tiny.base.sha256) == ("ground", "1.0.0", ground.sha256)
    assert tiny.checks > ground.checks, "the tests of nginx, which is in the parent only"


def test_each_disk_is_handed_on_once(line: PipelineProject) -> None:
    """The parent's to the job that bakes the child, which does not hand it on with its own."""
    (brought,) = line.left("builds", "bake-private*tiny/.bakery/artifacts/ground-1.0.0-x86_64/disk.qcow2")
    assert files.sha256(brought) == line.record("ground").sha256
    disks = line.left("artifacts", "**/*.qcow2")
    assert [disk.parent.name for disk in disks] == ["ground-1.0.0-x86_64", "tiny-1.0.0-x86_64"]


def test_terraform_hands_out_what_was_published(line: PipelineProject) -> None:
    published = line.record("tiny").publication("aws")
    assert published
    tiny = line.state()["outputs"]["images"]["value"]["tiny"]["x86_64"]
    assert (tiny["version"], tiny["channel"]) == ("1.0.0", "stable")
    regions = {region: location["image_id"] for region, location in tiny["regions"].items()}
    assert regions == {location.region: location.id for location in published.locations}
    assert list(regions) == ["us-east-1"]
    (outputs,) = line.left("artifacts", "apply*/images.json")
    assert json.loads(outputs.read_text())["images"]["images"]["tiny"]["x86_64"] == tiny


def test_each_duty_works_with_its_own_credentials(line: PipelineProject) -> None:
    assert line.login.readers("aws/sts/apply") == {"bakery-apply"}
    assert line.keys("RegisterImage") == line.keys("PutParameter") == {"vault-publish"}
    assert line.keys("GetParameter") == {"vault-apply"}, "Terraform's data sources"
    assert "machine" in line.keys("ListObjectsV2"), "the catalog"


SCHEDULED = ("refresh", "retire", "sweep", "audit")


def test_with_nothing_due_nothing_is_applied(line: PipelineProject) -> None:
    before = line.state()["serial"]
    run = line.run()
    assert run.jobs == dict.fromkeys([*CHECKS, "bake", "nothing due"], "PASS"), run.out
    assert line.state()["serial"] == before


def test_a_schedule_refreshes_retires_sweeps_audits_and_a_rebuild_makes_the_next_version(line: PipelineProject) -> None:
    rebuild = ("--input", "rebuild=true", "--input", "images=tiny", "--variable", "CI_PIPELINE_SOURCE=schedule")
    # The parent's disk is on a volume of the runners, as docs/how-to/run-in-gitlab.md says.
    (ground,) = line.left("builds", "bake-privateIAground/.bakery/artifacts/ground-1.0.0-x86_64")
    volume = line.repository.root.parent / "volume"
    shutil.copytree(ground, volume / "artifacts" / ground.name)
    settings = {**line.settings, "BAKERY_WORKSPACE": str(volume)}
    run = line.repository.run(*rebuild, settings=settings, **line.login.environment)
    steps = [f"{step} tiny" for step in STEPS]
    assert run.jobs == dict.fromkeys([*CHECKS, *SCHEDULED, "bake", *BEFORE, *steps, "apply images"], "PASS"), run.out
    assert line.record("tiny").version == "1.0.1"
    assert line.record("ground").version == "1.0.0", "nobody asked for it"
    assert line.state()["outputs"]["images"]["value"]["tiny"]["x86_64"]["version"] == "1.0.1"


def test_what_failed_to_publish_is_not_applied(line: PipelineProject) -> None:
    """One region more, to which AWS does not copy."""
    line.repository.write("packer/images/tiny.yaml", TINY.replace("[us-east-1]", "[us-east-1, us-west-2]"))
    line.aws.fault("ec2", "CopyImage", error="UnauthorizedOperation", status=403, times=100)
    run = line.run()
    line.aws.control("DELETE", "faults")
    assert run.jobs == {**dict.fromkeys([*CHECKS, "bake", *BEFORE], "PASS"), "publish tiny": "FAIL"}, run.out
    assert "not yet in us-west-2" in run.out


def test_a_vault_that_withholds_what_apply_needs_stops_it_first(line: PipelineProject) -> None:
    line.vault.policy("bakery-apply", "aws/sts/other")
    run = line.run()
    passed = dict.fromkeys([*CHECKS, "bake", "vault-check publish"], "PASS")
    assert run.jobs == {**passed, "vault-check apply": "FAIL"}, run.out
    assert "BAKERY_APPLY_CREDENTIALS apply aws/sts/apply" in " ".join(run.out.split())


def test_apply_by_itself_is_refused_as_well(line: PipelineProject) -> None:
    """As if the policy changed while images were baked."""
    before = line.aws.actions()
    child = YAML(typ="safe").load(line.left("artifacts", "plan/bakery-pipeline.yml")[0])
    alone = {name: child[name] for name in ("stages", "workflow", "default", "apply images")}
    line.repository.write(".gitlab-ci.yml", render(alone))
    run = line.run()
    assert run.jobs == {"apply images": "FAIL"}, run.out
    assert "Vault denies access to aws/sts/apply" in run.out
    assert line.aws.actions() == before, "neither Terraform nor the CDKTF program was started"
