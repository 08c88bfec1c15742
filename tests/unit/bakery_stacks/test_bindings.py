"""The door to the provider bindings: names find their modules, and only those are loaded."""

import sys

import pytest

from bakery_stacks.bindings import aws, azurerm, core, vault, vsphere


def test_a_class_comes_from_the_module_that_its_name_begins_with() -> None:
    assert aws.S3BucketVersioningVersioningConfiguration.__module__ == "cdktf_cdktf_provider_aws.s3_bucket_versioning"
    # Both modules exist, and the argument of the group is no resource of its own.
    assert aws.AutoscalingGroupTag.__module__ == "cdktf_cdktf_provider_aws.autoscaling_group"
    assert vault.JwtAuthBackendRole.__module__ == "cdktf_cdktf_provider_vault.jwt_auth_backend_role"


@pytest.mark.parametrize(
    "found", [aws.AwsProvider, azurerm.AzurermProvider, vault.VaultProvider, vsphere.VsphereProvider]
)
def test_every_provider_is_found(found: type) -> None:
    assert issubclass(found, core.TerraformProvider)


def test_a_name_that_is_not_there_is_named() -> None:
    with pytest.raises(AttributeError, match="cdktf_cdktf_provider_aws has no S3Bukket"):
        aws.S3Bukket  # noqa: B018  # looking is the test


def test_nothing_else_is_loaded() -> None:
    assert aws.KmsKey
    assert "cdktf_cdktf_provider_aws.kms_key" in sys.modules
    assert "cdktf_cdktf_provider_aws.kms_custom_key_store" not in sys.modules
