"""Environments: what is read, and what is said of mistakes."""

import json
from pathlib import Path

import pytest

from bakery.host.errors import UsageError, show_error
from bakery.model.fields import TextFormat
from bakery_stacks import config
from bakery_stacks.fields import bucket
from bakery_stacks.program import build_app
from bakery_stacks.stacks.azure import settings as azure
from bakery_stacks.stacks.consumer import settings as consumer
from bakery_stacks.stacks.network import settings as network
from bakery_stacks.stacks.runner import settings as runner
from bakery_stacks.stacks.vault import settings as vault
from bakery_stacks.stacks.vault_config import settings as vault_config
from bakery_stacks.stacks.vsphere import settings as vsphere

SHIPPED = Path(__file__).parents[3] / "cdktf" / "environments"
U1, U2 = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"
BOUNDARY = "arn:aws:iam::123456789012:policy/boundary"  # of another account
GOOD = """\
name: test
account: "123456789012"
home_region: eu-west-1
regions: [eu-west-1, us-east-1]
consumer_accounts: [{account: "210987654321"}]
catalog: s3://a-bucket/some/prefix
channel: stable
state:
  bucket: state-bucket
  prefix: test
topic: news
"""

WITH_VAULT = f"""\
{GOOD}\
network:
  cidr: 10.0.0.0/16
  subnets:
    eu-west-1a: 10.0.0.0/20
    eu-west-1b: 10.0.16.0/20
    eu-west-1c: 10.0.32.0/20
vault:
  certificate: {{name: vault.example.internal, chain: /v/chain, key: /v/key, authority: /v/authority}}
  snapshots: {{bucket: vault-snapshots}}
"""


def load(folder: Path, text: str = GOOD, **environ: str) -> config.Settings:
    (folder / "test.yaml").write_text(text)
    return config.load_settings(folder, {"BAKERY_ENVIRONMENT": "test", **environ})


