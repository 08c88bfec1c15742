"""Debian images by diskimage-builder, in an environment of Python that is made once in the cache.

Its element `debian-minimal` always adds a kernel, busybox and gnupg, so an element of our own takes its place: the same
steps, with the packages that are asked for. Like mkosi's image, this one gets no boot loader. As root, `sudo` only sets
variables here. Where the kernel has no device mapper, a script does what diskimage-builder asks of kpartx and dmsetup.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import programs

VERSION = "3.43.0"
MIRROR = "http://deb.debian.org"
# A file /dev/mapper/control may be there without it.
DEVICE_MAPPER = "device-mapper" in Path("/proc/misc").read_text().split()
PROGRAMS = ("debootstrap", "qemu-img", "partx", *(("kpartx", "dmsetup") if DEVICE_MAPPER else ()))
SUDO = """\
#!/bin/sh
while case "$1" in -*) true ;; *) false ;; esac; do shift; done
exec env "$@"
"""
KPARTX = """\
#!/bin/sh -e
for device; do :; done
case "$1" in
-d)
  # A program that copied the mount into a namespace holds the partition for a moment.
  for _ in 1 2 3 4 5 6 7 8 9 10; do partx -d "$device" && break; sleep 1; done
  rm -f "/dev/mapper/${device##*/}p"* ;;
*)
  partx -a "$device"
  mkdir -p /dev/mapper
  for part in "$device"p*; do ln -sf "$part" /dev/mapper/; done ;;
esac
"""
DMSETUP = "#!/bin/sh\n"
ENVIRONMENT = """\
export DISTRO_NAME=debian DIB_RELEASE={suite} DIB_INIT_SYSTEM=systemd DIB_DISTRIBUTION_MIRROR={mirror}/debian
"""
BASE = """\
#!/bin/sh -eu
sudo mount -t proc none "$TARGET_ROOT/proc"
trap 'sudo umount "$TARGET_ROOT/proc"' EXIT
mkdir -p "$TARGET_ROOT/etc/apt/sources.list.d"
cat > "$TARGET_ROOT/etc/apt/sources.list.d/debian.list" <<END
deb {mirror}/debian {suite} main
deb {mirror}/debian {suite}-updates main
deb {mirror}/debian-security {suite}-security main
END
sudo chroot "$TARGET_ROOT" apt-get update
sudo chroot "$TARGET_ROOT" apt-get dist-upgrade -y
sudo chroot "$TARGET_ROOT" apt-get install -y --no-install-recommends systemd-sysv sudo python3
"""


class ImageBuilder:
    """Builds one image, from nothing each time: diskimage-builder has no layers."""

    def __init__(self, folder: Path, suite: str, packages: Iterable[str]) -> None:
        self._folder = folder
        self._packages = packages
        self._element = folder / "elements" / "peer"
        values = {"suite": suite, "mirror": MIRROR}
        for name, text in {
            "elements/peer/element-deps": "debootstrap\npkg-map\n",
            "elements/peer/element-provides": "operating-system\n",
            "elements/peer/environment.d/10-peer.bash": ENVIRONMENT.format(**values),
            "elements/peer/root.d/75-peer": BASE.format(**values),
            "programs/sudo": SUDO,
            **({} if DEVICE_MAPPER else {"programs/kpartx": KPARTX, "programs/dmsetup": DMSETUP}),
        }.items():
            _write_program(folder / name, text)

    @property
    def disk(self) -> Path:
        return self._folder / "disk.qcow2"

    def write_file(self, number: int) -> None:
        _write_program(self._element / "install.d" / "99-note", f'#!/bin/sh\necho "text {number}" > /etc/note\n')

    def build(self) -> float:
        """Wall seconds; RuntimeError with the last line of its log that names an error if it fails."""
        options = [
            *("-n", "-x", "-a", "amd64", "-t", "qcow2", "-u", "--image-size", "4"),
            *("-o", str(self.disk.with_suffix("")), "-p", ",".join(self._packages)),
        ]
        # Scripts of packages see TMPDIR in the image, where this machine's folder is not.
        environment = {name: value for name, value in os.environ.items() if name != "TMPDIR"}
        environment |= {
            "PATH": f"{self._folder / 'programs'}:{_folder() / 'bin'}:{os.environ['PATH']}",
            "ELEMENTS_PATH": str(self._folder / "elements"),
            "DIB_IMAGE_CACHE": str(self._folder / "cache"),
        }
        log = self._folder / "log"
        began = time.monotonic()
        with log.open("wb") as stream:
            done = subprocess.run(
                ["disk-image-create", *options, "peer", "block-device-mbr"],
                check=False,
                cwd=self._folder,
                env=environment,
                stdout=stream,
                stderr=subprocess.STDOUT,
            )
        seconds = time.monotonic() - began
        if done.returncode:
            lines = log.read_text(errors="replace").splitlines()
            errors = [line for line in lines if "rror" in line or "fail" in line]
            raise RuntimeError((errors or lines)[-1])
        return seconds


def install() -> None:
    """Make the environment of Python, if it is not there."""
    folder = _folder()
    if not (folder / "bin" / "disk-image-create").exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        requirement = f"diskimage-builder=={VERSION}"
        subprocess.run([folder / "bin" / "pip", "install", "--quiet", requirement], check=True)


def _folder() -> Path:
    return programs.FOLDER / f"diskimage-builder-{VERSION}"


def _write_program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
