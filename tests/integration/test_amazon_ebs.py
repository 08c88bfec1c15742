"""Builds by amazon-ebs: the tagging step after Packer's own copies, and a whole build with a real Packer and guest."""

import re
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from bakery.bake import remote
from bakery.bake.request import BakeContext, BakeRequest
from bakery.clouds.aws.settings import AwsBase, AwsDistribution, AwsNetwork
from bakery.clouds.aws.target import AwsTarget
from bakery.clouds.definitions import Definition
from bakery.contents import read_archive
from bakery.engine import toolbox
from bakery.host.errors import BakeryError
from bakery.host.events import silent
from bakery.host.vault import Vault
from bakery.model import tags
from bakery.model.contents import ROOT_ARCHIVE
from bakery.model.definition import ImageDefinition
from bakery.model.documents import Publication, RemoteBuild
from bakery.model.naming import full_name
from bakery.model.project import Project
from bakery.model.version import ImageVersion
from bakery_stacks import config
from bakery_stacks.blocks import publisher
from bakery_stacks.stacks.runner import builder
from doubles.aws.client import StandIn, available, register
from doubles.aws.guests import guests
from doubles.vault import vault_server
from integration.bases import prepare_base

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
REGIONS = ("eu-central-1", "us-east-1", "eu-west-1")
HOME, *OTHERS = REGIONS
CONSUMER = "210987654321"
VERSION = ImageVersion("web", "x86_64", "1.0.0")
NAME = full_name(VERSION)
SECRET = "canary-5e1f08b2-pass"
DEBIAN = {"name": "debian-12-amd64-*", "owner": "136693071363"}


@pytest.fixture
def definition() -> ImageDefinition:
    return Definition.model_validate(
        {
            "name": "web",
            "description": "A web server",
            "os": "debian-12",
            "arch": "x86_64",
            "version": "1.0",
            "base": {"aws": {"ami": DEBIAN, "user": "debian"}},
            "software": {"roles": ({"name": "nginx", "vars": {"nginx_message": "Baked to order."}},)},
            "secrets": {"nginx_status_password": {"path": "secret/data/bakery/web", "key": "status_password"}},
            "tests": ("cloud", "web"),
            "targets": ("aws",),
            "distribution": {"aws": {"regions": REGIONS, "accounts": (CONSUMER,)}},
            "tags": {"team": "platform"},
        }
    )


class Packer:
    """Leaves in the cloud what amazon-ebs leaves: an image with its tags, and copies without any."""

    def __init__(self, aws: StandIn) -> None:
        self._aws = aws
        self.home = self.build()

    def build(self) -> str:
        image = register(self._aws, NAME, HOME)
        available(self._aws, image, HOME)
        self.tag(image, HOME)
        return image

    def copy(self, region: str, tagged: bool = False) -> str:
        source = {"SourceImageId": self.home, "SourceRegion": HOME}
        copy: str = self._aws.client("ec2", region).copy_image(Name=NAME, **source)["ImageId"]
        available(self._aws, copy, region)
        if tagged:
            self.tag(copy, region)
        return copy

    def tag(self, image: str, region: str) -> None:
        named = [{"Key": key, "Value": value} for key, value in tags.identity(VERSION).items()]
        self._aws.client("ec2", region).create_tags(Resources=[image], Tags=named)

    def told(self, **ids: str) -> RemoteBuild:
        """What `bakery bake` writes down of it."""
        # fmt: off
        return RemoteBuild(
            image="web", arch="x86_64", version="1.0.0", os="debian-12", target="aws", builder="amazon-ebs",
            input_key="k" * 64, inputs={}, base="debian", identity="b" * 64, ids={HOME: self.home, **ids}, checks=(),
            commit="c0ffee", tools={}, seconds={}, created="2026-01-01T00:00:00+00:00", log="",
        )
        # fmt: on


