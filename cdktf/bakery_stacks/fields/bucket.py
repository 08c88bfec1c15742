"""Names of buckets."""

from typing import Annotated

from bakery.model.fields import TextFormat

# S3's rules for names that work as host names; no dots, which TLS certificates of virtual-hosted buckets do not cover.
BUCKET = r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]"

Bucket = Annotated[
    str,
    TextFormat(f"^{BUCKET}$", "the name of a bucket: 3 to 63 lower-case letters, digits and hyphens", "example-images"),
]
