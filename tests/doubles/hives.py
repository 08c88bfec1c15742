"""Small hives of the registry, in the format that Windows writes: https://github.com/msuhanov/regf."""

import struct
from functools import reduce
from operator import xor

Values = dict[str, int | str]
Keys = dict[str, Values]  # values by the path of their key

BLOCK = 4096
NONE = 0xFFFFFFFF
ROOT_FLAGS, NAME_IS_ASCII = 0x2C, 0x20
REG_SZ, REG_DWORD = 1, 4
INLINE = 0x80000000


def make_hive(keys: Keys) -> bytes:
    """A hive with some keys, those above them, and their values: numbers or texts."""
    cells = _Cells()
    root = cells.reserve(_key_size("ROOT"))  # readers look for the root in the first cell
    _fill_key(cells, root, "", "ROOT", keys)
    return cells.close(root)


class _Cells:
    """The cells of the only bin, by their offsets in it."""

    def __init__(self) -> None:
        self.content = bytearray(32)  # the bin's header

    def reserve(self, size: int) -> int:
        offset = len(self.content)
        length = -(-(size + 4) // 8) * 8
        self.content += struct.pack("<i", -length).ljust(length, b"\0")
        return offset

    def fill(self, offset: int, data: bytes) -> int:
        self.content[offset + 4 : offset + 4 + len(data)] = data
        return offset

    def add(self, data: bytes) -> int:
        return self.fill(self.reserve(len(data)), data)

    def close(self, root: int) -> bytes:
        size = -(-len(self.content) // BLOCK) * BLOCK
        rest = size - len(self.content)
        if rest:
            self.content += struct.pack("<i", rest).ljust(rest, b"\0")
        self.content[:32] = struct.pack("<4sIIQQI", b"hbin", 0, size, 0, 0, 0)
        header = bytearray(BLOCK)
        struct.pack_into("<4sIIQIIIIIII", header, 0, b"regf", 1, 1, 0, 1, 5, 0, 1, root, size, 1)
        checksum = reduce(xor, struct.unpack_from("<127I", header))
        struct.pack_into("<I", header, 508, checksum)
        return bytes(header + self.content)


def _key_size(name: str) -> int:
    return 76 + len(name)


def _fill_key(cells: _Cells, offset: int, path: str, name: str, keys: Keys) -> int:
    prefix = f"{path}\\" if path else ""
    below = sorted(
        {key.removeprefix(prefix).partition("\\")[0] for key in keys if key.startswith(prefix) and key != path}
    )
    children = [
        _fill_key(cells, cells.reserve(_key_size(child)), f"{prefix}{child}", child, keys) for child in below if child
    ]
    listed = cells.add(_list_keys(children, below)) if children else NONE
    values = [_add_value(cells, key, value) for key, value in keys.get(path, {}).items()]
    valued = cells.add(struct.pack(f"<{len(values)}I", *values)) if values else NONE
    flags = NAME_IS_ASCII if path else ROOT_FLAGS
    head = struct.pack(
        "<2sHQIIIIIIIIII", b"nk", flags, 0, 0, NONE, len(children), 0, listed, NONE, len(values), valued, NONE, NONE
    )
    tail = struct.pack("<IIIIIHH", 0, 0, 0, 0, 0, len(name), 0)
    return cells.fill(offset, head + tail + name.encode())


def _list_keys(offsets: list[int], names: list[str]) -> bytes:
    pairs = b"".join(
        struct.pack("<I4s", offset, name[:4].encode()) for offset, name in zip(offsets, names, strict=True)
    )
    return struct.pack("<2sH", b"lf", len(offsets)) + pairs


def _add_value(cells: _Cells, name: str, value: int | str) -> int:
    if isinstance(value, int):
        kind, size, place = REG_DWORD, 4 | INLINE, value
    else:
        text = f"{value}\0".encode("utf-16-le")
        kind, size, place = REG_SZ, len(text), cells.add(text)
    return cells.add(struct.pack("<2sHIIIHH", b"vk", len(name), size, place, kind, 1, 0) + name.encode())
