"""Tables of the rules for the content of images: the reason, the source, and the way to pass."""

from collections.abc import Iterator, Mapping

from bakery.verify import hygiene, windows
from bakery.verify.rule import Rule

INTRODUCTION = """\
`bakery verify` applies these rules to the files of a baked disk, without booting it. For an image that Packer builds at
a target, `bakery bake` reads the disk back from its cloud and applies them to it. A broken rule fails the verdict, so
the version is not published.
"""
EXEMPTING = """\
## Exempt an image

A definition can exempt its image from a rule, with a reason and optionally a last day:

```yaml
exemptions:
  - rule: no swap file
    reason: The application needs its memory in the first second.
    until: "2027-06-30"
```

The check then passes, and the verdict shows the reason and what the rule found. After the last day the rule counts
again. An exemption from `no passwords` also keeps the seal from locking logins, so the image is baked again.
"""
LIMITS = """\
## Limits

- **Free blocks** are read on ext2, ext3, ext4, FAT16 and FAT32 and in swap partitions. The verdict names each other
  partition as `free blocks were not read`. The seal fills free space of XFS and btrfs with zeros. On NTFS nothing does.
  Names of deleted files stay in folders, and old metadata in a journal.
- **The owners of setuid programs** come from the database of dpkg or rpm. The verdict says so if it cannot read them.
- **Private keys** are found by name (`*.key`, `*.pem`, `*_key`, `id_*`, `*.ppk`) below `/etc` and in home folders, and
  then by content.
- **XFS, btrfs, LVM and NTFS** are read
  [through guestfish](../how-to/see-what-is-in-an-image.md#read-xfs-btrfs-lvm-and-ntfs).
"""


def page() -> Iterator[str]:
    """The lines of the page."""
    yield "# Rules for images\n"
    yield INTRODUCTION
    yield "## Linux\n"
    yield from _table(hygiene.RULES)
    yield "\n## Windows\n"
    yield from _table(windows.RULES)
    yield ""
    yield EXEMPTING
    yield LIMITS.rstrip() + "\n"


def _table(rules: Mapping[str, Rule]) -> Iterator[str]:
    yield "| rule | reason | source | to pass |\n|---|---|---|---|"
    for rule in rules.values():
        yield f"| {rule.name} | {rule.reason} | {rule.source} | {rule.remedy} |"
