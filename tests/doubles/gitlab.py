"""What Vault sees of GitLab: the ID tokens of jobs, and the address at which their key is published.

Claims are named and typed as lib/gitlab/ci/jwt.rb and jwt_v2.rb of GitLab write them: numbers and booleans are text,
`ref` is a merge request's source branch, `project_id` is the fork's if it comes from one, `nbf` lies 5 s back. It
cannot show what GitLab puts into the token of a given job; the tests say that.
"""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from doubles.serving import at_work
from doubles.vault import Issuer, base64url

DISCOVERY = "/.well-known/openid-configuration"
KEYS = "/oauth/discovery/keys"
# A push to the protected branch main.
JOB = {
    "namespace_id": "3",
    "namespace_path": "images",
    "project_id": "7",
    "project_path": "images/bakery",
    "pipeline_id": "11",
    "pipeline_source": "push",
    "job_id": "13",
    "ref": "main",
    "ref_type": "branch",
    "ref_path": "refs/heads/main",
    "ref_protected": "true",
    "runner_environment": "self-hosted",
    "sub": "project_path:images/bakery:ref_type:branch:ref:main",
    "user_login": "ada",
}


class GitLab(Issuer):
    """Serves as long as `gitlab()` runs; `url` is its address and the issuer of its tokens."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url

    def job(self, audience: str, seconds: int = 300, **claims: str | int) -> str:
        """The ID token of a push to main, but for some claims."""
        now = int(time.time())
        return self.token(audience, seconds, **{**JOB, "iss": self.url, "iat": now, "nbf": now - 5, **claims})

    @property
    def documents(self) -> dict[str, Any]:
        """What can be fetched, by path."""
        numbers = self.key.public_key().public_numbers()
        key = {"kty": "RSA", "use": "sig", "alg": "RS256", "n": _number(numbers.n), "e": _number(numbers.e)}
        about = {
            "issuer": self.url,
            "jwks_uri": f"{self.url}{KEYS}",
            "authorization_endpoint": f"{self.url}/oauth/authorize",
            "token_endpoint": f"{self.url}/oauth/token",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }
        return {DISCOVERY: about, KEYS: {"keys": [key]}}


@contextmanager
def gitlab() -> Iterator[GitLab]:
    """A GitLab on loopback for as long as the block runs."""
    with at_work(_Server(("127.0.0.1", 0), _Handler)) as server:
        found = GitLab(f"http://127.0.0.1:{server.server_port}")
        server.documents = found.documents
        yield found


class _Server(ThreadingHTTPServer):
    documents: dict[str, Any]


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        found = self.server.documents.get(self.path)
        data = json.dumps(found).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def _number(value: int) -> str:
    return base64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))
