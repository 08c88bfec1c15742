"""AWS: AMIs in regions, shared with accounts, and SSM parameters that point at them."""

from collections.abc import Mapping
from contextlib import AbstractContextManager

from bakery.clouds.aws.builder import BUILDER, REQUIRED, VARIABLES, WEB_IDENTITY
from bakery.clouds.aws.settings import AwsBase, AwsDistribution
from bakery.clouds.cloud import Cloud, Topic, Where
from bakery.clouds.read_back import ReadRequest
from bakery.clouds.target import Target
from bakery.machine.block_stream import BlockStream
from bakery.model.bucket import Bucket
from bakery.model.definition import ImageDefinition
from bakery.model.documents import VendorBase
from bakery.model.project import Project

AUDIENCE = "sts.amazonaws.com"  # before /DUTY: of the ID tokens that the roles of jobs accept (the stack `runner`)


def _open_target(_project: Project, definition: ImageDefinition, credentials: Mapping[str, str]) -> Target:
    from bakery.clouds.aws.target import AwsTarget  # boto3 takes 150 ms to import

    return AwsTarget(definition, credentials)


def _try_login(definition: ImageDefinition, credentials: Mapping[str, str]) -> None:
    from bakery.clouds.aws.session import connect  # boto3 takes 150 ms to import

    aws = definition.distribution.of(AwsDistribution)
    assert aws  # the definition's own rule: target aws needs distribution.aws
    connect(aws.regions[0], credentials)


def _open_topic(arn: str) -> Topic:
    from bakery.clouds.aws.topics import SnsTopic  # boto3 takes 150 ms to import

    return SnsTopic(arn)


def _open_bucket(location: str) -> Bucket:
    from bakery.clouds.aws.bucket import S3Bucket  # boto3 takes 150 ms to import

    return S3Bucket(location)


def _find_base(definition: ImageDefinition, credentials: Mapping[str, str]) -> VendorBase:
    from bakery.clouds.aws.bases import find_base  # boto3 takes 150 ms to import

    return find_base(definition, credentials)


def _open_disk(request: ReadRequest) -> AbstractContextManager[BlockStream]:
    from bakery.clouds.aws.read_back import open_disk  # boto3 takes 150 ms to import

    return open_disk(request)


def _check_settings(definition: ImageDefinition, where: Where) -> None:
    from bakery.clouds.aws.regions import check_regions  # boto3 takes 150 ms to import

    check_regions(definition, where)


CLOUD = Cloud(
    "aws",
    BUILDER,
    _open_target,
    AwsBase,
    AwsDistribution,
    credentials=REQUIRED,
    login_variables=(*VARIABLES.values(), *WEB_IDENTITY),
    id_tokens={"AWS_ID_TOKEN": AUDIENCE},
    check=_check_settings,
    try_login=_try_login,
    open_topic=_open_topic,
    open_bucket=_open_bucket,
    find_base=_find_base,
    open_disk=_open_disk,
    incremental=True,
)
