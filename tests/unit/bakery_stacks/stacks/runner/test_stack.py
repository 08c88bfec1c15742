"""The runner stack: workers from none, nothing that ends a job, no right that nobody uses, no secret."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from bakery.catalog import Catalog
from bakery.clouds.aws import images as publishing
from bakery.model.documents import Pointer
from bakery_stacks import config
from bakery_stacks.blocks import machine
from bakery_stacks.blocks.sessions import AGENT
from bakery_stacks.channel_images import ChannelImages, PublishedImage, RegionalImage
from bakery_stacks.config import Environment, Settings
from bakery_stacks.stacks.network.settings import Network
from bakery_stacks.stacks.runner import builder
from unit.bakery_stacks.stacks.runner.examples import LOGIN, SPOT, section, synthesize

Stack = dict[str, Any]
ROOT = Path(__file__).parents[5]


NETWORK = Network(
    cidr="10.0.0.0/16",
    subnets={"eu-west-1a": "10.0.0.0/20", "eu-west-1b": "10.0.16.0/20", "eu-west-1c": "10.0.32.0/20"},
)


def image(name: str) -> PublishedImage:
    """In the home region."""
    pointer = Pointer("123456789012", "eu-west-1", f"/bakery/{name}/x86_64/channels/stable", 1, f"ami-{name}")
    return PublishedImage(name, "x86_64", "1.0.0", {"eu-west-1": RegionalImage(f"ami-{name}", pointer, pointer)})


IMAGES = ChannelImages((image("gitlab-runner"), image("docker-host")), {})


@pytest.fixture(scope="module")
def stack(environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """On demand, Instance Connect, bakes by OIDC."""
    return synthesize(tmp_path_factory.mktemp("runner"), environment, section(), IMAGES)


@pytest.fixture(scope="module")
def other(environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """Everything the other way, on a stand-in."""
    runner = section(
        gitlab_url="https://gitlab.example.com:8443",
        workers={"instance_type": None, "spot": SPOT, "login": LOGIN, "image": "docker-host"},
        bakes={"by": "vault"},
        on_premise={"concurrent": 2},
    )
    demo = environment.model_copy(update={"disposable": True})
    return synthesize(tmp_path_factory.mktemp("other"), demo, runner, IMAGES, stand_in=True)


@pytest.fixture(scope="module")
def builds(environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """Bakes by OIDC, also of definitions that Packer builds in AWS."""
    oidc = {"subjects": [{"project": "platform/images", "ref": "main"}], "builds_in_aws": True}
    runner = section(bakes={"by": "oidc", "oidc": oidc})
    return synthesize(tmp_path_factory.mktemp("builds"), environment, runner, IMAGES)


def of(stack: Stack, kind: str, part: str = "") -> dict[str, Any]:
    """The one resource of a kind whose address begins so."""
    [found] = [value for name, value in stack["resource"].get(kind, {}).items() if name.startswith(part)]
    return dict(found)


def rights(stack: Stack, part: str) -> dict[str, dict[str, Any]]:
    policy = json.loads(of(stack, "aws_iam_role_policy", part)["policy"])
    return {statement["Sid"]: statement for statement in policy["Statement"]}


def plain(node: Any) -> Any:
    """Without cdktf's own remarks."""
    if isinstance(node, dict):
        return {key: plain(value) for key, value in node.items() if key != "//"}
    return [plain(item) for item in node] if isinstance(node, list) else node


def egress(stack: Stack, part: str) -> set[tuple[int, str]]:
    rules = stack["resource"]["aws_vpc_security_group_egress_rule"]
    found = [rule for name, rule in rules.items() if name.startswith(part)]
    assert all(rule["description"] for rule in found)
    return {(rule["from_port"], rule.get("cidr_ipv4", "workers")) for rule in found}


def test_the_stack_is_as_it_was(stack: Stack, snapshot: SnapshotAssertion) -> None:
    assert plain(stack) == snapshot(extension_class=JSONSnapshotExtension)


def test_it_is_one_of_an_environments_stacks(
    synth: Any, catalog: Catalog, publish: Any, environment: Environment
) -> None:
    """And reads what it needs of the others out of their states."""
    publish("gitlab-runner", "1.0.0")
    update = {"runner": section(), "network": NETWORK}
    with_runner = environment.model_copy(update=update)
    made = synth(Settings(with_runner, with_runner.catalog, stand_in=False), catalog)["runner"]
    keys = {state["config"]["key"] for state in made["data"]["terraform_remote_state"].values()}
    assert keys == {"bakery/prod/network.tfstate", "bakery/prod/distribution.tfstate"}
    group = of(made, "aws_autoscaling_group", "worker-group")
    assert "terraform_remote_state" in json.dumps(group["vpc_zone_identifier"])
    assert of(made, "aws_launch_template", "manager")["image_id"] == "ami-gitlab-runner-eu-west-1-0"


