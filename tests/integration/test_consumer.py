"""The downstream example with the real Terraform: it pins or follows, and is quiet when nothing changed."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bakery.catalog import Record
from bakery.demo.story import CONSUMER
from bakery.engine.session import open_catalog
from bakery.host import process
from bakery.host.errors import BakeryError
from bakery.infra import env
from bakery.infra.terraform import Terraform
from bakery.model.documents import ImageLocation
from bakery_stacks import channel_images, config
from bakery_stacks.program import build_app
from doubles.aws.client import StandIn, available, register, running
from integration.published_images import (
    ACCOUNT,
    REGIONS,
    ROOT,
    STATE_BUCKET,
    PublishedImages,
    environment,
    images_of,
    make_state_bucket,
    project,
    provider_settings,
)

pytestmark = pytest.mark.integration

PLACE = {False: REGIONS[0], True: REGIONS[1]}  # by whether it follows
STATE = {"bucket": STATE_BUCKET, "key": "demo/images.tfstate", "region": REGIONS[0], "use_path_style": True}


class ConsumerProject:
    """The images stack's outputs as plain Terraform finds them, and the channel."""

    def __init__(self, aws: StandIn, folder: Path) -> None:
        self.project = project(folder / "workspace")
        self.environment = environment(aws)
        self.catalog = open_catalog(self.project, str(folder / "catalog"))
        self.shelf = PublishedImages(aws, self.catalog)
        self.aws = aws
        self._folder = folder

    def hand_out(self) -> None:
        """Write the outputs of the images stack into its state: all that a consumer sees of it."""
        settings = config.load_settings(ROOT / "cdktf" / "environments", self.environment)
        outdir = self._folder / "cdktf.out"
        build_app(settings, channel_images.read_channel_images(self.catalog, settings.environment), outdir).synth()
        stack = json.loads((outdir / "stacks" / "images" / "cdk.tf.json").read_bytes())
        images = {"images": stack["output"]["images"]}
        seen = {"terraform": {"backend": stack["terraform"]["backend"]}, "output": images}
        folder = self._folder / "images"
        folder.mkdir(exist_ok=True)
        (folder / "main.tf.json").write_text(json.dumps(seen))
        apply(Terraform(self.project, folder, self.environment), self._folder / "images.tfplan")

    def consumer(self, follow: bool) -> Terraform:
        """A copy of the example. Each has a region of its own, so that its instances can be told apart."""
        copy = self._folder / f"follow-{follow}"
        for part in CONSUMER:
            shutil.copytree(ROOT / part, copy / part, dirs_exist_ok=True)
        variables = {"follow": follow, "region": PLACE[follow], "state": STATE}
        return Terraform(self.project, copy / CONSUMER[0], self.environment, variables=variables)

    def running(self, region: str) -> list[str]:
        """The images of the instances that run in a region."""
        running = [{"Name": "instance-state-name", "Values": ["running"]}]
        pages = self.aws.client("ec2", region).describe_instances(Filters=running)["Reservations"]
        return [instance["ImageId"] for page in pages for instance in page["Instances"]]


def apply(terraform: Terraform, plan: Path) -> None:
    terraform.init()
    assert terraform.plan(plan)
    terraform.apply(plan)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsumerProject]:
    with running() as aws:
        world = ConsumerProject(aws, tmp_path_factory.mktemp("consumer"))
        make_state_bucket(aws)
        yield world


@pytest.fixture(scope="module")
def first(world: ConsumerProject) -> Record:
    """Version 1.0.0, promoted and handed out."""
    record = world.shelf.publish("1.0.0")
    world.shelf.promote(record)
    world.hand_out()
    return record


@pytest.mark.parametrize("follow", [False, True], ids=["pin", "follow"])
def test_a_second_plan_shows_no_changes(world: ConsumerProject, first: Record, tmp_path: Path, follow: bool) -> None:
    terraform, plan = world.consumer(follow), tmp_path / "plan"
    apply(terraform, plan)
    assert not terraform.plan(plan)
    outputs = terraform.output()
    assert outputs["image_id"].value == images_of(first)[PLACE[follow]]
    assert outputs["version"].value == "1.0.0"
    assert outputs["launch_template"].value.endswith(":1")
    assert world.running(PLACE[follow]) == [images_of(first)[PLACE[follow]]]
    assert not any(output.sensitive for output in outputs.values())


def test_a_promotion_reaches_followers_at_once(world: ConsumerProject, tmp_path: Path) -> None:
    second, plan = world.shelf.publish("1.0.1"), tmp_path / "plan"
    world.shelf.promote(second)
    assert not world.consumer(follow=False).plan(plan)
    follower = world.consumer(follow=True)
    assert follower.plan(plan)
    follower.apply(plan)
    assert not follower.plan(plan)
    outputs = follower.output()
    assert (outputs["image_id"].value, outputs["version"].value) == (images_of(second)[PLACE[True]], "1.0.1")
    assert outputs["launch_template"].value.endswith(":2")  # changed in place, not made anew
    assert world.running(PLACE[True]) == [images_of(second)[PLACE[True]]]
    assert world.running(PLACE[False]) != [images_of(second)[PLACE[False]]]


def test_who_pins_follows_the_images_stack(world: ConsumerProject, tmp_path: Path) -> None:
    world.hand_out()
    pinned, plan = world.consumer(follow=False), tmp_path / "plan"
    assert pinned.plan(plan)
    pinned.apply(plan)
    outputs = pinned.output()
    assert outputs["version"].value == "1.0.1"
    assert outputs["parameter"].value == "/bakery/web/x86_64/1.0.1:1"
    assert world.running(PLACE[False]) == [outputs["image_id"].value]


class ForeignAccount(StandIn):
    """The account of somebody else, in the same stand-in."""

    def client(self, service: str, region: str = REGIONS[0], account: str = "999988887777") -> Any:
        return super().client(service, region, account)


def test_an_image_of_somebody_else_fails_the_plan(world: ConsumerProject, tmp_path: Path) -> None:
    """Public, with the right name, and in the channel's parameter: who may write that is no owner of images."""
    region = PLACE[True]
    foreign = ForeignAccount(world.aws.url)
    image_id = register(foreign, "web-1.0.9-x86_64", region)
    available(foreign, image_id, region)
    foreign.client("ec2", region).modify_image_attribute(ImageId=image_id, LaunchPermission={"Add": [{"Group": "all"}]})
    world.shelf.point(ImageLocation(ACCOUNT, region, image_id), "/bakery/web/x86_64/channels/stable")
    with pytest.raises(BakeryError) as caught:
        world.consumer(follow=True).plan(tmp_path / "plan")
    assert "Your query returned no results" in caught.value.detail


def test_the_module_passes_its_own_tests(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "modules" / "image", tmp_path / "image")
    place = project(tmp_path / "workspace")
    Terraform(place, tmp_path / "image", provider_settings()).init()
    told = process.run(
        ["terraform", "test", "-json"], env=env.for_child(place, provider_settings()), cwd=tmp_path / "image"
    ).stdout
    [summary] = [line["test_summary"] for line in map(json.loads, told.splitlines()) if line["type"] == "test_summary"]
    assert summary["status"] == "pass"
    assert summary["passed"] >= 11
    assert summary["failed"] == summary["errored"] == summary["skipped"] == 0


@pytest.mark.parametrize("part", CONSUMER)
def test_example_and_module_are_formatted(part: str) -> None:
    process.run(["terraform", "fmt", "-check", "-diff", "-recursive", ROOT / part], env={"CHECKPOINT_DISABLE": "1"})
