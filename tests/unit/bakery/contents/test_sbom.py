"""A bill of materials that lacks a package is not accepted."""

from pathlib import Path
from typing import Any

import pytest

from bakery.contents.sbom import list_packages, require_packages, require_readable
from bakery.host.errors import BakeryError, UsageError
from bakery.model.contents import Package, SbomFormat

PURLS = {
    "acl": "pkg:deb/debian/acl@2.3.1-3?arch=amd64&distro=debian-12",
    "passwd": "pkg:deb/debian/passwd@1%3A4.13?arch=amd64&distro=debian-12&upstream=shadow",
}
PACKAGES = [Package("acl", "2.3.1-3", "amd64", "acl", ""), Package("passwd", "1:4.13", "amd64", "shadow", "")]
DOCUMENTS: dict[SbomFormat, dict[str, Any]] = {
    "cyclonedx": {
        "components": [
            {"name": "acl", "version": "2.3.1-3", "purl": PURLS["acl"]},
            {"name": "passwd", "version": "1:4.13", "purl": PURLS["passwd"]},
            {"name": "debian", "version": "12"},
        ]
    },
    "spdx": {
        "packages": [
            {"name": "acl", "versionInfo": "2.3.1-3", "externalRefs": [{"referenceLocator": PURLS["acl"]}]},
            {"name": "passwd", "versionInfo": "1:4.13", "externalRefs": [{"referenceLocator": PURLS["passwd"]}]},
            {"name": "web"},
        ]
    },
}


@pytest.mark.parametrize("name", ["cyclonedx", "spdx"])
def test_a_document_that_lacks_a_package_is_an_error(name: SbomFormat) -> None:
    require_packages(name, list_packages(name, DOCUMENTS[name]), PACKAGES)
    (entries,) = DOCUMENTS[name].values()
    shorter = dict.fromkeys(DOCUMENTS[name], entries[1:])
    with pytest.raises(BakeryError, match="lacks 1 of 2 packages") as error:
        require_packages(name, list_packages(name, shorter), PACKAGES)
    assert error.value.detail == "acl 2.3.1-3 amd64"


@pytest.mark.parametrize("name", ["cyclonedx", "spdx"])
def test_another_version_of_a_package_is_an_error(name: SbomFormat) -> None:
    with pytest.raises(BakeryError, match="lacks 1 of 2 packages"):
        require_packages(
            name, list_packages(name, DOCUMENTS[name]), [PACKAGES[0], Package("passwd", "4.13", "amd64", "shadow", "")]
        )


def test_a_workspace_that_syft_would_skip_is_refused(tmp_path: Path) -> None:
    """Real mounts: Linux has /dev/shm, whose files syft takes for the running system's."""
    require_readable(tmp_path)
    (tmp_path / "link").symlink_to("/dev/shm/absent")
    with pytest.raises(UsageError, match="syft reads no temporary file system below /dev or /run"):
        require_readable(tmp_path / "link" / "workspace")
