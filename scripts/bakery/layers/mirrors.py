"""Lists of mirrors of dnf: a metalink has the SHA-256 of repomd.xml, a mirrorlist only the addresses of mirrors."""

import re
from xml.etree import ElementTree

from bakery.host.errors import BakeryError

# Before the address of a list of mirrors, in the lines of ansible/playbooks/layers/archives/RedHat.sh.
METALINK, MIRRORLIST = "metalink+", "mirrorlist+"
# Alternates, which dnf accepts as well, are elsewhere in the tree. dnf reads version 3 of the format only.
NAMESPACES = {"metalink": "http://www.metalinker.org/"}
HASH = "metalink:files/metalink:file[@name='repomd.xml']/metalink:verification/metalink:hash[@type='sha256']"
SHA256 = re.compile(r"[0-9a-f]{64}")
# A path or a file:// address would name a file of the machine that asks.
MIRROR = re.compile(r"https?://[!-~]+")
HINT = "name one mirror with 'baseurl' in the image's *.repo file"


def read_metalink(document: bytes) -> str:
    """The SHA-256 of the newest repomd.xml that a metalink names; BakeryError if it does not name exactly one."""
    try:
        root = ElementTree.fromstring(document)  # noqa: S314 - it is short, and expat limits how far entities grow
    except (ElementTree.ParseError, LookupError, ValueError) as error:  # the latter two for unknown encodings
        raise BakeryError("the metalink cannot be parsed", detail=str(error), hint=HINT) from error
    hashes = [(part.text or "").strip().lower() for part in root.findall(HASH, NAMESPACES)]
    if len(hashes) != 1 or not SHA256.fullmatch(hashes[0]):
        raise BakeryError("the metalink does not name one SHA-256 of repomd.xml", hint=HINT)
    return hashes[0]


def list_mirrors(document: bytes) -> list[str]:
    """The addresses by HTTP in a mirrorlist, in its order; BakeryError if there is none."""
    lines = (line.strip() for line in document.decode(errors="replace").splitlines())
    mirrors = [line for line in lines if MIRROR.fullmatch(line)]
    if not mirrors:
        raise BakeryError("the list of mirrors names none that can be asked by HTTP", hint=HINT)
    return mirrors
