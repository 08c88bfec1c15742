"""The images stack: one output, and data sources that hold AWS against the catalog."""

import json
from pathlib import Path
from typing import Any

from bakery.catalog import Catalog
from bakery_stacks.config import Environment, Settings
from bakery_stacks.program import build

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


def test_a_catalog_that_is_gone_fails_the_plan(environment: Environment, tmp_path: Path) -> None:
    build(Settings(environment, "s3://another-catalog/images", stand_in=False), None, tmp_path / "out").synth()
    stack = json.loads((tmp_path / "out" / "stacks" / "images" / "cdk.tf.json").read_text())
    assert stack["data"]["aws_s3_bucket"]["made-by-the-distribution-stack"]["bucket"] == "another-catalog"