def test_workers_come_from_none_and_only_the_manager_ends_them(stack: Stack, other: Stack) -> None:
    for made in (stack, other):
        group = of(made, "aws_autoscaling_group", "worker-group")
        assert (group["min_size"], group["max_size"]) == (0, 4)
        assert group["lifecycle"] == {"ignore_changes": ["desired_capacity"]}
        assert group["protect_from_scale_in"] is True
        assert group["suspended_processes"] == ["AZRebalance"]
        assert "instance_refresh" not in group


def test_a_new_manager_comes_after_the_old_one_is_gone(stack: Stack) -> None:
    group = of(stack, "aws_autoscaling_group", "manager-group")
    assert (group["min_size"], group["max_size"]) == (1, 1)
    preferences = group["instance_refresh"]["preferences"]
    assert (preferences["min_healthy_percentage"], preferences["max_healthy_percentage"]) == (0, 100)
    assert group["launch_template"]["version"].endswith(".latest_version}")


def test_spot_takes_what_is_cheap_and_there(stack: Stack, other: Stack) -> None:
    assert "mixed_instances_policy" not in of(stack, "aws_autoscaling_group", "worker-group")
    group = of(other, "aws_autoscaling_group", "worker-group")
    assert "launch_template" not in group
    policy = group["mixed_instances_policy"]
    assert [one["instance_type"] for one in policy["launch_template"]["override"]] == ["m6i.large", "m6a.large"]
    assert policy["instances_distribution"] == {
        "on_demand_base_capacity": 1,
        "on_demand_percentage_above_base_capacity": 0,
        "spot_allocation_strategy": "price-capacity-optimized",
    }


@pytest.mark.parametrize("part", ["manager", "workers"])
def test_machines_keep_their_credentials_from_jobs(stack: Stack, part: str) -> None:
    template = of(stack, "aws_launch_template", part)
    assert template["metadata_options"]["http_tokens"] == "required"
    assert template["metadata_options"]["http_put_response_hop_limit"] == 1
    [disk] = template["block_device_mappings"]
    assert disk["ebs"]["encrypted"] == "true"
    tags = {found["resource_type"]: found["tags"] for found in template["tag_specifications"]}
    assert set(tags) == {"instance", "volume"}
    assert tags["instance"]["owner"] == "platform"
    assert tags["instance"]["bakery:stack"] == "runner"


def test_the_disk_is_the_one_that_publishing_registers() -> None:
    assert machine.ROOT_DEVICE == publishing.ROOT_DEVICE


def test_images_are_those_of_the_channel(stack: Stack, other: Stack) -> None:
    assert of(stack, "aws_launch_template", "workers")["image_id"] == "ami-gitlab-runner"
    assert of(other, "aws_launch_template", "manager")["image_id"] == "ami-gitlab-runner"
    assert of(other, "aws_launch_template", "workers")["image_id"] == "ami-docker-host"


def test_a_channel_without_the_image_fails_the_plan(environment: Environment, tmp_path: Path) -> None:
    made = synthesize(tmp_path, environment, section(), found=None)
    parameters = made["data"]["aws_ssm_parameter"].values()
    messages = {parameter["lifecycle"]["precondition"][0]["error_message"] for parameter in parameters}
    [message] = messages
    assert " error: channel stable has no image gitlab-runner (x86_64) in eu-west-1: the catalog has no" in message


def test_nobody_gets_in_but_the_manager_to_workers(stack: Stack) -> None:
    [rule] = stack["resource"]["aws_vpc_security_group_ingress_rule"].values()
    assert (rule["from_port"], rule["to_port"]) == (22, 22)
    assert "cidr_ipv4" not in rule
    assert rule["description"]
    manager = next(name for name in stack["resource"]["aws_security_group"] if name.startswith("manager"))
    assert rule["referenced_security_group_id"] == f"${{aws_security_group.{manager}.id}}"


