import json
from pathlib import Path
from typing import Any

import pytest

from bakery.clouds import manifest
from bakery.host.errors import BakeryError


@pytest.fixture
def output(tmp_path: Path) -> Path:
    folder = tmp_path / "output"
    folder.mkdir()
    (folder / "disk.qcow2").write_bytes(b"disk")
    (folder / "efivars.fd").write_bytes(b"variables")
    return folder


def write(output: Path, *names: str, custom: dict[str, str] | None = None, run: str = "now") -> Path:
    """A manifest of one run that made files, as Packer 1.11 writes it."""
    build = {
        "name": "image",
        "builder_type": "qemu",
        "build_time": 1795449059,
        "files": [{"name": str(output / name), "size": 4} for name in names] or None,
        "artifact_id": "VM",
        "packer_run_uuid": run,
        "custom_data": custom,
    }
    return write_raw(output, json.dumps({"builds": [build], "last_run_uuid": "now"}))


def write_raw(output: Path, text: str) -> Path:
    path = output.parent / "manifest.json"
    path.write_text(text)
    return path


def refused(path: Path, output: Path) -> BakeryError:
    with pytest.raises(BakeryError) as caught:
        manifest.disk(path, "web", "1.0.0", output)
    return caught.value


def test_the_disk_is_found_beside_the_firmware_variables(output: Path) -> None:
    path = write(output, "efivars.fd", "disk.qcow2", custom={"image": "web", "version": "1.0.0"})
    assert manifest.disk(path, "web", "1.0.0", output) == output / "disk.qcow2"


def test_a_template_need_not_say_what_it_builds(output: Path) -> None:
    assert manifest.disk(write(output, "disk.qcow2"), "web", "1.0.0", output) == output / "disk.qcow2"


def test_no_manifest(output: Path) -> None:
    error = refused(output / "manifest.json", output)
    assert "wrote no manifest" in error.message
    assert "var.manifest" in error.hint


@pytest.mark.parametrize(
    "text",
    ["", "not json", "[]", "{}", '{"builds": [], "last_run_uuid": 5}', '{"builds": [{}], "last_run_uuid": "now"}'],
)
def test_garbage(output: Path, text: str) -> None:
    error = refused(write_raw(output, text), output)
    assert "cannot be read" in error.message
    assert error.where.endswith("manifest.json")


def test_no_build_of_this_run(output: Path) -> None:
    assert "this run made 0" in refused(write(output, "disk.qcow2", run="before"), output).message


@pytest.mark.parametrize("told", [{"image": "other"}, {"version": "9.9.9"}])
def test_another_image_or_version(output: Path, told: dict[str, Any]) -> None:
    name, value = next(iter(told.items()))
    assert f"built {name} {value}, not" in refused(write(output, "disk.qcow2", custom=told), output).message


def test_no_disk_among_the_files(output: Path) -> None:
    assert "Packer made efivars.fd, not one disk" in refused(write(output, "efivars.fd"), output).message
    assert "Packer made nothing, not one disk" in refused(write(output), output).message


def test_two_disks(output: Path) -> None:
    assert "not one disk" in refused(write(output, "disk.qcow2", "data.qcow2"), output).message


def test_a_disk_elsewhere_is_not_taken(output: Path) -> None:
    (output.parent / "other.qcow2").touch()
    assert "outside the folder" in refused(write(output, "../other.qcow2"), output).message


def test_a_link_does_not_lead_elsewhere(output: Path) -> None:
    (output.parent / "other.qcow2").touch()
    (output / "link.qcow2").symlink_to(output.parent / "other.qcow2")
    assert "outside the folder" in refused(write(output, "link.qcow2"), output).message


def test_a_disk_that_is_not_there(output: Path) -> None:
    assert "does not exist" in refused(write(output, "gone.raw"), output).message