def test_an_environment_is_read(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert settings.environment.regions == ("eu-west-1", "us-east-1")
    assert settings.environment.catalog_bucket == "a-bucket"
    assert settings.environment.catalog_prefix == "some/prefix"
    assert settings.catalog == "s3://a-bucket/some/prefix"
    assert not settings.stand_in
    assert not settings.environment.disposable


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_shipped_environments_are_good(path: Path) -> None:
    assert config.load_settings(SHIPPED, {"BAKERY_ENVIRONMENT": path.stem}).environment.name == path.stem


def test_the_small_environment_has_two_stacks(tmp_path: Path) -> None:
    settings = config.load_settings(SHIPPED, {"BAKERY_ENVIRONMENT": "small"})
    build_app(settings, None, tmp_path / "out").synth()
    assert sorted(path.name for path in (tmp_path / "out" / "stacks").iterdir()) == ["distribution", "images"]


def test_only_the_demo_may_be_destroyed_with_its_catalog() -> None:
    assert config.load_settings(SHIPPED, {}).environment.disposable
    assert not config.load_settings(SHIPPED, {"BAKERY_ENVIRONMENT": "production"}).environment.disposable


def test_images_may_come_from_another_catalog(tmp_path: Path) -> None:
    settings = load(tmp_path, BAKERY_CATALOG="elsewhere")
    assert settings.catalog == "elsewhere"
    assert settings.environment.catalog_bucket == "a-bucket"


@pytest.mark.parametrize(
    ("url", "stand_in"), [("http://127.0.0.1:5000", True), ("https://vpce.example", False), ("", False)]
)
def test_a_stand_in_is_behind_plain_http(tmp_path: Path, url: str, stand_in: bool) -> None:
    assert load(tmp_path, AWS_ENDPOINT_URL=url).stand_in is stand_in


@pytest.mark.parametrize(
    ("old", "new", "line", "message", "hint"),
    [
        ("channel:", "chanel:", 7, "unknown key 'chanel'", "did you mean 'channel'?"),
        ("  prefix:", "  prefx:", 10, "unknown key 'state.prefx'", "did you mean 'prefix'?"),
        ("channel: stable\n", "", 1, "'channel' is missing", "channel: the channel whose versions"),
        ("channel: stable", "channel:", 7, "'channel' has no value", "channel: the channel whose versions"),
        ("channel: stable", "channel: stable\nzzz: 1", 8, "unknown key 'zzz'", "known here: name, account"),
        ('"123456789012"', "123456789012", 2, "'account' must be text, not the number 123456789012", "quote it"),
        ('"123456789012"', '"12"', 2, "'account' is '12'; it must be the twelve digits", 'like "123456789012"'),
        ("us-east-1", "us-east", 4, "'regions.1' is 'us-east'; it must be the name of an AWS region", '"eu-west-1"'),
        ("[eu-west-1, us-east-1]", "[]", 4, "'regions' has 0 entries; it needs 1 or more", "regions that use images"),
        (
            "home_region: eu-west-1",
            "home_region: us-west-2",
            3,
            "us-west-2 is not one of regions",
            "eu-west-1, us-east-1",
        ),
        ("us-east-1]", "eu-west-1]", 4, "regions.1: eu-west-1 is listed twice", "remove one"),
        ("us-east-1]", "cn-north-1]", 4, "regions.1: cn-north-1 is in another AWS partition", "an environment"),
        ('"210987654321"', '"2109"', 5, "'consumer_accounts.0.account' is '2109'; it must", "123456789012"),
        ("us-east-1", "us-esat-1", 4, "regions.1: there is no AWS region 'us-esat-1'", "did you mean 'us-"),
        ("home_region: eu-west-1", "home_region: eu-wset-1", 3, "there is no AWS region 'eu-wset-1'", "'eu-west-1'"),
        ("s3://a-bucket/", "s3://state-bucket/", 9, "state-bucket is the bucket of catalog", "name another"),
        ('"210987654321"', "210987654321", 5, "must be text, not the number 210987654321", "quote it"),
        ('{account: "210987654321"}', '"210987654321"', 5, "'consumer_accounts.0' is '2", "write it as {account: "),
        ('{account: "210987654321"}', '{acount: "210987654321"}', 5, "unknown key", "did you mean 'account'?"),
        ('"210987654321"}]', '"210987654321"}, {account: "210987654321"}]', 5, "is named twice", "keep one"),
        ('"210987654321"', '"123456789012"', 5, "account 123456789012 owns the images", "remove it"),
        ('4321"}', f'4321", permissions_boundary: "{BOUNDARY}"}}', 5, "policies of account 2109", "210987654321:"),
        ('4321"}', '4321", permissions_boundary: "boundary"}', 5, "must be the ARN of an IAM policy", "arn:aws:iam::"),
        ('4321"}', '4321", deploy_role: "arn:aws:x"}', 5, "the name of a role, not its ARN", "terraform"),
        ("topic: news", "topic: news\nreplica_region: eu-west-1", 12, "the catalog itself is in eu-west-1", "another"),
        (
            "topic: news",
            "topic: news\nreplica_region: us-west-2",
            12,
            "us-west-2 is not one of regions",
            "eu-west-1, us-east-1",
        ),
        ("topic: news", "topic: news\nreplica_region: somewhere", 12, "'replica_region' is 'somewhere'", "eu-west-1"),
        ("topic: news", "topic: news\nrecycle_days: 400", 12, "it must be 365 or less", "Recycle Bin"),
        ("topic: news", "topic: news\ndisposable: maybe", 12, "'disposable' is 'maybe'", "destroy may delete"),
        ("s3://a-bucket/some/prefix", "./folder", 6, "'catalog' is './folder'; it must be a bucket", '"s3://'),
        ("s3://a-bucket/some/prefix", "s3://a-bucket", 6, "'catalog' is 's3://a-bucket'; it must be", '"s3://'),
        ("bucket: state-bucket", "bucket: State_Bucket", 9, "'state.bucket' is 'State_Bucket'; it must be", "example"),
        ("prefix: test", "prefix: /test", 10, "'state.prefix' is '/test'; it must be", "bakery/production"),
        ("topic: news", "topic: News", 11, "'topic' is 'News'; it must be 2 to 50 of a-z", '"news"'),
        ("name: test", "name: other", 1, "name is 'other', but the file is test.yaml", "the same name"),
    ],
)
def test_a_mistake_is_named_with_its_line(
    tmp_path: Path, old: str, new: str, line: int, message: str, hint: str
) -> None:
    with pytest.raises(UsageError) as caught:
        load(tmp_path, GOOD.replace(old, new))
    assert message in caught.value.message
    assert caught.value.where == f"{tmp_path}/test.yaml:{line}"
    assert hint
    assert hint in caught.value.hint


def test_what_is_no_yaml_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not valid YAML") as caught:
        load(tmp_path, f"{GOOD}topic: more\n")
    assert caught.value.where == f"{tmp_path}/test.yaml:12"


def test_the_copy_of_the_catalog_needs_a_name_that_s3_takes(tmp_path: Path) -> None:
    longest = "a" * (config.BUCKET_LENGTH - len(config.REPLICA_SUFFIX))
    text = GOOD.replace("a-bucket", longest) + "replica_region: us-east-1\n"
    assert len(config.replica_bucket(load(tmp_path, text).environment.catalog_bucket)) == config.BUCKET_LENGTH
    with pytest.raises(UsageError, match="the name of the catalog's bucket is too long"):
        load(tmp_path, text.replace(longest, f"{longest}a"))


VPC, SUBNET = "vpc-0123456789abcdef0", "subnet-0123456789abcdef0"
EXISTING = f"existing: {{vpc: {VPC}, subnets: [{SUBNET}, {SUBNET}, {SUBNET}]}}"
AZURE = f"""\
azure:
  subscription: {U1}
  tenant: {U1}
  location: westeurope
  resource_group: images
  gallery: images
  storage_account: exampleimages
  publishers: [{U1}]
  readers: [{U2}]
"""
VSPHERE = """\
vsphere:
  server: vcenter.example.com
  datacenter: dc1
  datastore: images
  library: images
  subscribers:
    - {name: branch, server: branch.example.com, datacenter: dc2, datastore: images}
    - {name: other, server: other.example.com, datacenter: dc2, datastore: images}
"""


@pytest.mark.parametrize(
    ("old", "new", "line", "message", "hint"),
    [
        ("16.0/20", "0.0/21", 16, "10.0.0.0/21 and 10.0.0.0/20 of eu-west-1a overlap", "such as 10.0.16.0/21"),
        ("vault:\n", "  nat: 10.0.40.0/28\nvault:\n", 18, "10.0.40.0/28 and 10.0.32.0/20 of", "10.0.48.0/28"),
        ("32.0/20", "32.1/20", 17, "network.subnets.eu-west-1c: 10.0.32.1/20 has host bits set", "first address"),
        ("32.0/20", "300.0/20", 17, "Octet 300 (> 255) not permitted", "first address"),
        ("32.0/20", "32.0", 17, "it must be a range of IPv4 addresses with its length", "10.0.16.0/20"),
        ("32.0/20", "32.0/29", 17, "AWS accepts no range of the size /29", "between /16 and /28"),
        ("cidr: 10.0", "cidr: 10.1", 15, "10.0.0.0/20 is not inside of cidr 10.1.0.0/16", "such as 10.1.0.0/20"),
        ("eu-west-1c:", "us-east-1c:", 17, "us-east-1c is not in home_region eu-west-1", "such as eu-west-1a"),
        ("eu-west-1c:", "eu-west-1:", 17, "'network.subnets.eu-west-1' is 'eu-west-1'; it must be", "eu-west-1a"),
        ("    eu-west-1c: 10.0.32.0/20\n", "", 14, "it needs 3 zones or more, and has 2", "ZONE: RANGE"),
        ("  cidr: 10.0.0.0/16\n", "", 12, "network: it names neither", "add cidr"),
        ("cidr: ", f"{EXISTING}\n  cidr: ", 14, "network.cidr: it is for a new VPC", "keep one of the two"),
        ("cidr: 10.0.0.0/16", "existing: {vpc: my-vpc}", 13, "it must be the ID of a VPC", '"vpc-'),
        ("/v/chain", "v/chain", 19, "vault.certificate.chain: must be the name of an SSM", "if it is the secret"),
        ("/v/chain", "/aws/chain", 19, "must not be below /aws/", "/platform/"),
        (
            "vault:\n",
            "vault:\n  nodes: 4\n",
            19,
            "'vault.nodes' is 4; it must be 3 or 5",
            "3 nodes survive the loss of one",
        ),
        ("vault:\n", "vault:\n  node: 3\n", 19, "unknown key 'vault.node'", "'nodes'"),
        ("vault:\n", "vault:\n  audit_gib: 100\n", 19, "data_gib (100) must exceed audit_gib", "101 or more"),
        ("vault:\n", "vault:\n  data_gib: 50\n", 19, "data_gib (50) must exceed audit_gib (50)", "51 or more"),
        ("vault:\n", "vault:\n  instance_type: large\n", 19, "FAMILY.SIZE", "m6i.large"),
        ("vault:\n", "vault:\n  dns_zone: example\n", 19, "the ID of a Route 53 zone", '"Z'),
        ("name: vault.", "name: Vault.", 19, "it must be a host name with its domain, in lower case", "vault.example"),
        (
            "bucket: vault-",
            "bucket: state-bucket, every_hours: 6} #",
            20,
            "state-bucket is the bucket of st",
            "another",
        ),
        ("vault:\n", "vault:\n  instance_type: m7g.large\n", 19, "m7g.large has an ARM processor", "m6i.large"),
        ("vault:\n", "vault:\n  instance_type: m6id.large\n", 19, "m6id.large has a disk of its own", "m6i.large"),
        ("name: test", "name: a-name-that-is-too-long", 1, "is too long with vault", "19 characters or less"),
        (WITH_VAULT[len(GOOD) : WITH_VAULT.index("vault:")], "", 12, "vault: its machines need subnets", "add network"),
    ],
)
def test_a_mistake_in_machines_is_named_with_its_line(
    tmp_path: Path, old: str, new: str, line: int, message: str, hint: str
) -> None:
    assert load(tmp_path, WITH_VAULT).environment.vault
    refuse(tmp_path, WITH_VAULT.replace(old, new, 1), line, message, hint)


@pytest.mark.parametrize(
    ("section", "old", "new", "line", "message", "hint"),
    [
        (AZURE, f"subscription: {U1}", "subscription: mine", 13, "an ID in lower-case hexadecimal digits", U1[:4]),
        (AZURE, "westeurope", "West Europe", 15, "an Azure region as ARM writes it", "westeurope"),
        (AZURE, "resource_group: images", "resource_group: images.", 16, "with no dot at its end", "bakery-images"),
        (AZURE, "gallery: images", "gallery: my-images", 17, "letters, digits, dots and underscores", "images"),
        (AZURE, "exampleimages", "Images", 18, "3 to 24 lower-case letters and digits", '"images"'),
        (AZURE, f"[{U1}]", "[]", 19, "it needs 1 or more", "object IDs of the service principals"),
        (AZURE, f"[{U1}]", f"[{U1}, {U1}]", 19, "azure.publishers.1: this entry is listed twice", "remove it"),
        (AZURE, f"[{U2}]", f"[{U2}, {U1}]", 20, f"azure.readers.1: {U1} is also in publishers", "remove it"),
        (VSPHERE, "server: vcenter", "server: https://vcenter", 13, "HOST or HOST:PORT, without https://", "vcenter"),
        (VSPHERE, "name: other", "name: branch", 19, "subscribers.1.name: another subscriber has", "give each its own"),
        (VSPHERE, "server: other.", "server: vcenter.", 19, "so it cannot subscribe to it", "another vCenter"),
    ],
)
def test_a_mistake_in_a_part_is_named_with_its_line(
    tmp_path: Path, section: str, old: str, new: str, line: int, message: str, hint: str
) -> None:
    load(tmp_path, f"{GOOD}{section}")
    refuse(tmp_path, f"{GOOD}{section.replace(old, new, 1)}", line, message, hint)


def refuse(folder: Path, text: str, line: int, message: str, hint: str) -> None:
    """The environment is refused with a message for this line, and a hint that says what is right."""
    with pytest.raises(UsageError) as caught:
        load(folder, text)
    assert message in caught.value.message
    assert caught.value.where == f"{folder}/test.yaml:{line}"
    assert hint in caught.value.hint


def test_every_key_has_a_meaning_for_hints() -> None:
    schema = config.Environment.model_json_schema()
    for name, part in {"Environment": schema, **schema["$defs"]}.items():
        assert part["description"], name
        for key, field in part["properties"].items():
            assert "description" in field or "$ref" in json.dumps(field), f"{name}.{key}"


SECTIONS = (azure, consumer, bucket, network, runner, vault, vault_config, vsphere)
FORMS = {
    f"{module.__name__}.{name}": form
    for module in (config, *SECTIONS)
    for name, kind in vars(module).items()
    for form in getattr(kind, "__metadata__", ())
    if isinstance(form, TextFormat)
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_the_example_that_a_hint_gives_is_right(form: TextFormat) -> None:
    assert form.check(form.example) == form.example


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ('owner: "cost-${team}"', "tags.owner: Terraform would evaluate ${"),
        ('owner: "100%{if} sure"', "tags.owner: Terraform would evaluate %{"),
        ('"a${b}": x', "tags.a${b}: Terraform would evaluate ${"),
        ("aws:owner: platform", "tags.aws:owner: AWS keeps keys that begin with aws: for itself"),
        ("AWS:owner: platform", "tags.AWS:owner: AWS keeps keys that begin with aws: for itself"),
        ('"": x', "tags.: AWS takes a key of 1 to 128 characters"),
        (f"{'k' * 129}: x", f"tags.{'k' * 129}: AWS takes a key of 1 to 128 characters"),
        (f"long: {'x' * 257}", "tags.long: AWS takes a value of at most 256 characters"),
        ("owner: a&b", "tags.owner: IAM takes letters, digits, spaces and any of _.:/=+-@ in a tag"),
        ("\n  ".join(f"k{number}: v" for number in range(41)), "tags: 41 tags are more than the 40 that fit"),
    ],
)
def test_tags_that_would_be_refused_in_an_apply(tmp_path: Path, tags: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(tmp_path, f"{GOOD}tags:\n  {tags}\n")
    assert caught.value.message.startswith(message)
    assert caught.value.where == f"{tmp_path}/test.yaml:{12 if 'more than' in message else 13}"


def test_tags_that_fit(tmp_path: Path) -> None:
    many = "".join(f"  k{number}: v\n" for number in range(37))
    tags = f'tags:\n  cost: "Größe 1.5 a_b:c/d=e+f-g@h"\n  empty: ""\n  {"k" * 128}: {"x" * 256}\n{many}'
    assert len(load(tmp_path, f"{GOOD}{tags}").environment.tags) == 40


def test_no_text_of_an_environment_is_a_template(tmp_path: Path) -> None:
    text = GOOD.replace("prefix: test", "prefix: '${x}'")
    _refuses(tmp_path, "state.prefix: Terraform would evaluate ${", "test.yaml:10", text)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load(tmp_path, GOOD.replace("channel:", "chanel:").replace("topic:", "topik:"))
    told = show_error(caught.value)
    assert "chanel" in told
    assert "topik" in told


def test_an_unknown_environment_gets_a_near_miss(tmp_path: Path) -> None:
    load(tmp_path)
    (tmp_path / "other.yaml").touch()
    with pytest.raises(UsageError, match="no environment named 'tset'") as caught:
        config.load_settings(tmp_path, {"BAKERY_ENVIRONMENT": "tset"})
    assert caught.value.hint == "did you mean 'test'? BAKERY_ENVIRONMENT can be other, test"
    with pytest.raises(UsageError) as caught:
        config.load_settings(tmp_path, {"BAKERY_ENVIRONMENT": "zzz"})
    assert caught.value.hint == "BAKERY_ENVIRONMENT can be other, test"


@pytest.mark.parametrize("environ", [{}, {"BAKERY_CATALOG": "s3://a-bucket/some/prefix"}])
def test_the_environment_says_where_the_catalog_is(tmp_path: Path, environ: dict[str, str]) -> None:
    assert load(tmp_path, **environ).catalog_source == f"{tmp_path}/test.yaml:6"


def test_or_the_variable_does(tmp_path: Path) -> None:
    assert load(tmp_path, BAKERY_CATALOG="elsewhere").catalog_source == "BAKERY_CATALOG"


def test_a_folder_is_no_environment(tmp_path: Path) -> None:
    (tmp_path / "test.yaml").mkdir()
    _refuses(tmp_path, "cannot be read: Is a directory", "test.yaml")


def test_a_dangling_link_is_no_environment(tmp_path: Path) -> None:
    (tmp_path / "test.yaml").symlink_to("nowhere")
    _refuses(tmp_path, "cannot be read: No such file or directory", "test.yaml")


def test_an_environment_is_utf_8(tmp_path: Path) -> None:
    (tmp_path / "test.yaml").write_bytes(f"{GOOD}# caf\u00e9\n".encode("latin-1"))
    _refuses(tmp_path, "not UTF-8 text", "test.yaml:12")


def _refuses(folder: Path, message: str, where: str, text: str = "") -> None:
    if text:
        (folder / "test.yaml").write_text(text)
    with pytest.raises(UsageError) as caught:
        config.load_settings(folder, {"BAKERY_ENVIRONMENT": "test"})
    assert (caught.value.message, caught.value.where) == (message, f"{folder}/{where}")


@pytest.mark.parametrize(
    ("region", "partition"),
    [("eu-west-1", "aws"), ("ap-southeast-2", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")],
)
def test_partitions(region: str, partition: str) -> None:
    assert config.aws_partition(region) == partition
