"""Measures, prints, and writes the table of benchmarks/RESULTS.md: ratios of one run on a machine, losses included."""

import argparse
import os
import platform
import tempfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import bakes
import blocks
import catalog_scale
import coldsnap
import contents
import footprint
import layers
import lookup
import patches
import peer
import plan
import reads
import release
import secret_search
import synth
import validate

RESULTS = Path(__file__).with_name("RESULTS.md")
TABLE_HEAD = "| what | goal | measured | |\n|---|---|---|---|"
PARTS = (
    "plan",
    "patches",
    "validate",
    "synth",
    "contents",
    "secrets",
    "lookup",
    "catalog",
    "release",
    "blocks",
    "layers",
    "peer",
    "bakes",
    "reads",
    "footprint",
)


def main() -> None:
    """Run the parts that were asked for, and print what they gave; all parts together replace the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "parts",
        nargs="*",
        choices=[*PARTS, []],
        help="all by default; bakes, reads and footprint take about 10 min each",
    )
    parts = tuple(parser.parse_args().parts) or PARTS
    with tempfile.TemporaryDirectory(prefix="bakery-bench-") as folder:
        lines = [line for part in parts for line in _rows(part, Path(folder) / part)]
    report = "\n".join([*_head(), *lines, ""])
    print(report)
    if parts == PARTS:
        RESULTS.write_text(f"{report}\n{_read_notes()}")


def _read_notes() -> str:
    """What people wrote below the table."""
    _, _, below = RESULTS.read_text().partition(TABLE_HEAD)
    return below.partition("\n\n")[2]


def _head() -> Iterator[str]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    yield "# Results\n\n`make bench` writes the table, and people write the notes below it."
    yield "Ratios of one run; seconds only say what was compared.\n"
    yield f"{datetime.now(UTC):%Y-%m-%d}, {_cpu()}, {os.cpu_count()} cores, {memory} GiB, kernel {platform.release()},"
    yield f"Python {platform.python_version()}.\n"
    yield TABLE_HEAD


def _cpu() -> str:
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if "model name" in line
    ]
    return names[0] if names else platform.machine()


def _rows(part: str, folder: Path) -> Iterator[str]:
    folder.mkdir()
    match part:
        case "plan":
            seconds = plan.measure(folder)
            yield _row("no-op plan of 1,000 definitions", "< 1 s", f"{seconds[1000]:.2f} s", seconds[1000] < 1)
            yield _row("the same, 10,000 definitions", "≤ 6 s", f"{seconds[10_000]:.2f} s", seconds[10_000] <= 6)
            text = ", ".join(f"{seconds[size]:.2f} s for {size:,}" for size in plan.SIZES)
            yield _note("the same, by number of definitions", text)
        case "patches":
            yield from _patches(patches.measure(folder))
        case "validate":
            yield from _validation(validate.measure(folder))
        case "synth":
            cpu = synth.measure(folder)
            ratio = cpu["lazy"] / cpu["eager"]
            text = f"{ratio:.2f} ({cpu['lazy']:.1f} of {cpu['eager']:.1f} CPU s)"
            yield _row("`cdktf/main.py` of all stacks", "≤ 2 CPU s", f"{cpu['lazy']:.1f} CPU s", cpu["lazy"] <= 2)
            yield _row("`cdktf/main.py`, all stacks, lazy bindings over eager", "≤ 0.15", text, ratio <= 0.15)
        case "contents":
            reading, whole = contents.measure(folder)
            yield _row(
                "contents of a web server's disk, with bills of materials", "≤ 10 s", f"{reading:.1f} s", reading <= 10
            )
            text = f"{reading / whole:.2f} ({reading:.1f} of {whole:.1f} s)"
            yield _note("the same, without folders that hold no packages over with them", text)
        case "secrets":
            yield from _searches(secret_search.measure(folder))
        case "lookup":
            yield from _lookups(folder)
        case "catalog":
            yield from _catalog(catalog_scale.measure(folder))
        case "release":
            yield from _releases(release.measure(folder))
        case "blocks":
            yield from _uploads(blocks.measure(folder))
        case "layers":
            yield from _layers(layers.measure(folder))
        case "peer":
            for found in peer.measure(folder):
                yield from _compared(found)
        case "bakes":
            yield from _bakes(bakes.measure(folder))
        case "reads":
            yield from _reads(reads.measure(folder))
        case "footprint":
            yield from _footprints(footprint.measure(folder))


def _layers(found: layers.Layered) -> Iterator[str]:
    what = "chroot bake of packages and three roles with layers, over the same without: "

    def text(seconds: float) -> str:
        return f"{seconds / found.fresh:.2f} ({seconds:.1f} of {found.fresh:.1f} s)"

    for change, seconds in (
        ("nothing changed", found.nothing),
        ("a comment of the definition changed", found.comment),
    ):
        yield _row(f"`bakery bake`, {change}", "< 1 s", f"{seconds:.2f} s", seconds < 1)
    yield _row(f"{what}the last role changed", "≤ 4 s", text(found.last_role), found.last_role <= 4)
    yield _row(f"{what}one variable changed", "≤ 4 s", text(found.variable), found.variable <= 4)
    yield _note(f"{what}the first role changed", text(found.first_role))
    resumed = found.resumed / found.fresh
    yield _row(f"{what}after the last role failed", "≤ 0.4", text(found.resumed), resumed <= 0.4)


def _compared(found: peer.Compared | peer.Missing) -> Iterator[str]:
    what = f"chroot bake of a web server over {found.rival}"
    if isinstance(found, peer.Missing):
        yield _note(what, f"not measured: {found.reason}")
        return
    if found.differ:
        yield _note(what, f"void: {found.differ} of {found.packages} packages are in one image alone")
        return
    for change, (ours, theirs) in (
        ("from nothing", found.cold),
        ("nothing changed", found.nothing),
        ("one file changed", found.one_file),
    ):
        yield _row(f"{what}, {change}", "≤ 1.0", f"{ours / theirs:.2f} ({ours:.1f} of {theirs:.1f} s)", ours <= theirs)


def _validation(found: validate.Validation) -> Iterator[str]:
    ratio = found.side_by_side / found.one_by_one
    text = f"{ratio:.2f} ({found.side_by_side:.1f} of {found.one_by_one:.1f} s)"
    yield _note(f"Packer's validator on {found.files} image files, side by side over one after the other", text)
    growth = found.by_size[1000] / found.by_size[10]
    text = f"{growth:.1f} ({found.by_size[1000]:.2f} of {found.by_size[10]:.2f} s)"
    yield _note("`bakery validate`, 1,000 definitions over 10", text)


def _patches(found: patches.Patches) -> Iterator[str]:
    suites = len(patches.SUITES)
    what = f"refresh of 1,000 images on {suites} archives, nothing new"
    yield _row(what, "≤ 5 s", f"{found.refresh:.1f} s", found.refresh <= 5)
    yield _row("the same, requests to archives", f"≤ {suites}", str(found.requests), found.requests <= suites)
    yield _row("no-op plan of 1,000 definitions with observations", "< 1 s", f"{found.plan:.2f} s", found.plan < 1)
    yield _row("comparison of two versions", "< 1 s", f"{found.compare:.2f} s", found.compare < 1)


def _searches(result: secret_search.Result) -> Iterator[str]:
    per_gib = result.search_seconds * (1 << 30) / result.size
    what = f"search of 1 GiB of this machine's programs for {secret_search.SECRETS} secrets"
    yield _row(what, "< 5 CPU s", f"{per_gib:.1f} CPU s", per_gib < 5)
    yield _row("the same, false alarms", "0", str(result.alarms), not result.alarms)
    ratio = result.search_seconds / result.hash_seconds
    speed = result.size / 1e6 / result.search_seconds
    yield _note("the same, over its SHA-256", f"{ratio:.1f} ({speed:.0f} MB in a CPU second)")


def _lookups(folder: Path) -> Iterator[str]:
    shape = (100, 100)
    hit, miss = (lookup.measure_delayed(folder / "delayed", *shape, name) for name in (lookup.HIT, lookup.MISS))
    moto = lookup.measure_moto(folder / "moto", *shape, lookup.HIT)
    what = "`bakery show AMI` among 10,000 versions of 100 images"
    delay = f"{lookup.DELAY * 1000:.0f} ms a request"
    for name, found in ((f"{what}, {delay}", hit), ("the same, an AMI that no version has", miss)):
        text = f"{found.seconds:.1f} s, {found.requests:,} requests"
        yield _row(name, "< 2 s", text, found.seconds < 2)
    text = f"{moto.seconds:.1f} s, {moto.requests:,} requests"
    yield _row(f"{what}, moto's S3", "< 2 s", text, moto.seconds < 2)


def _catalog(found: catalog_scale.Scale) -> Iterator[str]:
    versions = catalog_scale.IMAGES * catalog_scale.VERSIONS
    what = f"no-op plan of {catalog_scale.IMAGES:,} images with {versions:,} versions in S3"
    what += f", {lookup.DELAY * 1000:.0f} ms a request"
    yield _row(what, "≤ 2 s", f"{found.plan.seconds:.1f} s", found.plan.seconds <= 2)
    yield _row("the same, requests", "≤ 10", str(found.plan.requests), found.plan.requests <= 10)
    for name, one in (
        (f"the same, after moves of {catalog_scale.MOVES} channels", found.plan_after_moves),
        ("the same without heads, in a store in memory", found.plan_of_records),
        ("a snapshot, which reads all images", found.snapshot),
        (f"a listing of one image with {catalog_scale.MANY_VERSIONS} versions", found.image),
        ("a listing of all versions", found.all),
    ):
        yield _note(name, f"{one.seconds:.1f} s, {one.requests:,} requests")


def _releases(found: release.Releases) -> Iterator[str]:
    regions, accounts = release.MANY
    locations = f"{regions * accounts} locations ({regions} regions, {accounts} accounts)"
    call = f"{release.DELAY} s a call"
    groups = (("", found.quick), (f", copies take {release.COPY_SECONDS:.0f} s", found.slow))
    for note, group in groups:
        many, least = group[release.MANY], group[release.LEAST]
        for step, seconds in many.seconds.items():
            ratio = seconds / least.seconds[step]
            text = f"{ratio:.2f} ({seconds:.1f} of {least.seconds[step]:.1f} s, {many.cpu[step]:.1f} CPU s)"
            yield _row(
                f"{step} to {locations}, {call}{note}, over the slowest single location", "≤ 1.2", text, ratio <= 1.2
            )
    for step in release.STEPS:
        many = found.quick[release.MANY]
        serial = many.calls[step] * release.DELAY
        text = f"{many.seconds[step] / serial:.2f} ({many.seconds[step]:.1f} of {serial:.0f} s)"
        yield _note(f"{step} to {locations}, {call}, over one call after another", text)
    for step in release.STEPS:
        counts = (
            f"{each.calls[step] / (shape[0] * shape[1]):.1f} of {shape[0] * shape[1]}"
            for shape, each in found.quick.items()
            if shape in release.SHAPES
        )
        yield _note(f"{step}, calls per location", ", ".join(counts))


def _uploads(found: blocks.Uploads) -> Iterator[str]:
    for name, each in found.uploaded.items():
        ratio = each.sent / each.changed
        counts = f"{each.sent:,} of {each.blocks:,} blocks, {each.sent >> 1:,} MiB"
        text = f"{ratio:.2f} ({counts}; {each.filled:,} are not zeros, {each.became_zero} became zero)"
        yield _row(f"upload to AWS, {name}, blocks sent over blocks changed", "1.0", text, ratio == 1)
    if not found.coldsnap:
        yield _note("upload to AWS over coldsnap", f"not measured: {coldsnap.INSTALL}")
    for name, each in found.uploaded.items():
        for variant, rival in each.rivals.items():
            what = f"upload to AWS, {name}, over coldsnap {found.coldsnap}{variant}"
            counts = f"{each.sent:,} of {rival.sent:,} PUTs, {each.sent >> 1:,} of {rival.sent >> 1:,} MiB"
            if rival.wrong:
                yield _note(
                    what, f"void: {rival.wrong} blocks of coldsnap's snapshot are not those of the disk ({counts})"
                )
            else:
                yield _row(what, "≤ 1.0", f"{each.sent / rival.sent:.2f} ({counts})", each.sent <= rival.sent)


def _bakes(found: bakes.Bakes) -> Iterator[str]:
    where = f"accelerator {found.accelerator}"
    extra = found.saved_boot - found.packer
    text = f"{extra / found.packer:.1%}, {extra:.1f} s more than {found.packer:.0f} s"
    yield _row(
        f"`bakery bake` over its Packer ({where})", "≤ 2 % or 1.5 s", text, extra <= max(1.5, 0.02 * found.packer)
    )
    for name, seconds, goal in (("vm mode with a cold boot", found.vm, 0.8), ("chroot mode", found.chroot, 0.1)):
        ratio = seconds / found.stock
        text = f"{ratio:.2f} ({seconds:.0f} of {found.stock:.0f} s)"
        yield _row(f"{name} over Packer with plugin defaults ({where})", f"≤ {goal}", text, ratio <= goal)
    what = f"over Packer with plugin defaults ({where})"
    for name, seconds, goal in (
        ("from a saved boot", found.saved_boot, 0.5),
        ("whose last role changed, from a layer and its saved boot", found.layered, 0.3),
    ):
        ratio = seconds / found.stock
        text = f"{ratio:.2f} ({seconds:.0f} of {found.stock:.0f} s)"
        yield _row(f"vm mode {name}, {what}", f"≤ {goal}", text, ratio <= goal)
    what = "`updates: all` over a base without updates"
    chroot = found.updates["chroot"]
    yield _row(f"{what}, chroot mode", "≤ 3 s", f"{chroot:.1f} s", chroot <= 3)
    yield _note(f"{what}, vm mode ({where}), its tasks", f"{found.updates['vm']:.1f} s")


def _reads(found: dict[str, reads.Reads]) -> Iterator[str]:
    for mode, each in found.items():
        what = f"reads of a new disk in one `bakery run` to a local store and AWS, {mode} mode"
        text = f"{each.times:.1f} ({each.disk.total() / 1e6:,.0f} of {each.data / 1e6:,.0f} MB)"
        yield _row(what, "≤ 3", text, each.times <= 3)
        by_name: Counter[str] = Counter()
        for reader, size in each.disk.items():
            by_name[reader.name] += size
        for name, sizes in (("by reader", by_name), ("of other disks", each.others)):
            shares = (
                f"{reader} {size / each.data:.1f}" for reader, size in sizes.most_common() if size > each.data / 20
            )
            yield _note(f"the same, {name}", ", ".join(shares))


def _footprints(found: dict[str, footprint.Footprint]) -> Iterator[str]:
    stock = found["stock"]
    for mode in ("chroot", "vm"):
        each = found[mode]
        what = f"of a {mode} bake over Packer with plugin defaults"
        text = f"{each.memory / stock.memory:.2f} ({each.memory >> 20:,} of {stock.memory >> 20:,} MiB; "
        text += f"{each.anonymous >> 20:,} of {stock.anonymous >> 20:,} without pages of files)"
        yield _row(f"peak memory {what}", "≤ 1.0", text, each.memory <= stock.memory)
        text = f"{each.disk / stock.disk:.2f} ({each.disk >> 20:,} of {stock.disk >> 20:,} MiB)"
        yield _row(f"peak disk {what}", "≤ 1.0", text, each.disk <= stock.disk)


def _row(what: str, goal: str, measured: str, met: bool) -> str:
    return f"| {what} | {goal} | {measured} | {'met' if met else 'missed'} |"


def _note(what: str, measured: str) -> str:
    return f"| {what} | | {measured} | |"


if __name__ == "__main__":
    main()
