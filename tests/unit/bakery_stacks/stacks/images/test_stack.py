"""The images stack: one output, and data sources that hold AWS against the catalog."""

import json
from pathlib import Path
from typing import Any

import pytest

from bakery.catalog import Catalog
from bakery_stacks.config import Environment, Settings
from bakery_stacks.program import build_app

Stacks = dict[str, dict[str, Any]]


def test_the_output_has_image_architecture_and_region(stacks: Stacks) -> None:
    images = stacks["images"]["output"]["images"]["value"]
    assert sorted(images) == ["api", "web"]
    assert images["web"]["x86_64"]["version"] == "1.4.1"
    assert images["web"]["x86_64"]["channel"] == "stable"
    assert images["web"]["x86_64"]["regions"] == {
        region: {
            "image_id": f"ami-web-{region}-1",
            "parameter": "/bakery/web/x86_64/1.4.1",
            "parameter_version": 1,
            "channel_parameter": "/bakery/web/x86_64/channels/stable",
            "channel_parameter_version": 7,
        }
        for region in ("eu-west-1", "us-east-1")
    }
    assert list(images["api"]["x86_64"]["regions"]) == ["us-east-1"]


def test_the_output_is_no_secret(stacks: Stacks) -> None:
    assert "sensitive" not in stacks["images"]["output"]["images"]


def test_it_owns_nothing(stacks: Stacks) -> None:
    assert "resource" not in stacks["images"]


def test_each_parameter_is_read_in_its_region(stacks: Stacks) -> None:
    read = stacks["images"]["data"]["aws_ssm_parameter"]
    seen = {(found["provider"], found["name"]) for found in read.values()}
    assert seen == {
        ("aws", "/bakery/web/x86_64/1.4.1:1"),
        ("aws", "/bakery/web/x86_64/channels/stable"),
        ("aws.us-east-1", "/bakery/web/x86_64/1.4.1:1"),
        ("aws.us-east-1", "/bakery/web/x86_64/channels/stable"),
        ("aws.us-east-1", "/bakery/api/x86_64/2.0.0:1"),
        ("aws.us-east-1", "/bakery/api/x86_64/channels/stable"),
    }


def test_a_parameter_with_another_value_fails_the_plan(stacks: Stacks) -> None:
    read = stacks["images"]["data"]["aws_ssm_parameter"]
    [condition] = read["web-x86_64-us-east-1-channel"]["lifecycle"]["postcondition"]
    assert condition["condition"] == '${self.insecure_value == "ami-web-us-east-1-1"}'
    assert "run 'bakery promote web 1.4.1 stable'" in condition["error_message"]


def test_an_empty_catalog_gives_an_empty_map(synth: Any, catalog: Catalog, environment: Environment) -> None:
    stack = synth(Settings(environment, environment.catalog, stand_in=False), catalog)["images"]
    assert stack["output"]["images"]["value"] == {}
    assert "data" not in stack


@pytest.fixture
def templates(synth: Any, catalog: Catalog, publish: Any, environment: Environment) -> dict[str, Any]:
    """The stack of an environment that wants launch templates."""
    publish("web", "1.4.0")
    wanted = environment.model_copy(update={"launch_templates": True})
    found: dict[str, Any] = synth(Settings(wanted, wanted.catalog, stand_in=False), catalog)["images"]
    return found


def test_a_launch_template_follows_the_channel_in_each_region(templates: dict[str, Any]) -> None:
    made = {found["provider"]: found for found in templates["resource"]["aws_launch_template"].values()}
    assert set(made) == {"aws", "aws.us-east-1"}
    read = {found["provider"]: (name, found) for name, found in templates["data"]["aws_ami"].items()}
    address, image = read["aws.us-east-1"]
    assert image["filter"][0]["values"] == ["${data.aws_ssm_parameter.web-x86_64-us-east-1-channel.insecure_value}"]
    template = made["aws.us-east-1"]
    assert (template["name"], template["description"]) == ("bakery-prod-web-x86_64", "web 1.4.0")
    assert template["image_id"] == f"${{data.aws_ami.{address}.id}}"
    assert template["update_default_version"] is True


def test_machines_of_a_template_are_encrypted_tagged_and_guarded(templates: dict[str, Any]) -> None:
    for template in templates["resource"]["aws_launch_template"].values():
        [disk] = template["block_device_mappings"]
        assert disk["device_name"].endswith(".root_device_name}")
        assert disk["ebs"]["encrypted"] == "true"
        assert template["metadata_options"]["http_tokens"] == "required"
        tagged = {found["resource_type"]: found["tags"] for found in template["tag_specifications"]}
        assert tagged["instance"] == tagged["volume"]
        assert tagged["volume"] == {
            "owner": "platform",
            "bakery:image": "web",
            "bakery:version": "1.4.0",
            "bakery:environment": "prod",
        }


def test_templates_are_an_output_of_their_own(templates: dict[str, Any], stacks: Stacks) -> None:
    found = templates["output"]["launch_templates"]["value"]["web"]["x86_64"]
    assert sorted(found) == ["eu-west-1", "us-east-1"]
    assert found["eu-west-1"]["version"].endswith(".latest_version}")
    assert templates["output"]["images"]["value"]["web"] != {}
    assert "launch_templates" not in stacks["images"]["output"]


def test_a_catalog_that_is_gone_fails_the_plan(environment: Environment, tmp_path: Path) -> None:
    build_app(Settings(environment, "s3://another-catalog/images", stand_in=False), None, tmp_path / "out").synth()
    stack = json.loads((tmp_path / "out" / "stacks" / "images" / "cdk.tf.json").read_text())
    assert stack["data"]["aws_s3_bucket"]["made-by-the-distribution-stack"]["bucket"] == "another-catalog"
