"""The CDKTF program: typed environments and the catalog -> Terraform stacks."""

import os

from bakery.infra import node
from bakery_stacks import lazy, terrain

# All of it must stand before anything of cdktf is imported: that import starts Node.
os.environ.setdefault("JSII_NODE", str(node.binary()))
lazy.install()
if os.environ.get("BAKERY_FRAMEWORK") == "cdktn":
    terrain.install()
