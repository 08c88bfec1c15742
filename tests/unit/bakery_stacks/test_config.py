"""Environments: what is read, and what is said of mistakes."""

from pathlib import Path

import pytest

from bakery.errors import UsageError
from bakery_stacks import config

SHIPPED = Path(__file__).parents[3] / "cdktf" / "environments"
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
    return config.load(folder, {"BAKERY_ENVIRONMENT": "test", **environ})


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
    assert config.load(SHIPPED, {"BAKERY_ENVIRONMENT": path.stem}).environment.name == path.stem


def test_only_the_demo_may_be_destroyed_with_its_catalog() -> None:
    assert config.load(SHIPPED, {}).environment.disposable
    assert not config.load(SHIPPED, {"BAKERY_ENVIRONMENT": "production"}).environment.disposable


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
        ("channel: stable\n", "", 1, "'channel' is missing", ""),
        ("channel: stable", "channel:", 7, "'channel' has no value", ""),
        ('"123456789012"', "123456789012", 2, "'account' must be text, not the number 123456789012", "quote it"),
        ('"123456789012"', '"12"', 2, "'account' is '12'", ""),
        ("us-east-1", "us-esat-1", 4, "regions.1: there is no AWS region 'us-esat-1'", "did you mean 'us-"),
        ("home_region: eu-west-1", "home_region: eu-wset-1", 3, "there is no AWS region 'eu-wset-1'", "'eu-west-1'"),
        ("s3://a-bucket/", "s3://state-bucket/", 9, "state-bucket is the bucket of catalog", "name another"),
        ("us-east-1", "us-east", 4, "'regions.1' is 'us-east'", ""),
        ("home_region: eu-west-1", "home_region: us-west-2", 1, "must contain home_region, us-west-2", ""),
        ("us-east-1]", "eu-west-1]", 1, "regions has an entry twice", ""),
        ("us-east-1]", "cn-north-1]", 1, "different AWS partitions", ""),
        ('"210987654321"', '"2109"', 5, "'consumer_accounts.0.account' is '2109'", ""),
        ('"210987654321"', "210987654321", 5, "must be text, not the number 210987654321", "quote it"),
        ('{account: "210987654321"}', '"210987654321"', 5, "'consumer_accounts.0' is '210987654321'", ""),
        ('{account: "210987654321"}', '{acount: "210987654321"}', 5, "unknown key", "did you mean 'account'?"),
        ('"210987654321"}]', '"210987654321"}, {account: "210987654321"}]', 5, "210987654321 is named twice", ""),
        ('"210987654321"', '"123456789012"', 5, "account 123456789012 owns the images", ""),
        ('4321"}', f'4321", permissions_boundary: "{BOUNDARY}"}}', 5, "a policy of account 210987654321", ""),
        ("topic: news", "topic: news\nreplica_region: eu-west-1", 12, "the catalog itself is in eu-west-1", ""),
        ("topic: news", "topic: news\nreplica_region: us-west-2", 12, "us-west-2 has no key", ""),
        ("topic: news", "topic: news\nreplica_region: somewhere", 12, "'replica_region' is 'somewhere'", ""),
        ("topic: news", "topic: news\nrecycle_days: 400", 12, "'recycle_days' is 400", ""),
        ("s3://a-bucket/some/prefix", "./folder", 6, "'catalog' is './folder'", ""),
        ("s3://a-bucket/some/prefix", "s3://a-bucket", 6, "'catalog' is 's3://a-bucket'", ""),
        ("name: test", "name: other", 1, "name is 'other', but the file is test.yaml", "the same name"),
        ("topic: news", "topic: news\ntopic: more", 12, "not valid YAML", ""),
    ],
)
def test_a_mistake_is_named_with_its_line(
    tmp_path: Path, old: str, new: str, line: int, message: str, hint: str
) -> None:
    with pytest.raises(UsageError) as caught:
        load(tmp_path, GOOD.replace(old, new))
    assert message in caught.value.message
    assert caught.value.where == f"{tmp_path}/test.yaml:{line}"
    assert hint in caught.value.hint


