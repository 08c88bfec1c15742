"""An image as an input: its ID stands in the plan, and a channel without it fails every plan with what to do."""

import json
from pathlib import Path
from typing import Any

from bakery_stacks.base import AwsStack
from bakery_stacks.bindings import core
from bakery_stacks.blocks.image import ChannelImage
from bakery_stacks.config import Environment, Settings
from bakery_stacks.published import PublishedImage, RegionalImage, read


def made(environment: Environment, outdir: Path, images: list[PublishedImage] | None) -> tuple[ChannelImage, Any]:
    app = core.App(stack_traces=False, outdir=str(outdir))
    stack = AwsStack(app, "tested", Settings(environment, environment.catalog, stand_in=False))
    image = ChannelImage(stack, "image", image="web", arch="x86_64", images=images)
    app.synth()
    text = (outdir / "stacks" / "tested" / "cdk.tf.json").read_bytes()
    [parameter] = json.loads(text)["data"]["aws_ssm_parameter"].values()
    return image, parameter


def test_the_id_of_the_home_region_is_checked_against_the_channel(
    environment: Environment, tmp_path: Path, catalog: Any, publish: Any
) -> None:
    publish("web", "1.4.0")
    image, parameter = made(environment, tmp_path / "out", read(catalog, environment))
    assert (image.image_id, image.version) == ("ami-web-eu-west-1-0", "1.4.0")
    assert parameter["name"] == "/bakery/web/x86_64/channels/stable"
    [condition] = parameter["lifecycle"]["postcondition"]
    assert condition["condition"] == '${self.insecure_value == "ami-web-eu-west-1-0"}'


def test_a_channel_without_the_image_fails_the_plan_alone(environment: Environment, tmp_path: Path) -> None:
    elsewhere: dict[str, RegionalImage] = {}
    for images in (None, [], [PublishedImage("web", "x86_64", "1.0.0", elsewhere)]):
        image, parameter = made(environment, tmp_path / str(images), images)
        assert image.version == "none"
        [condition] = parameter["lifecycle"]["precondition"]
        assert condition["error_message"] == (
            "channel stable has no web (x86_64) in eu-west-1: run 'bakery run web' first."
        )
