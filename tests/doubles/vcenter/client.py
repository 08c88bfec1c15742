"""Build the stand-in, start it and talk to it: for tests."""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from doubles import go_program

HERE = Path(__file__).parent
REST = "/rest/com/vmware"
ITEMS = "/content/library/item"
USER, PASSWORD, LIBRARY = "bakery@vsphere.local", "vcenter", "images"


@dataclass
class StandIn:
    """A running stand-in. `server` is HOST:PORT, `authority` the file to trust."""

    server: str
    authority: Path
    _http: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        answer = self._http.post(f"{self.url}{REST}/cis/session", auth=(USER, PASSWORD), verify=str(self.authority))
        self._http.headers["vmware-api-session-id"] = answer.json()["value"]

    @property
    def url(self) -> str:
        return f"https://{self.server}"

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The value of vCenter's answer; raises HTTPError when it refuses."""
        answer = self._http.request(method, f"{self.url}{REST}{path}", json=body, verify=str(self.authority))
        answer.raise_for_status()
        return answer.json().get("value") if answer.content else None

    def put(self, uri: str, content: bytes) -> None:
        """Send a file to where vCenter wants it."""
        self._http.put(uri, content, verify=str(self.authority)).raise_for_status()

    def control(self, method: str, name: str, body: Any = None) -> Any:
        """The parsed answer of `/_double/<name>`."""
        answer = self._http.request(method, f"{self.url}/_double/{name}", json=body, verify=str(self.authority))
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def fault(self, call: str, kind: str = "error", **rule: object) -> None:
        """Let the next calls fail that contain `call`, such as "~action=copy"."""
        self.control("POST", "faults", [{"call": call, "kind": kind, "times": 1, **rule}])

    def calls(self) -> list[str]:
        """Every call, "POST /rest/…", oldest first."""
        return list(self.control("GET", "calls") or [])

    def library(self, name: str = LIBRARY) -> str:
        """A library's ID."""
        (found,) = self.call("POST", "/content/library?~action=find", {"spec": {"name": name}})
        return str(found)

    def create_library(self, name: str) -> None:
        """Another local library, on the datastore of the first one."""
        first = self.call("GET", f"/content/library/id:{self.library()}")
        spec = {"name": name, "type": "LOCAL", "storage_backings": first["storage_backings"]}
        self.call("POST", "/content/local-library", {"create_spec": spec})

    def items(self, library: str = LIBRARY) -> dict[str, dict[str, Any]]:
        """The items of a library by name."""
        ids = self.call("GET", f"{ITEMS}?library_id={self.library(library)}") or []
        found = [self.call("GET", f"{ITEMS}/id:{item}") for item in ids]
        return {item["name"]: item for item in found}

    def sessions(self) -> list[str]:
        """The update sessions that are open."""
        return list(self.call("GET", f"{ITEMS}/update-session") or [])

    def files(self, item: str) -> list[str]:
        """The names of an item's files."""
        return sorted(file["name"] for file in self.call("GET", f"{ITEMS}/file?library_item_id={item}") or [])

    def download(self, item: str, file: str) -> bytes:
        """A file of an item, as a client of vCenter gets it."""
        session = self.call("POST", f"{ITEMS}/download-session", {"create_spec": {"library_item_id": item}})
        path, spec = f"{ITEMS}/downloadsession/file/id:{session}", {"file_name": file}
        prepared = self.call("POST", f"{path}?~action=prepare", spec)
        while prepared["status"] == "PREPARING":
            prepared = self.call("POST", f"{path}?~action=get", spec)
        answer = self._http.get(prepared["download_endpoint"]["uri"], verify=str(self.authority))
        answer.raise_for_status()
        return answer.content


def program() -> Path:
    """The stand-in's program."""
    sources = sorted(path for path in HERE.iterdir() if path.suffix == ".go" or path.name.startswith("go."))
    return go_program.build("vcenter", HERE, ".", sources)


@contextmanager
def running(**flags: str) -> Iterator[StandIn]:
    """A vCenter of its own on a free port, with the library LIBRARY; gone afterwards with all that it holds."""
    with tempfile.TemporaryDirectory() as folder:
        options = {"user": USER, "password": PASSWORD, "library": LIBRARY, "folder": folder, **flags}
        command = [str(program()), *(f"-{name}={value}" for name, value in options.items())]
        environment = {**os.environ, "TMPDIR": folder}
        with subprocess.Popen(
            command,
            text=True,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            assert process.stdout
            try:
                told = json.loads(process.stdout.readline())
                yield StandIn(told["server"], Path(told["ca"]))
            finally:
                process.kill()
