from string import Template

import pytest

from bakery.host.errors import BakeryError
from bakery.layers.mirrors import list_mirrors, read_metalink

METALINK = Template("""\
<metalink xmlns="http://www.metalinker.org/" xmlns:mm0="http://fedorahosted.org/mirrormanager">
 <files>
  <file name="comps.xml"><verification><hash type="sha256">${other}</hash></verification></file>
  <file name="repomd.xml">
   <verification><hash type="sha512">${other}</hash>${hash}</verification>
   <mm0:alternates>
    <mm0:alternate><verification><hash type="sha256">${other}</hash></verification></mm0:alternate>
   </mm0:alternates>
  </file>
 </files>
</metalink>
""")
HASH = '<hash type="sha256">{}</hash>'
ENTITIES = "".join(f'<!ENTITY a{level} "{f"&a{level - 1};" * 10}">' for level in range(1, 12))


def metalink(*digests: str) -> bytes:
    return METALINK.substitute(other="b" * 64, hash="".join(map(HASH.format, digests))).encode()


def test_the_newest_state_counts() -> None:
    """Neither an older one, nor another file, nor another kind of digest."""
    assert read_metalink(metalink("a" * 64)) == "a" * 64
    assert read_metalink(metalink(f" {'A' * 64}\n")) == "a" * 64


@pytest.mark.parametrize(
    "document", [metalink(), metalink(""), metalink("a" * 63), metalink("a" * 64, "c" * 64), b"<metalink/>"]
)
def test_a_metalink_that_names_no_single_state(document: bytes) -> None:
    with pytest.raises(BakeryError, match="does not name one SHA-256"):
        read_metalink(document)


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"http://mirror.example/9/\n",
        metalink("a" * 64)[:-3],
        b'<?xml version="1.0" encoding="unknown"?><metalink/>',
        b'<?xml version="1.0" encoding="base64"?><metalink/>',
        b'<?xml version="1.0" encoding="gb2312"?><metalink/>',
        b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]><a>&b;</a>',
        f'<!DOCTYPE a [<!ENTITY a0 "ha">{ENTITIES}]><a>&a11;</a>'.encode(),
    ],
)
def test_a_metalink_that_is_broken(document: bytes) -> None:
    """Entities neither grow without a limit, nor read a file."""
    with pytest.raises(BakeryError, match="cannot be parsed"):
        read_metalink(document)


def test_mirrors_are_in_the_order_of_their_list() -> None:
    text = b"# http://no.example/\n\n  https://two.example/9/\r\nftp://three.example/\nhttp://one.example/9\n"
    assert list_mirrors(text) == ["https://two.example/9/", "http://one.example/9"]


@pytest.mark.parametrize(
    "text", [b"", b"<html>", b"file:///etc/\n/etc/\n", b"http://a\0b.example/\nhttp://a b/\n", b"http://\xff\n"]
)
def test_a_list_without_mirrors(text: bytes) -> None:
    """None is a file of this machine, or would be more than one argument of a program."""
    with pytest.raises(BakeryError, match="names none that can be asked by HTTP"):
        list_mirrors(text)
