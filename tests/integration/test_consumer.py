"""The downstream example with the real Terraform: it pins or follows, and is quiet when nothing changed."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bakery import process
from bakery.catalog import Catalog, Record, open_store
from bakery.infra.terraform import Terraform
from bakery_stacks import config, published
from bakery_stacks.program import build
from doubles.aws.client import Double, running
from integration.shelf import REGIONS, ROOT, STATE_BUCKET, Shelf, environment, images_of, make_state_bucket, project

pytestmark = pytest.mark.integration

EXAMPLE = ROOT / "examples" / "consumer"
PLACE = {False: REGIONS[0], True: REGIONS[1]}  # by whether it follows
STATE = {"bucket": STATE_BUCKET, "key": "demo/images.tfstate", "region": REGIONS[0], "use_path_style": True}


class World:
    """The images stack's outputs as plain Terraform finds them, and the channel."""

    def __init__(self, aws: Double, folder: Path) -> None:
        self.project = project(folder / "workspace")
        self.environment = environment(aws)
        self.catalog = Catalog(open_store(str(folder / "catalog")))
        self.shelf = Shelf(aws, self.catalog)
        self._folder = folder

    def hand_out(self) -> None:
        """Write the outputs of the images stack into its state: all that a consumer sees of it."""
        settings = config.load(ROOT / "cdktf" / "environments", self.environment)
        outdir = self._folder / "cdktf.out"
        build(settings, published.read(self.catalog, settings.environment), outdir).synth()
        stack = json.loads((outdir / "stacks" / "images" / "cdk.tf.json").read_bytes())
        seen = {"terraform": {"backend": stack["terraform"]["backend"]}, "output": stack["output"]}
        folder = self._folder / "images"
        folder.mkdir(exist_ok=True)
        (folder / "main.tf.json").write_text(json.dumps(seen))
        apply(Terraform(self.project, folder, self.environment), self._folder / "images.tfplan")

    def consumer(self, follow: bool) -> Terraform:
        """A copy of the example. Each has a region of its own, since the template's name is there once."""
        folder = self._folder / f"follow-{follow}"
        shutil.copytree(EXAMPLE, folder, dirs_exist_ok=True)
        variables = {"follow": follow, "region": PLACE[follow], "state": STATE}
        return Terraform(self.project, folder, self.environment, variables=variables)


def apply(terraform: Terraform, plan: Path) -> None:
    terraform.init()
    assert terraform.plan(plan)
    terraform.apply(plan)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running() as aws:
        world = World(aws, tmp_path_factory.mktemp("consumer"))
        make_state_bucket(aws)
        yield world


@pytest.fixture(scope="module")
def first(world: World) -> Record:
    """Version 1.0.0, promoted and handed out."""
    record = world.shelf.publish("1.0.0")
    world.shelf.promote(record)
    world.hand_out()
    return record


@pytest.mark.parametrize("follow", [False, True], ids=["pin", "follow"])
def test_a_second_plan_shows_no_changes(world: World, first: Record, tmp_path: Path, follow: bool) -> None:
    terraform, plan = world.consumer(follow), tmp_path / "plan"
    apply(terraform, plan)
    assert not terraform.plan(plan)
    outputs = terraform.output()
    assert outputs["image_id"].value == images_of(first)[PLACE[follow]]
    assert outputs["version"].value == "1.0.0"
    assert outputs["launch_template"].value.endswith(":1")
    assert not any(output.sensitive for output in outputs.values())


def test_a_promotion_reaches_followers_at_once(world: World, tmp_path: Path) -> None:
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


def test_who_pins_follows_the_images_stack(world: World, tmp_path: Path) -> None:
    world.hand_out()
    pinned, plan = world.consumer(follow=False), tmp_path / "plan"
    assert pinned.plan(plan)
    pinned.apply(plan)
    assert pinned.output()["version"].value == "1.0.1"


def test_the_example_is_formatted() -> None:
    process.run(["terraform", "fmt", "-check", "-diff", "-recursive", EXAMPLE], env={"CHECKPOINT_DISABLE": "1"})