def test_what_gets_out_is_what_is_needed(stack: Stack, other: Stack) -> None:
    assert egress(stack, "manager") == {(443, "0.0.0.0/0"), (22, "workers")}
    assert egress(stack, "workers") == {(443, "0.0.0.0/0"), (80, "0.0.0.0/0"), (8200, "0.0.0.0/0")}
    assert egress(other, "manager") == {(443, "0.0.0.0/0"), (8443, "0.0.0.0/0"), (22, "workers")}


def test_workers_have_no_right_but_to_be_looked_at(stack: Stack, other: Stack) -> None:
    for made in (stack, other):
        found = rights(made, "workers")
        assert set(found) == {"SessionManager", "SessionLogGroups", "SessionLog"}
        assert found["SessionManager"]["Action"] == AGENT
    assert "aws_iam_role_policy_attachment" not in stack["resource"], "AWS's own policy reads every parameter"


def test_the_manager_scales_one_group_only(stack: Stack) -> None:
    found = rights(stack, "manager")
    assert found["ScaleWorkers"]["Resource"] == [
        "arn:aws:autoscaling:eu-west-1:123456789012:autoScalingGroup:*:autoScalingGroupName/bakery-prod-runner-workers"
    ]
    everywhere = {name for name, statement in found.items() if statement["Resource"] == ["*"]}
    assert everywhere == {"SeeWorkers", "RegistryLogin", "SessionManager", "SessionLogGroups"}
    assert not [action for statement in found.values() for action in statement["Action"] if "*" in action]


def test_the_manager_logs_in_to_its_workers_only(stack: Stack, other: Stack) -> None:
    assert rights(stack, "manager")["LogInToWorkers"]["Condition"]["StringEquals"] == {
        "aws:ResourceTag/aws:autoscaling:groupName": "bakery-prod-runner-workers",
        "ec2:osuser": "fleet",
    }
    assert "LogInToWorkers" not in rights(other, "manager"), "it has a key"


def test_the_manager_reads_its_own_secrets_only(stack: Stack, other: Stack) -> None:
    parameter = "arn:aws:ssm:eu-west-1:123456789012:parameter/prod/runner"
    found = rights(stack, "manager")
    assert found["Secrets"]["Resource"] == [f"{parameter}/token"]
    assert found["SecretsKey"]["Condition"]["StringEquals"]["kms:EncryptionContext:PARAMETER_ARN"] == [
        f"{parameter}/token"
    ]
    assert rights(other, "manager")["Secrets"]["Resource"] == [f"{parameter}/token", f"{parameter}/worker-key"]


def test_the_key_of_the_cache_is_used_by_s3_only(stack: Stack) -> None:
    found = rights(stack, "manager")["CacheKey"]
    assert found["Condition"] == {"StringEquals": {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}}


def test_user_data_holds_names_of_secrets(other: Stack) -> None:
    told = base64.b64decode(of(other, "aws_launch_template", "manager")["user_data"]).decode()
    assert "/prod/runner/token" in told
    assert "@TOKEN@" in told
    assert "aws_ssm_parameter" not in other["resource"]
    assert "/prod/runner" not in json.dumps(other["data"]), "what is read ends up in the state"


