"""The CDKTF program: typed environments and the catalog -> Terraform stacks."""

import os

from bakery.infra import node
from bakery_stacks import lazy, terrain

# This has to run before any import of cdktf: that import starts Node.
os.environ.setdefault("JSII_NODE", str(node.find_node()))
lazy.install()
if os.environ.get("BAKERY_FRAMEWORK") == "cdktn":
    terrain.install()
