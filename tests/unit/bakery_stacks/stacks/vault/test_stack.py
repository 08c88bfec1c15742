"""The vault stack: who reaches the nodes, what they may do, and how they are replaced."""

import base64
import json
from typing import Any

import pytest
from pydantic import ValidationError
from syrupy.assertion import SnapshotAssertion
from syrupy.extensions.json import JSONSnapshotExtension

from bakery.catalog import Catalog, open_store
from bakery.signing import Keyring
from bakery_stacks.config import Environment, Settings
from bakery_stacks.stacks.network.settings import Network
from bakery_stacks.stacks.vault.settings import Certificate, Snapshots, Vault
from unit.bakery_stacks.conftest import add_version

ZONES = {f"eu-west-1{zone}": f"10.0.{number * 16}.0/20" for number, zone in enumerate("abc")}
NETWORK = Network(cidr="10.0.0.0/16", subnets=ZONES)
SECTION = Vault(
    certificate=Certificate(name="vault.example.internal", chain="/v/chain", key="/v/key", authority="/v/ca"),
    snapshots=Snapshots(bucket="prod-vault-snapshots"),
)


@pytest.fixture(scope="module")
def synthesized(synth: Any, environment: Environment, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("catalog")
    catalog = Catalog(open_store(str(folder)), Keyring(folder / "keys", {}))

    def run(section: Vault = SECTION, **change: Any) -> dict[str, Any]:
        changed = environment.model_copy(update={"network": NETWORK, "vault": section, **change})
        found: dict[str, Any] = synth(Settings(changed, changed.catalog, stand_in=False), catalog)["vault"]
        return found

    add_version(catalog, "vault", "1.0.0")
    return run


@pytest.fixture(scope="module")
def resources(synthesized: Any) -> dict[str, Any]:
    found: dict[str, Any] = synthesized()["resource"]
    return found


def only(resources: dict[str, Any], kind: str) -> dict[str, Any]:
    [found] = resources[kind].values()
    return dict(found)


def rules(resources: dict[str, Any], way: str) -> set[tuple[str, int, str]]:
    """Firewall's purpose, port, other side."""
    return {
        (rule["security_group_id"].split("_firewall")[0].rpartition(".")[2], rule["from_port"], _side(rule))
        for rule in resources[f"aws_vpc_security_group_{way}_rule"].values()
    }


def _side(rule: dict[str, Any]) -> str:
    group = rule.get("referenced_security_group_id", "").split("_firewall")[0].rpartition(".")[2]
    return str(rule.get("cidr_ipv4") or group)


def test_the_stack_is_as_it_was(synthesized: Any, snapshot: SnapshotAssertion) -> None:
    assert synthesized() == snapshot(extension_class=JSONSnapshotExtension)


def test_clients_come_by_the_front_only(resources: dict[str, Any]) -> None:
    balancer = only(resources, "aws_lb")
    assert (balancer["internal"], balancer["load_balancer_type"]) == (True, "network")
    assert balancer["enable_deletion_protection"] is True
    nodes = {(port, side) for firewall, port, side in rules(resources, "ingress") if firewall == "machine"}
    assert nodes == {(8200, "front"), (8200, "machine"), (8201, "machine")}
    assert ("machine", 443, "0.0.0.0/0") in rules(resources, "egress")
    assert all(
        rule["description"]
        for way in ("ingress", "egress")
        for rule in resources[f"aws_vpc_security_group_{way}_rule"].values()
    )


def test_sealed_nodes_get_no_clients_and_are_not_replaced_for_it(resources: dict[str, Any]) -> None:
    check = only(resources, "aws_lb_target_group")["health_check"]
    assert check["path"] == "/v1/sys/health?standbyok=true&perfstandbyok=true"
    assert (check["protocol"], check["matcher"]) == ("HTTPS", "200")
    assert only(resources, "aws_autoscaling_group")["health_check_type"] == "EC2"


@pytest.mark.parametrize(("nodes", "most"), [(3, 134), (5, 120)])
def test_nodes_are_replaced_one_at_a_time(synthesized: Any, nodes: int, most: int) -> None:
    group = only(synthesized(SECTION.model_copy(update={"nodes": nodes}))["resource"], "aws_autoscaling_group")
    assert (group["min_size"], group["max_size"], group["desired_capacity"]) == (nodes, nodes, nodes)
    assert group["suspended_processes"] == ["AZRebalance"]
    preferences = group["instance_refresh"]["preferences"]
    assert (preferences["min_healthy_percentage"], preferences["max_healthy_percentage"]) == (100, most)
    assert "latest_version" in group["launch_template"]["version"]


def test_an_image_that_does_not_work_stops_before_it_is_everywhere(resources: dict[str, Any]) -> None:
    """To the group, a machine without a working Vault is healthy; with its last data disk, the last data would go."""
    preferences = only(resources, "aws_autoscaling_group")["instance_refresh"]["preferences"]
    stopping = [named.split(".")[1] for named in preferences["alarm_specification"]["alarms"]]
    alarms = {name: resources["aws_cloudwatch_metric_alarm"][name] for name in stopping}
    assert sorted(alarm["alarm_name"] for alarm in alarms.values()) == [
        f"bakery-prod-vault-{name}" for name in ("sealed", "unhealthy", "voters")
    ]
    # Each rings before the node that makes it ring counts as warm, after which the next one would go.
    rings = [alarm["period"] * alarm["evaluation_periods"] for alarm in alarms.values()]
    assert max(rings) < int(preferences["instance_warmup"])


def test_machines_are_from_our_image_closed_and_encrypted(resources: dict[str, Any]) -> None:
    template = only(resources, "aws_launch_template")
    assert (template["image_id"], template["description"]) == ("ami-vault-eu-west-1-0", "vault 1.0.0")
    assert template["metadata_options"]["http_tokens"] == "required"
    disks = {disk["device_name"]: disk["ebs"] for disk in template["block_device_mappings"]}
    assert {disks[name]["volume_size"] for name in ("/dev/sdf", "/dev/sdg")} == {100, 50}
    assert all(disk["encrypted"] == "true" for disk in disks.values())
    kept = {name for name, disk in disks.items() if disk["delete_on_termination"] == "false"}
    assert kept == {"/dev/sdg"}, "audit logs are nowhere else"


def test_user_data_names_secrets_and_has_none(resources: dict[str, Any]) -> None:
    text = base64.b64decode(only(resources, "aws_launch_template")["user_data"]).decode()
    assert text.startswith("#cloud-config\n")
    files = {file["path"]: json.loads(file["content"]) for file in json.loads(text.partition("\n")[2])["write_files"]}
    # The configuration is last: it is what Vault waits for.
    assert list(files) == ["/etc/vault-node/settings.json", "/etc/vault.d/vault.json"]
    assert files["/etc/vault-node/settings.json"]["tls"]["key.pem"] == "/v/key"
    configuration = files["/etc/vault.d/vault.json"]
    assert configuration["seal"]["awskms"] == {"region": "eu-west-1", "kms_key_id": "alias/bakery-prod-vault-seal"}
    [join] = configuration["storage"]["raft"]["retry_join"]
    assert join["leader_tls_servername"] == "vault.example.internal"
    assert join["auto_join"].endswith("tag_key=bakery:vault tag_value=bakery-prod-vault")


def test_nodes_carry_the_tag_that_they_join_by(resources: dict[str, Any]) -> None:
    tags = {
        tag["key"]: (tag["value"], tag["propagate_at_launch"])
        for tag in only(resources, "aws_autoscaling_group")["tag"]
    }
    assert tags["bakery:vault"] == ("bakery-prod-vault", True)


def test_a_node_may_do_what_it_needs(resources: dict[str, Any]) -> None:
    rights = {one["Sid"]: one for one in json.loads(only(resources, "aws_iam_role_policy")["policy"])["Statement"]}
    assert rights["Unseal"]["Action"] == ["kms:Encrypt", "kms:Decrypt", "kms:DescribeKey"]
    assert "seal-key" in rights["Unseal"]["Resource"][0]
    assert rights["Certificate"]["Resource"] == [
        f"arn:aws:ssm:eu-west-1:123456789012:parameter/v/{name}" for name in ("chain", "key", "ca")
    ]
    assert rights["SaveSnapshots"]["Action"] == ["s3:PutObject"]
    assert rights["Report"]["Condition"] == {"StringEquals": {"cloudwatch:namespace": "bakery/prod"}}


def test_nobody_but_the_nodes_can_unseal(resources: dict[str, Any]) -> None:
    """Not even an administrator whose own policies allow every action of KMS."""
    [seal] = [key for name, key in resources["aws_kms_key"].items() if name.startswith("seal-key")]
    assert seal["enable_key_rotation"] is True
    assert seal["lifecycle"] == {"prevent_destroy": True}
    own = {one["Sid"]: one for one in json.loads(seal["policy"])["Statement"]}
    assert own["Seal"]["Action"] == ["kms:Encrypt", "kms:Decrypt", "kms:DescribeKey"]
    role = only(resources, "aws_iam_role")["name"]
    assert own["Seal"]["Condition"] == {"ArnEquals": {"aws:PrincipalArn": f"arn:aws:iam::123456789012:role/{role}"}}
    reading = ("Decrypt", "Encrypt", "ReEncrypt", "GenerateDataKey", "CreateGrant", "*")
    assert not [action for action in own["LookAfter"]["Action"] if action.removeprefix("kms:").startswith(reading)]
    assert "kms:PutKeyPolicy" in own["LookAfter"]["Action"], "else KMS refuses it: nobody could ever change it"


def test_snapshots_cannot_be_deleted(resources: dict[str, Any]) -> None:
    bucket = only(resources, "aws_s3_bucket")
    assert bucket["object_lock_enabled"] is True
    assert bucket["lifecycle"] == {"prevent_destroy": True}
    retention = only(resources, "aws_s3_bucket_object_lock_configuration")["rule"]["default_retention"]
    assert retention == {"mode": "GOVERNANCE", "days": 30}


def test_a_person_is_told(resources: dict[str, Any]) -> None:
    alarms = {one["alarm_name"]: one for one in resources["aws_cloudwatch_metric_alarm"].values()}
    names = ("unhealthy", "sealed", "voters", "snapshot", "data-disk", "audit-disk")
    assert set(alarms) == {f"bakery-prod-vault-{name}" for name in names}
    full = [alarms[f"bakery-prod-vault-{name}-disk"] for name in ("data", "audit")]
    assert {(one["threshold"], one["comparison_operator"]) for one in full} == {(80, "GreaterThanThreshold")}
    missed = alarms["bakery-prod-vault-snapshot"]
    assert (missed["period"] * missed["evaluation_periods"], missed["treat_missing_data"]) == (12 * 3600, "breaching")
    # CloudWatch keeps no alarm that looks back further than a day.
    assert all(one["period"] * one["evaluation_periods"] <= 86400 for one in alarms.values())


def test_a_person_is_told_of_a_refresh_that_fails_after_the_apply(resources: dict[str, Any]) -> None:
    pattern = json.loads(only(resources, "aws_cloudwatch_event_rule")["event_pattern"])
    assert pattern == {
        "source": ["aws.autoscaling"],
        "detail-type": [
            "EC2 Instance Launch Unsuccessful",
            "EC2 Auto Scaling Instance Refresh Failed",
            "EC2 Auto Scaling Instance Refresh Cancelled",
        ],
        "detail": {"AutoScalingGroupName": [only(resources, "aws_autoscaling_group")["name"]]},
    }
    [topic], [rule] = resources["aws_sns_topic"], resources["aws_cloudwatch_event_rule"]
    target = only(resources, "aws_cloudwatch_event_target")
    assert target["arn"] == f"${{aws_sns_topic.{topic}.arn}}"
    assert target["rule"] == f"${{aws_cloudwatch_event_rule.{rule}.name}}"


def test_the_alarms_topic_hears_our_alarms_and_our_rule_only(resources: dict[str, Any]) -> None:
    policy = json.loads(only(resources, "aws_sns_topic_policy")["policy"])
    [rule] = resources["aws_cloudwatch_event_rule"]
    assert {one["Principal"]["Service"]: one["Condition"] for one in policy["Statement"]} == {
        "cloudwatch.amazonaws.com": {"StringEquals": {"aws:SourceAccount": "123456789012"}},
        "events.amazonaws.com": {"ArnEquals": {"aws:SourceArn": f"${{aws_cloudwatch_event_rule.{rule}.arn}}"}},
    }
    [data] = [key for name, key in resources["aws_kms_key"].items() if name.startswith("data-key")]
    own = {one["Sid"]: one for one in json.loads(data["policy"])["Statement"]}
    assert own["AlarmsToTopic"]["Principal"] == {"Service": ["cloudwatch.amazonaws.com", "events.amazonaws.com"]}


def test_a_name_is_made_where_there_is_a_zone(synthesized: Any) -> None:
    record = only(synthesized(SECTION.model_copy(update={"dns_zone": "Z0123"}))["resource"], "aws_route53_record")
    assert (record["zone_id"], record["name"], record["type"]) == ("Z0123", "vault.example.internal", "A")


def test_a_demo_can_be_removed(synthesized: Any) -> None:
    resources = synthesized(disposable=True)["resource"]
    assert only(resources, "aws_lb")["enable_deletion_protection"] is False
    assert only(resources, "aws_s3_bucket")["force_destroy"] is True
    disks = only(resources, "aws_launch_template")["block_device_mappings"]
    assert {disk["ebs"]["delete_on_termination"] for disk in disks} == {"true"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nodes": 4}, "3 or 5"),
        ({"data_gib": 50}, r"data_gib \(50\) must exceed audit_gib \(50\)"),
        ({"clients": ("10.0.0.0",)}, "must be a range of IPv4 addresses"),
        ({"clients": ("10.0.0.0/33",)}, "not a valid netmask"),
        ({"dns_zone": "example.internal"}, "must be the ID of a Route 53 zone"),
    ],
)
def test_mistakes_are_found_before_any_call(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Vault.model_validate({**dict(SECTION), **change})