def test_the_copy_of_the_catalog_needs_a_name_that_s3_takes(tmp_path: Path) -> None:
    longest = "a" * (config.BUCKET_LENGTH - len(config.REPLICA_SUFFIX))
    text = GOOD.replace("a-bucket", longest) + "replica_region: us-east-1\n"
    assert len(config.replica(load(tmp_path, text).environment.catalog_bucket)) == config.BUCKET_LENGTH
    with pytest.raises(UsageError, match="the name of the catalog's bucket is too long"):
        load(tmp_path, text.replace(longest, f"{longest}a"))


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("16.0/20", "0.0/21", 12, "network: subnet eu-west-1a 10.0.0.0/20 and subnet eu-west-1b 10.0.0.0/21 overlap"),
        ("32.0/20", "32.1/20", 17, "network.subnets.eu-west-1c: 10.0.32.1/20 has host bits set"),
        ("cidr: 10.0", "cidr: 10.1", 12, "network: subnet eu-west-1a 10.0.0.0/20 is not inside of cidr 10.1.0.0/16"),
        ("eu-west-1c:", "us-east-1c:", 1, "us-east-1c, which is not in home_region eu-west-1"),
        ("eu-west-1c:", "eu-west-1:", 17, "'network.subnets.eu-west-1' is 'eu-west-1'"),
        ("/v/chain", "v/chain", 19, "vault.certificate.chain: must be the name of an SSM parameter"),
        ("vault:\n", "vault:\n  nodes: 4\n", 19, "'vault.nodes' is 4; it must be 3 or 5"),
        ("vault:\n", "vault:\n  node: 3\n", 19, "unknown key 'vault.node'"),
        ("bucket: vault-", "bucket: state-bucket, every_hours: 6} #", 20, "state-bucket is the bucket of state.bucket"),
        ("vault:\n", "vault:\n  instance_type: m7g.large\n", 19, "vault.instance_type: m7g.large has an ARM processor"),
        ("vault:\n", "vault:\n  instance_type: m6id.large\n", 19, "vault.instance_type: m6id.large has a disk of its"),
        ("name: test", "name: a-name-that-is-too-long", 1, "take 19 characters or less"),
    ],
)
def test_a_mistake_in_a_part_is_named_with_its_line(
    tmp_path: Path, old: str, new: str, line: int, message: str
) -> None:
    assert load(tmp_path, WITH_VAULT).environment.vault
    with pytest.raises(UsageError) as caught:
        load(tmp_path, WITH_VAULT.replace(old, new))
    assert message in caught.value.message
    assert caught.value.where == f"{tmp_path}/test.yaml:{line}"


def test_vault_needs_a_network(tmp_path: Path) -> None:
    without = WITH_VAULT[: WITH_VAULT.index("network:")] + WITH_VAULT[WITH_VAULT.index("vault:") :]
    with pytest.raises(UsageError, match="vault needs a network: add that part"):
        load(tmp_path, without)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load(tmp_path, GOOD.replace("channel:", "chanel:").replace("topic:", "topik:"))
    told = f"{caught.value.message}\n{caught.value.detail}"
    assert "chanel" in told
    assert "topik" in told


def test_an_unknown_environment_gets_a_near_miss(tmp_path: Path) -> None:
    load(tmp_path)
    with pytest.raises(UsageError, match="no environment named 'tset'") as caught:
        config.load(tmp_path, {"BAKERY_ENVIRONMENT": "tset"})
    assert caught.value.hint == "did you mean 'test'?"


def test_a_folder_is_no_environment(tmp_path: Path) -> None:
    (tmp_path / "test.yaml").mkdir()
    _refuses(tmp_path, "cannot be read: Is a directory", "test.yaml")


def test_a_dangling_link_is_no_environment(tmp_path: Path) -> None:
    (tmp_path / "test.yaml").symlink_to("nowhere")
    _refuses(tmp_path, "cannot be read: No such file or directory", "test.yaml")


def test_an_environment_is_utf_8(tmp_path: Path) -> None:
    (tmp_path / "test.yaml").write_bytes(f"{GOOD}# caf\u00e9\n".encode("latin-1"))
    _refuses(tmp_path, "not UTF-8 text", "test.yaml:12")


def _refuses(folder: Path, message: str, where: str) -> None:
    with pytest.raises(UsageError) as caught:
        config.load(folder, {"BAKERY_ENVIRONMENT": "test"})
    assert (caught.value.message, caught.value.where) == (message, f"{folder}/{where}")


@pytest.mark.parametrize(
    ("region", "partition"),
    [("eu-west-1", "aws"), ("ap-southeast-2", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")],
)
def test_partitions(region: str, partition: str) -> None:
    assert config.partition(region) == partition
