"""The files that packages own, from the database of dpkg or rpm on a disk."""

from bakery.host import files, process
from bakery.verify.inspection import InspectedDisk

DPKG = "/var/lib/dpkg/info"
DIVERSIONS = "/var/lib/dpkg/diversions"  # dpkg-divert(1): the other name of a package's file
RPM = ("/usr/lib/sysimage/rpm", "/var/lib/rpm")  # the first since Fedora 36; the second is a link to it there
MOVED = ("/bin/", "/sbin/", "/lib")  # below /usr on the disk, and not always in the database


def list_owned(disk: InspectedDisk) -> set[str] | None:
    """The paths of all files of packages; None without a database that can be read here."""
    if lists := disk.files.match(DPKG, "*.list"):
        texts = disk.files.read_all([*lists, DIVERSIONS])
        paths = {path for text in texts.values() for path in text.splitlines()}
        return paths | {f"/usr{path}" for path in paths if path.startswith(MOVED)}
    database = next((path for path in RPM if disk.files.list(path)), None)
    if database and process.which("rpm"):
        with files.scratch(disk.raw.parent, "rpm") as scratch:
            disk.root.copy([database], scratch)
            query = ("--query", "--all", "--queryformat", "[%{FILENAMES}\\n]")
            return set(process.run(["rpm", "--dbpath", f"{scratch.absolute()}{database}", *query]).stdout.splitlines())
    return None