def test_the_cache_is_closed_encrypted_and_emptied(stack: Stack, other: Stack) -> None:
    bucket = of(stack, "aws_s3_bucket")
    assert bucket["bucket"] == "bakery-prod-runner-cache-123456789012"
    assert bucket["force_destroy"] is True
    [encryption] = of(stack, "aws_s3_bucket_server_side_encryption_configuration")["rule"]
    assert encryption["apply_server_side_encryption_by_default"]["sse_algorithm"] == "aws:kms"
    [expiry] = of(stack, "aws_s3_bucket_lifecycle_configuration")["rule"]
    assert expiry["expiration"] == [{"days": 14}]
    block = of(stack, "aws_s3_bucket_public_access_block")
    switches = ("block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets")
    assert all(block[switch] is True for switch in switches)
    [refusal] = json.loads(of(stack, "aws_s3_bucket_policy")["policy"])["Statement"]
    assert refusal["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert "aws_s3_bucket_policy" not in other["resource"], "a stand-in has no TLS"


def test_a_tag_of_the_registry_never_changes(stack: Stack, other: Stack) -> None:
    repository = of(stack, "aws_ecr_repository")
    assert repository["image_tag_mutability"] == "IMMUTABLE"
    assert repository["image_scanning_configuration"] == {"scan_on_push": True}
    assert repository["encryption_configuration"][0]["encryption_type"] == "KMS"
    assert (repository["force_delete"], repository["lifecycle"]) == (False, {"prevent_destroy": True})
    assert of(other, "aws_ecr_repository")["force_delete"] is True
    [rule] = json.loads(of(stack, "aws_ecr_lifecycle_policy")["policy"])["rules"]
    assert rule["selection"]["tagStatus"] == "untagged"


def test_a_person_is_told_of_a_manager_that_does_not_start(stack: Stack) -> None:
    pattern = json.loads(of(stack, "aws_cloudwatch_event_rule")["event_pattern"])
    assert pattern["detail"] == {"AutoScalingGroupName": [of(stack, "aws_autoscaling_group", "manager")["name"]]}
    assert "EC2 Auto Scaling Instance Refresh Failed" in pattern["detail-type"]
    assert of(stack, "aws_cloudwatch_event_target")["arn"] == stack["output"]["alarm_topic_arn"]["value"]
    assert of(stack, "aws_sns_topic")["kms_master_key_id"].startswith("${aws_kms_key.")


def test_the_key_is_for_the_account_the_log_and_the_alarms(stack: Stack, other: Stack) -> None:
    key = of(stack, "aws_kms_key")
    assert key["enable_key_rotation"] is True
    assert key["lifecycle"] == {"prevent_destroy": True}
    assert "lifecycle" not in of(other, "aws_kms_key")
    owner, log, alarms = json.loads(key["policy"])["Statement"]
    assert "events.amazonaws.com" in alarms["Principal"]["Service"]
    assert owner["Principal"] == {"AWS": "arn:aws:iam::123456789012:root"}
    assert log["Principal"] == {"Service": "logs.eu-west-1.amazonaws.com"}
    group = "arn:aws:logs:eu-west-1:123456789012:log-group:/bakery-prod-runner/sessions"
    assert log["Condition"] == {"ArnEquals": {"kms:EncryptionContext:aws:logs:arn": group}}


def test_sessions_are_logged_where_the_machines_may_write(stack: Stack) -> None:
    group = of(stack, "aws_cloudwatch_log_group")
    assert (group["name"], group["retention_in_days"]) == ("/bakery-prod-runner/sessions", 90)
    assert "kms_key_id" in group
    inputs = json.loads(of(stack, "aws_ssm_document")["content"])["inputs"]
    assert inputs["cloudWatchLogGroupName"].startswith("${aws_cloudwatch_log_group.")
    [streams] = rights(stack, "workers")["SessionLog"]["Resource"]
    assert f"log-group:{group['name']}:*" in streams


def trust(stack: Stack, part: str) -> dict[str, Any]:
    [found] = json.loads(of(stack, "aws_iam_role", part)["assume_role_policy"])["Statement"]
    assert found["Action"] == "sts:AssumeRoleWithWebIdentity"
    assert found["Principal"]["Federated"].startswith("${aws_iam_openid_connect_provider.")
    return dict(found["Condition"])


def audiences(*duties: str) -> dict[str, list[str]]:
    """What jobs put into `aud`: tests/unit/test_gitlab.py."""
    return {"gitlab.example.com:aud": [f"sts.amazonaws.com/{duty}" for duty in duties]}


def test_jobs_on_named_refs_have_the_role_of_their_duty(stack: Stack) -> None:
    """What each may is in test_job_roles.py."""
    named = {"gitlab.example.com:sub": ["project_path:platform/images:ref_type:branch:ref:main"]}
    assert trust(stack, "jobs_bake_") == {"StringEquals": {**audiences("bake-private", "bake-public"), **named}}
    assert trust(stack, "jobs_verify_") == {"StringEquals": {**audiences("verify"), **named}}
    assert trust(stack, "jobs_publish_") == {"StringEquals": {**audiences("publish"), **named}}
    assert trust(stack, "jobs_push_") == {"StringEquals": {**audiences("runner-image"), **named}}
    accepted = of(stack, "aws_iam_openid_connect_provider")["client_id_list"]
    duties = ("validate", "bake-private", "bake-public", "verify", "publish", "runner-image")
    assert sorted(accepted) == sorted(audiences(*duties)["gitlab.example.com:aud"])


def test_jobs_on_any_branch_of_these_projects_look_and_change_nothing(stack: Stack) -> None:
    any_branch = ["project_path:platform/images:ref_type:branch:ref:*"]
    assert trust(stack, "jobs_check_") == {
        "StringEquals": audiences("validate"),
        "StringLike": {"gitlab.example.com:sub": any_branch},
    }
    found = rights(stack, "jobs_check")
    assert found["Read"]["Resource"] == [
        "arn:aws:s3:::prod-catalog/bakery/*",
        "arn:aws:s3:::prod-state/bakery/prod/images.tfstate",
    ]
    assert found["CatalogKey"]["Resource"] == ["arn:aws:kms:eu-west-1:123456789012:key/1"]
    names = [action.partition(":")[2] for statement in found.values() for action in statement["Action"]]
    assert all(name.startswith(("Get", "List", "Describe")) or name == "Decrypt" for name in names)
    assert stack["output"]["check_role_arn"]


def test_builds_in_aws_have_to_be_wanted(stack: Stack, builds: Stack) -> None:
    """Their rights reach snapshots that are not ours."""
    environment_rights = {one["Sid"] for one in builder.build_rights(production())}
    assert rights(builds, "jobs_bake").keys() - rights(stack, "jobs_bake").keys() >= environment_rights
    assert rights(builds, "jobs_publish") == rights(stack, "jobs_publish")


def test_builds_of_packer_stay_in_the_regions(builds: Stack) -> None:
    found = rights(builds, "jobs_bake")
    global_services = {"Tunnel", "TunnelDocument", "LookAtProfile", "PassProfile"}
    for name in {one["Sid"] for one in builder.build_rights(production())} - global_services:
        assert found[name]["Condition"]["StringEquals"]["aws:RequestedRegion"] == ["eu-west-1", "us-east-1"]
    assert {name for name, one in found.items() if one["Resource"] == ["*"]} == {
        "Look",
        "LookAtBuilds",
    }


def production() -> Environment:
    return config.load_settings(ROOT / "cdktf" / "environments", {"BAKERY_ENVIRONMENT": "production"}).environment


def documented(role: str) -> list[dict[str, Any]]:
    """The policy that the page says Vault's role needs, for the environment production."""
    page = (ROOT / "docs" / "reference" / "stacks" / "vault-config.md").read_text()
    found: list[dict[str, Any]] = json.loads(page.partition(f"```json {role}\n")[2].partition("```")[0])
    return found


def test_the_page_says_what_builds_call() -> None:
    assert documented("bake") == json.loads(json.dumps(builder.build_rights(production())))


def test_who_applies_may_do_all_that_looking_takes(stack: Stack) -> None:
    allowed = {action for statement in documented("apply") for action in statement["Action"]}
    assert {action for statement in rights(stack, "jobs_check").values() for action in statement["Action"]} <= allowed


def test_the_policies_fit_into_a_role(builds: Stack) -> None:
    """IAM counts the inline policies of a role together, without spaces (quota: 10,240)."""
    for role, most in (("jobs_bake", 8600), ("jobs_publish", 5500)):
        policy = json.loads(of(builds, "aws_iam_role_policy", role)["policy"])
        assert len(json.dumps(policy, separators=(",", ":"))) < most, "the rest is for consumer accounts"


def test_the_repository_has_a_writer_and_a_reader(stack: Stack) -> None:
    repository = of(stack, "aws_ecr_repository")
    writer, reader = rights(stack, "jobs_push")["RegistryPush"], rights(stack, "manager")["RegistryPull"]
    assert writer["Resource"] == reader["Resource"]
    assert writer["Resource"][0].startswith("${aws_ecr_repository.")
    assert {"ecr:PutImage", "ecr:InitiateLayerUpload"} <= set(writer["Action"])
    assert not {"ecr:PutImage", "ecr:InitiateLayerUpload"} & set(reader["Action"])
    assert repository["name"] == "bakery-prod-runner"


def test_bakes_by_vault_get_nothing_here(other: Stack) -> None:
    assert "aws_iam_openid_connect_provider" not in other["resource"]
    assert {role["name"] for role in other["resource"]["aws_iam_role"].values()} == {
        "bakery-prod-runner-manager",
        "bakery-prod-runner-workers",
    }
    assert not [name for name in other["output"] if name.endswith("_role_arn")]


def test_outputs_name_what_users_need(stack: Stack, other: Stack) -> None:
    common = {
        "alarm_topic_arn",
        "cache_bucket",
        "key_alias",
        "log_group",
        "registry_url",
        "session_document",
        "token_parameter",
        "worker_group",
    }
    roles = {f"{role}_role_arn" for role in ("check", "bake", "verify", "publish", "push")}
    assert set(stack["output"]) == {*common, *roles, "layers"}
    assert set(other["output"]) == {*common, "guest_user_data"}
    assert all(output["description"] for output in stack["output"].values())
    assert "docker" in other["output"]["guest_user_data"]["value"]