def images_in(aws: StandIn, region: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = aws.client("ec2", region).describe_images(Owners=["self"])["Images"]
    return [image for image in found if image["Name"] == NAME]


def tags_of(resource: dict[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in resource.get("Tags", ())}


def assert_whole(aws: StandIn, publication: Publication, build: RemoteBuild, definition: ImageDefinition) -> None:
    """One image per region, it and its snapshot with all tags, shared, and pointed at in both accounts."""
    want = tags.of_build(definition, build)
    for region in REGIONS:
        (image,) = images_in(aws, region)
        ec2 = aws.client("ec2", region)
        snapshot = image["BlockDeviceMappings"][0]["Ebs"]["SnapshotId"]
        (behind,) = ec2.describe_snapshots(SnapshotIds=[snapshot])["Snapshots"]
        assert (tags_of(image), tags_of(behind)) == (want, want)
        ids = [location.id for location in publication.locations if location.region == region]
        assert ids == [image["ImageId"]] * 2
        shared = aws.client("ec2", region, CONSUMER).describe_images(ExecutableUsers=["self"])["Images"]
        assert [found["ImageId"] for found in shared] == [image["ImageId"]]
        for account in ("123456789012", CONSUMER):
            ssm = aws.client("ssm", region, account)
            (parameter,) = ssm.get_parameters(Names=["/bakery/web/x86_64/1.0.0"])["Parameters"]
            assert (parameter["Value"], parameter["DataType"]) == (image["ImageId"], "aws:ec2:image")


@pytest.mark.usefixtures("quick")
class TestTaggingStep:
    @pytest.fixture
    def quick(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Waits fifty times as fast as in life."""
        nap = time.sleep
        monkeypatch.setattr(time, "sleep", lambda seconds: nap(seconds / 50))

    def test_packers_copies_are_taken_up_and_tagged(self, aws: StandIn, definition: ImageDefinition) -> None:
        packer = Packer(aws)
        build = packer.told(**{region: packer.copy(region) for region in OTHERS})
        publication = AwsTarget(definition).adopt(build, silent)
        assert_whole(aws, publication, build, definition)
        assert publication.sha256 == build.identity
        ids = {location.id for location in publication.locations}
        assert ids == set(build.ids.values()), "nothing was copied again"

    def test_a_copy_that_is_missing_is_made(self, aws: StandIn, definition: ImageDefinition) -> None:
        packer = Packer(aws)
        packer.copy(OTHERS[0])
        build = packer.told()
        assert_whole(aws, AwsTarget(definition).adopt(build, silent), build, definition)

    def test_again_writes_nothing(self, aws: StandIn, definition: ImageDefinition) -> None:
        packer = Packer(aws)
        build = packer.told(**{region: packer.copy(region) for region in OTHERS})
        first = AwsTarget(definition).adopt(build, silent)
        before = aws.actions()
        again = AwsTarget(definition).adopt(build, silent)
        assert again.locations == first.locations
        assert not {"CopyImage", "CreateTags", "PutParameter", "ModifyImageAttribute"} & set(
            aws.actions()[len(before) :]
        )

    def test_tags_that_somebody_removed_are_found_and_set_again(
        self, aws: StandIn, definition: ImageDefinition
    ) -> None:
        packer = Packer(aws)
        build = packer.told(**{region: packer.copy(region) for region in OTHERS})
        target = AwsTarget(definition)
        publication = target.adopt(build, silent)
        copy = build.ids[OTHERS[0]]
        aws.client("ec2", OTHERS[0]).delete_tags(Resources=[copy], Tags=[{"Key": "bakery:version"}])
        (wrong,) = [found for found in target.inspect(publication) if found.status != "correct"]
        assert OTHERS[0] in wrong.location and "bakery:version" in wrong.detail
        assert_whole(aws, target.adopt(build, silent), build, definition)

    def test_a_copy_of_another_image_is_never_touched(self, aws: StandIn, definition: ImageDefinition) -> None:
        packer = Packer(aws)
        other = register(aws, NAME, OTHERS[0])
        available(aws, other, OTHERS[0])
        with pytest.raises(BakeryError) as caught:
            AwsTarget(definition).adopt(packer.told(), silent)
        assert f"{NAME} exists as {other} but was not made from this disk" in caught.value.message + caught.value.detail
        (left,) = images_in(aws, OTHERS[0])
        assert (left["ImageId"], tags_of(left)) == (other, {})

    def test_what_a_failed_build_left_is_cleared(self, aws: StandIn, definition: ImageDefinition) -> None:
        """Packer deregisters the image of the first region when a copy fails; finished copies stay."""
        packer = Packer(aws)
        packer.copy(OTHERS[0])
        packer.copy(OTHERS[1], tagged=True)
        aws.client("ec2", HOME).deregister_image(ImageId=packer.home)
        AwsTarget(definition).prepare(VERSION)
        assert [images_in(aws, region) for region in REGIONS] == [[], [], []]
        for region in OTHERS:
            assert aws.client("ec2", region).describe_snapshots(OwnerIds=["self"])["Snapshots"] == []

    def test_a_copy_of_what_is_still_there_is_not_cleared(self, aws: StandIn, definition: ImageDefinition) -> None:
        other = register(aws, "other", HOME)
        available(aws, other, HOME)
        aws.client("ec2", OTHERS[0]).copy_image(Name=NAME, SourceImageId=other, SourceRegion=HOME)
        with pytest.raises(BakeryError, match="no unfinished build made it"):
            AwsTarget(definition).prepare(VERSION)
        assert len(images_in(aws, OTHERS[0])) == 1

    def test_what_is_published_or_not_ours_is_not_cleared(self, aws: StandIn, definition: ImageDefinition) -> None:
        packer = Packer(aws)
        build = packer.told()
        AwsTarget(definition).adopt(build, silent)
        with pytest.raises(BakeryError) as caught:
            AwsTarget(definition).prepare(VERSION)
        assert caught.value.detail.count("no unfinished build made it") == len(REGIONS)
        assert all(len(images_in(aws, region)) == 1 for region in REGIONS)


class TestPackersCopies:
    """Packer and its plugin are real; nobody logs in, so that a build takes seconds."""

    @pytest.fixture
    def quick(self, definition: ImageDefinition, tmp_path: Path) -> ImageDefinition:
        """The image file of ours, without its login and its provisioner. Packer looks each second, not every five."""
        folder = tmp_path / "template"
        shutil.copytree(ROOT / "packer" / "templates" / "aws", folder, ignore=shutil.ignore_patterns("windows*"))
        file = folder / "linux.pkr.hcl"
        text = re.sub(r"  ssh_\w+ += .*\n", "", file.read_text().replace('= "ssh"', '= "none"'))
        text = re.sub(r"delay_seconds = \d+", "delay_seconds = 1", text)
        file.write_text(text[: text.index('  provisioner "ansible"')] + text[text.index("  post-processor") :])
        return definition.model_copy(update={"template": str(folder), "tests": (), "secrets": {}})

    def build(self, definition: ImageDefinition, folder: Path) -> RemoteBuild:
        project = Project(ROOT, folder, folder / "workspace")
        login = {"access_key": "dummy-id", "secret_key": "dummy-key"}
        toolchain = toolbox.toolchain(project, "tcg")
        request = BakeRequest(definition, "1.0.0", {}, "k" * 64)
        return remote.build(request, "aws", None, login, BakeContext(project, toolchain, None, silent))

    def test_are_tagged_and_shared_by_the_tagging_step(
        self, aws: StandIn, quick: ImageDefinition, tmp_path: Path
    ) -> None:
        build = self.build(quick, tmp_path)
        assert set(build.ids) == set(REGIONS)
        assert_whole(aws, AwsTarget(quick).adopt(build, silent), build, quick)

    def test_take_no_right_that_the_role_for_jobs_lacks(
        self, aws: StandIn, quick: ImageDefinition, tmp_path: Path
    ) -> None:
        """What a build of Packer calls. The stand-in refuses nobody, so the names are compared."""
        environment = config.load_settings(ROOT / "cdktf" / "environments", {}).environment
        granted = [*publisher.publishing_rights(environment, "bucket", ["key"]), *builder.build_rights(environment)]
        self.build(quick, tmp_path)
        called = {f"ec2:{action}" for action in aws.actions()}
        assert {"ec2:RunInstances", "ec2:CopyImage"} <= called
        assert called - {action for found in granted for action in found["Action"]} == set()

    def test_start_in_the_network_that_the_definition_names(
        self, aws: StandIn, quick: ImageDefinition, tmp_path: Path
    ) -> None:
        ec2 = aws.client("ec2", HOME)
        vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
        named = [{"ResourceType": "subnet", "Tags": [{"Key": "Name", "Value": "builds"}]}]
        subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.1.0.0/24", TagSpecifications=named)["Subnet"]["SubnetId"]
        group = ec2.create_security_group(GroupName="builds", Description="builds", VpcId=vpc)["GroupId"]
        network = AwsNetwork(vpc=vpc, subnet_tags={"Name": "builds"}, security_groups=(group,), public_address=False)
        base = quick.base.of(AwsBase)
        assert base
        bases = quick.base.model_copy(update={"aws": base.model_copy(update={"network": network})})
        regions = AwsDistribution(regions=(HOME,))
        alone = quick.distribution.model_copy(update={"aws": regions})
        self.build(quick.model_copy(update={"base": bases, "distribution": alone}), tmp_path)
        (instance,) = ec2.describe_instances()["Reservations"][0]["Instances"]
        assert (instance["VpcId"], instance["SubnetId"]) == (vpc, subnet)
        assert not instance.get("PublicIpAddress")
        assert aws.actions().count("CreateSecurityGroup") == 1, "that of this test"
        assert "AuthorizeSecurityGroupIngress" not in aws.actions()

    def test_let_in_this_machine_alone(self, aws: StandIn, quick: ImageDefinition, tmp_path: Path) -> None:
        """The group stays, because its removal fails."""
        aws.fault("ec2", "DeleteSecurityGroup", error="DependencyViolation", status=400, times=50)
        alone = quick.distribution.model_copy(update={"aws": AwsDistribution(regions=(HOME,))})
        self.build(quick.model_copy(update={"distribution": alone}), tmp_path)
        groups = aws.client("ec2", HOME).describe_security_groups()["SecurityGroups"]
        (made,) = [group for group in groups if group["GroupName"].startswith("packer_")]
        blocks = [block["CidrIp"] for rule in made["IpPermissions"] for block in rule["IpRanges"]]
        assert blocks == ["127.0.0.0/8"], "the stand-in is on loopback"
        assert "bakery:image" in tags_of(made)

    def test_whose_clean_up_fails_leave_what_the_sweep_finds_and_removes(
        self, aws: StandIn, quick: ImageDefinition, tmp_path: Path
    ) -> None:
        """As after a kill: a machine, its group, and the copies that were finished, which have no tags yet."""
        aws.fault("ec2", "CopyImage", region=OTHERS[1], error="InvalidRequest", status=400, times=10)
        for action in ("TerminateInstances", "DeleteSecurityGroup"):
            aws.fault("ec2", action, error="InternalFailure", status=400, times=100)
        with pytest.raises(BakeryError, match="Packer failed"):
            self.build(quick, tmp_path)
        aws.control("DELETE", "faults")
        target = AwsTarget(quick)
        left = [one for part in target.list_resources("web", "x86_64").resources.values() for one in part]
        assert {one.version for one in left} == {"1.0.0"}
        assert {one.kind for one in left} >= {"instance", "security group", "image", "snapshot"}
        assert all(one.since for one in left), "the group's time is in its name"
        assert target.remove_resources(left) == {}
        listing = target.list_resources("web", "x86_64")
        assert (listing.failures, [*listing.resources.values()]) == ({}, [[]] * len(REGIONS))
        assert not [images for region in REGIONS if (images := images_in(aws, region))]

    def test_that_fail_leave_nothing_in_the_way_of_the_next_build(
        self, aws: StandIn, quick: ImageDefinition, tmp_path: Path
    ) -> None:
        aws.fault("ec2", "CopyImage", region=OTHERS[1], error="InvalidRequest", status=400, times=10)
        with pytest.raises(BakeryError, match="Packer failed"):
            self.build(quick, tmp_path)
        assert images_in(aws, HOME) == [], "Packer took its own image back"
        assert images_in(aws, OTHERS[0]), "and left the finished copy"
        aws.control("DELETE", "faults")
        AwsTarget(quick).prepare(VERSION)
        build = self.build(quick, tmp_path)
        assert_whole(aws, AwsTarget(quick).adopt(build, silent), build, quick)


@pytest.mark.soak  # 444 s of a processor; TestPackersCopies has no login, and all else of it
@pytest.mark.guest
@pytest.mark.root
def test_packer_builds_copies_and_tests_an_image(aws: StandIn, definition: ImageDefinition, tmp_path: Path) -> None:
    """Packer, its plugin, Ansible, the guest and Vault are real; EC2 is the stand-in."""
    project = Project(ROOT, ROOT / "packer" / "images", tmp_path)
    toolchain = toolbox.toolchain(project)
    with vault_server(tmp_path / "vault") as server, Vault.login(server.env) as vault:
        server.put("secret/data/bakery/web", {"status_password": SECRET})
        disk = prepare_base("debian-12").path
        with guests(aws.client("ec2", HOME), disk, tmp_path / "guests", toolchain.accelerator):
            request = BakeRequest(definition, "1.0.0", {"base:aws": "debian"}, "k" * 64)
            login = {"access_key": "test", "secret_key": "test-key"}
            build = remote.build(request, "aws", None, login, BakeContext(project, toolchain, vault, silent))
    assert set(build.ids) == set(REGIONS)
    assert len(build.checks) > 2 and all(check.passed for check in build.checks)
    archive = project.build_folder(VERSION, "aws") / ROOT_ARCHIVE
    contents = read_archive(build, archive, toolbox.find(project, "syft"))
    assert {"nginx", "openssh-server"} < {package.name for package in contents.packages}
    assert all(package.archive for package in contents.packages if package.name == "nginx")
    assert len(contents.kernels) == 1 and "EFI/BOOT/BOOTX64.EFI" in {file.path for file in contents.boot}
    assert_whole(aws, AwsTarget(definition).adopt(build, silent), build, definition)
    instances = aws.client("ec2", HOME).describe_instances()["Reservations"][0]["Instances"]
    assert [instance["State"]["Name"] for instance in instances] == ["terminated"]
    assert aws.client("ec2", HOME).describe_key_pairs()["KeyPairs"] == [], "no key stays in the account"
    for path in tmp_path.rglob("*.*"):
        if path.is_file() and path.suffix in (".log", ".json"):
            assert SECRET.encode() not in path.read_bytes(), path
