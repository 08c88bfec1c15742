"""AWS: raw disk -> snapshot -> AMI -> copies -> shares -> SSM parameters; each step finds before it creates."""

from bakery.publish.aws.regions import check_regions
from bakery.publish.aws.target import AwsTarget

__all__ = ["AwsTarget", "check_regions"]
