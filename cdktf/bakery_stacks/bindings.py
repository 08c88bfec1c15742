"""The only door to cdktf and the provider bindings: everything of theirs that the stacks use comes from here.

`BAKERY_FRAMEWORK=cdktn` runs the same program on CDK Terrain, the fork that goes on where cdktf was archived. Both keep
the same names, so the package is all that differs.
"""

import importlib
import os
import re
from collections.abc import Iterator
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsii
from constructs import Construct, IConstruct

FRAMEWORK = os.environ.get("BAKERY_FRAMEWORK") or "cdktf"
PROVIDER = {"cdktf": "cdktf_cdktf_provider_{}", "cdktn": "cdktn_provider_{}"}[FRAMEWORK]

if TYPE_CHECKING:
    import cdktf as core
else:
    core = importlib.import_module(FRAMEWORK)


# On a class with `visit(node)`: cdktf then calls it for every construct of a stack.
aspect = jsii.implements(core.IAspect)


class Bindings:
    """The classes of one provider as attributes: `aws.S3Bucket`.

    A class lives in the submodule whose name begins its own (S3BucketVersioningA: s3_bucket_versioning), so only what
    is used gets imported: the root of the AWS package would import 2,135 modules (see `lazy`).
    """

    def __init__(self, provider: str) -> None:
        self._package = PROVIDER.format(provider)

    def __getattr__(self, name: str) -> Any:
        for module in self._modules(name):
            found = getattr(importlib.import_module(f"{self._package}.{module}"), name, None)
            if found is not None:
                setattr(self, name, found)
                return found
        raise AttributeError(f"{self._package} has no {name}")

    def _modules(self, name: str) -> Iterator[str]:
        """Submodules that may define `name`: the longest that begins it first, then the one of the provider itself."""
        words = re.findall(r"[A-Z][a-z0-9]*", name)
        names = ("_".join(words[:end]).lower() for end in range(len(words), 0, -1))
        known = submodules(self._package)
        return (found for found in (*names, "provider") if found in known)


@cache
def submodules(package: str) -> frozenset[str]:
    """Names of a package's modules, found without running it; listed once, since AWS's are 2,135 folders."""
    spec = PathFinder.find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    return frozenset(path.stem for folder in folders or () for path in Path(folder).iterdir())


aws = Bindings("aws")
azurerm = Bindings("azurerm")
vault = Bindings("vault")
vsphere = Bindings("vsphere")

__all__ = ["Construct", "IConstruct", "aspect", "aws", "azurerm", "core", "vault", "vsphere"]
