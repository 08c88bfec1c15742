"""Small vulnerability databases in grype's own format, with CVEs of Debian as its security tracker has them."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from doubles import go_program

SOURCES = Path(__file__).parents[2] / "tools" / "go" / "grype"


@dataclass(frozen=True)
class Entry:
    """A vulnerability of a Debian source package; `fixed` is the first version without it, empty if there is none."""

    id: str
    severity: str
    source: str
    fixed: str = ""
    release: str = "12"


# https://security-tracker.debian.org/tracker/CVE-2025-9230 and so on. Grype itself drops a few, such as CVE-2023-45853.
OPENSSL = Entry("CVE-2025-9230", "High", "openssl", "3.0.17-1~deb12u3")
SYSTEMD = Entry("CVE-2025-4598", "Medium", "systemd", "252.38-1~deb12u1")
TAR = Entry("CVE-2005-2541", "Negligible", "tar")
LIBDB = Entry("CVE-2019-8457", "Critical", "db5.3")


def write_database(folder: Path, entries: Sequence[Entry], built: datetime | None = None) -> Path:
    """Write a database to a folder, which is then a mirror of grype's; the archive."""
    folder.mkdir(parents=True, exist_ok=True)
    time = (built or datetime.now(UTC)).isoformat(timespec="seconds")
    document = json.dumps({"built": time, "entries": [asdict(entry) for entry in entries]})
    subprocess.run([_program(), folder], input=document, text=True, check=True, capture_output=True)
    (archive,) = folder.glob("*.tar.gz")
    return archive


def _program() -> Path:
    sources = [SOURCES / name for name in ("go.mod", "go.sum", "database/main.go")]
    return go_program.build("vulnerabilities", SOURCES, "./database", sources)
