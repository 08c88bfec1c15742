"""The role by which Auto Scaling starts machines, and what it needs of an image's key."""

AUTO_SCALING = "AWSServiceRoleForAutoScaling"
AUTO_SCALING_PATH = "/aws-service-role/autoscaling.amazonaws.com/"
# What starting a machine from an encrypted image takes (EBS guide, "permissions for IAM users"), for a grant.
GRANTED = [
    "CreateGrant",
    "Decrypt",
    "DescribeKey",
    "GenerateDataKeyWithoutPlaintext",
    "ReEncryptFrom",
    "ReEncryptTo",
]
