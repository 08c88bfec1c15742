"""The role by which Auto Scaling starts machines, and the operations it needs of an image's key."""

AUTO_SCALING = "AWSServiceRoleForAutoScaling"
AUTO_SCALING_PATH = "/aws-service-role/autoscaling.amazonaws.com/"
# A grant for starting machines from an encrypted image (EBS guide, "permissions for IAM users").
GRANTED = [
    "CreateGrant",
    "Decrypt",
    "DescribeKey",
    "GenerateDataKeyWithoutPlaintext",
    "ReEncryptFrom",
    "ReEncryptTo",
]
