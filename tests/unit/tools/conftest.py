"""A vendor on loopback, a Go on PATH and a catalogue of one tool: nothing here leaves the machine."""

import hashlib
import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from doubles.serving import at_work
from tools.install import Places
from tools.pins import Release, Tool
from tools.progress import Progress

VERSION = "1.2.3"


@dataclass
class FakeVendor:
    """Serves `files` by path; a path in `cut` announces its full length and ends half-way."""

    address: str
    files: dict[str, bytes] = field(default_factory=dict)
    cut: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def vendor_server() -> Iterator[FakeVendor]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            fake.asked.append(self.path)
            body = fake.files.get(self.path)
            if body is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if self.path in fake.cut else body)

        def log_message(self, *_args: object) -> None:
            pass

    with at_work(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        fake = FakeVendor(f"http://127.0.0.1:{server.server_port}")
        yield fake


def script(version: str = VERSION) -> str:
    return f"#!/bin/sh\necho Forge v{version}\n"


def archive(text: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        zipped.writestr("forge", text)
    return buffer.getvalue()


@dataclass(frozen=True)
class FakeTool:
    """One tool called forge, with everything it needs in a temporary folder."""

    tool: Tool
    places: Places
    bin: Path  # the only folder on PATH beside /usr/bin and /bin
    said: Callable[[], str]
    progress: Progress
    server: FakeVendor

    @property
    def folder(self) -> Path:
        return self.places.cache / "forge" / VERSION

    def leftovers(self) -> list[str]:
        return sorted(entry.name for entry in self.folder.glob("*") if entry.name != "lock")

    def put_on_path(self, name: str, text: str) -> Path:
        program = self.bin / name
        program.write_text(text)
        program.chmod(0o755)
        return program

    def put_go_on_path(self, builds: str = script(), version: str = "go1.26.1") -> Path:
        """A Go that answers `env GOVERSION` and whose build writes `builds` to the file behind -o."""
        return self.put_on_path(
            "go",
            f"""#!/bin/sh
            [ "$1" = env ] && echo {version} && exit 0
            echo "$PWD $*" >> {self.bin}/go.calls
            while [ "$1" != -o ]; do shift; done
            cat > "$2" <<'END'\n{builds}END
            chmod +x "$2"
            """.replace("\n            ", "\n"),
        )


@pytest.fixture
def bench(
    tmp_path: Path,
    vendor_server: FakeVendor,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> FakeTool:
    bin_folder = tmp_path / "path"
    bin_folder.mkdir()
    monkeypatch.setenv("PATH", f"{bin_folder}:/usr/bin:/bin")
    # A Go that the machine really has must not stand in for a missing one.
    monkeypatch.setattr("tools.source.GO_HOME", "/nonexistent")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    body = archive(script())
    vendor_server.files["/forge.zip"] = body
    source = tmp_path / "go" / "forge"
    source.mkdir(parents=True)
    for name in ("go.mod", "go.sum"):
        (source / name).write_text(name)
    release = Release(f"{vendor_server.address}/forge.zip", "forge", sha256=hashlib.sha256(body).hexdigest(), sums=None)
    tool = Tool("forge", VERSION, release, source, "example.org/forge", minutes=1, tags="small")
    project = tmp_path / "project"
    places = Places(tmp_path / "cache" / "tools", project / "bin", project / "plugins")
    progress = Progress(tmp_path / "logs")
    return FakeTool(tool, places, bin_folder, lambda: capsys.readouterr().out, progress, vendor_server)
