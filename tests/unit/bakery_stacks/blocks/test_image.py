"""An image as an input: its ID stands in the plan, and a channel without it fails every plan with what to do."""

import json
from pathlib import Path
from typing import Any

from bakery_stacks.base import AwsStack
from bakery_stacks.blocks.image import ChannelImage
from bakery_stacks.channel_images import ChannelImages, MissingImage, PublishedImage, read_channel_images, unbaked_image
from bakery_stacks.config import Environment, Settings
from bakery_stacks.program import new_app


def made(environment: Environment, outdir: Path, channel_images: ChannelImages | None) -> tuple[ChannelImage, Any]:
    app = new_app(outdir)
    file = outdir.with_suffix(".yaml")
    file.write_text("name: tested\nvault:\n  image: web\n")
    stack = AwsStack(app, "tested", Settings(environment, environment.catalog, stand_in=False, file=file))
    image = ChannelImage(stack, "image", "web", channel_images, at=("vault", "image"))
    app.synth()
    text = (outdir / "stacks" / "tested" / "cdk.tf.json").read_bytes()
    [parameter] = json.loads(text)["data"]["aws_ssm_parameter"].values()
    return image, parameter


def test_the_id_of_the_home_region_is_checked_against_the_channel(
    environment: Environment, tmp_path: Path, catalog: Any, publish: Any
) -> None:
    publish("web", "1.4.0")
    image, parameter = made(environment, tmp_path / "out", read_channel_images(catalog, environment))
    assert (image.image_id, image.version) == ("ami-web-eu-west-1-0", "1.4.0")
    assert parameter["name"] == "/bakery/web/x86_64/channels/stable"
    [condition] = parameter["lifecycle"]["postcondition"]
    assert condition["condition"] == '${self.insecure_value == "ami-web-eu-west-1-0"}'

    first, error, hint = condition["error_message"].splitlines()
    assert not first.startswith(" "), "Terraform takes spaces at the beginning away, and wraps the line"
    assert error.startswith(" error: /bakery/web/x86_64/channels/stable in eu-west-1 does not hold ami-web-eu-west-1-0")
    assert hint == " hint: run 'bakery promote web 1.4.0 stable'"


def test_a_channel_without_the_image_fails_the_plan_alone(environment: Environment, tmp_path: Path) -> None:
    elsewhere = PublishedImage("web", "x86_64", "1.0.0", {})
    unmoved = MissingImage("1.0.0 is published, but not there", "run 'bakery promote web 1.0.0 stable'")
    never = unbaked_image(environment, "web")
    cases: list[tuple[ChannelImages | None, MissingImage]] = [
        (None, never),
        (ChannelImages((), {}), never),
        (ChannelImages((elsewhere,), {"web": unmoved}), unmoved),
    ]
    for number, (channel_images, why) in enumerate(cases):
        image, parameter = made(environment, tmp_path / str(number), channel_images)
        assert image.version == "none"
        [condition] = parameter["lifecycle"]["precondition"]
        assert condition["error_message"] == (
            "The catalog was asked:\n"
            f" error: channel stable has no image web (x86_64) in eu-west-1: {why.reason}\n"
            f" where: {tmp_path}/{number}.yaml:3\n"
            f" hint: {why.hint}"
        )
