#!/usr/bin/python3
"""Writes one SSM parameter, decrypted, to a file or a pipe: bakery-fetch-parameter NAME > FILE.

With the rights of the instance it runs on, and Python's own library only: images carry no client of AWS.
AWS_ENDPOINT_URL and AWS_EC2_METADATA_SERVICE_ENDPOINT replace what is asked, as they do for AWS's own clients.
"""

import hashlib
import hmac
import json
import os
import stat
import sys
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit

METADATA = "http://169.254.169.254"
METADATA_SECONDS = 60  # that a metadata token is good for: longer than all that is asked with one
TIMEOUT = 5.0  # seconds until an answer is not expected any more
# Waits between tries, in seconds, a minute in all: a new instance's network, role and its policy are not there at once.
WAITS = (0.5, 1, 2, 4, 8, 16, 30)
# A new policy of a role takes effect after some seconds. Until then SSM denies access, as it does without a policy.
MAY_PASS = ("ThrottlingException", "RequestLimitExceeded", "AccessDeniedException")
TARGET = "AmazonSSM.GetParameter"
CONTENT = "application/x-amz-json-1.1"

# Neither is ever behind a proxy.
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class NotYetError(Exception):
    """Another try may help."""


class RefusedError(Exception):
    """Another try would not help."""


def main() -> int:
    if len(sys.argv) != 2:
        return fail("usage: bakery-fetch-parameter NAME > FILE")
    if not keeps_quiet(sys.stdout.fileno()):
        return fail("a secret is not for a terminal or a log: send the output to a file or a pipe")
    try:
        value = fetch_with_retries(sys.argv[1])
    except (NotYetError, RefusedError) as error:
        return fail(f"cannot fetch {sys.argv[1]}: {error}")
    sys.stdout.buffer.write(value.encode())  # whatever the locale
    return 0


def fail(message: str) -> int:
    sys.stderr.write(f"bakery-fetch-parameter: {message}\n")
    return 1


def keeps_quiet(output: int) -> bool:
    """Whether the output is a file or a pipe; the journal is a socket."""
    mode = os.fstat(output).st_mode
    return stat.S_ISREG(mode) or stat.S_ISFIFO(mode)


def fetch_with_retries(name: str) -> str:
    for wait in WAITS:
        try:
            return fetch(name)
        except NotYetError:
            time.sleep(wait)
    return fetch(name)


def fetch(name: str) -> str:
    metadata = Metadata()
    region = metadata.get("placement/region")
    url = os.environ.get("AWS_ENDPOINT_URL") or f"https://ssm.{region}.{metadata.get('services/domain')}"
    body = json.dumps({"Name": name, "WithDecryption": True}).encode()
    headers = signed(url, body, region, metadata.credentials(), time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()))
    answer = ask(urllib.request.Request(f"{url}/", body, headers))  # noqa: S310 - https, or a test's
    value: str = json.loads(answer)["Parameter"]["Value"]
    return value


class Metadata:
    """The metadata of the instance, by IMDSv2."""

    def __init__(self) -> None:
        self.url = (os.environ.get("AWS_EC2_METADATA_SERVICE_ENDPOINT") or METADATA).rstrip("/")
        lifetime = {"X-aws-ec2-metadata-token-ttl-seconds": str(METADATA_SECONDS)}
        self.token = self._ask("PUT", "api/token", lifetime)

    def get(self, path: str) -> str:
        return self._ask("GET", f"meta-data/{path}", {"X-aws-ec2-metadata-token": self.token})

    def credentials(self) -> "dict[str, str]":
        role = self.get("iam/security-credentials/")
        found: dict[str, str] = json.loads(self.get(f"iam/security-credentials/{role}"))
        return found

    def _ask(self, method: str, path: str, headers: "dict[str, str]") -> str:
        request = urllib.request.Request(f"{self.url}/latest/{path}", None, headers, method=method)  # noqa: S310
        try:
            return ask(request).decode()
        except RefusedError as error:  # a role is not there from the first second on
            raise NotYetError(f"the instance's metadata has no {path}: {error}") from None


def ask(request: urllib.request.Request) -> bytes:
    try:
        with OPENER.open(request, timeout=TIMEOUT) as answer:
            found: bytes = answer.read()
            return found
    except urllib.error.HTTPError as error:
        reason = explained(error)
        kind = NotYetError if error.code >= 500 or reason.startswith(MAY_PASS) else RefusedError
        raise kind(reason) from None
    except OSError as error:  # URLError and timeouts are ones
        raise NotYetError(f"no answer from {request.host}: {error}") from None


def explained(error: urllib.error.HTTPError) -> str:
    """`ParameterNotFound: ...`, or the HTTP status where the body says nothing."""
    try:
        body = json.loads(error.read())
        kind = body["__type"].rpartition("#")[2]
        return f"{kind}: {body.get('message') or body.get('Message') or ''}".rstrip(": ")
    except (ValueError, KeyError, TypeError, OSError):
        return f"HTTP status {error.code}"


def signed(url: str, body: bytes, region: str, credentials: "dict[str, str]", stamp: str) -> "dict[str, str]":
    """The headers of a request in Signature Version 4: AWS accepts no other."""
    headers = {
        "content-type": CONTENT,
        "host": urlsplit(url).netloc,
        "x-amz-date": stamp,
        "x-amz-security-token": credentials["Token"],
        "x-amz-target": TARGET,
    }
    names = ";".join(headers)  # in this order, the alphabet's
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    request = f"POST\n/\n\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{stamp[:8]}/{region}/ssm/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    secret = f"AWS4{credentials['SecretAccessKey']}".encode()
    for part in (*scope.split("/"), text):
        secret = hmac.new(secret, part.encode(), hashlib.sha256).digest()
    who = f"Credential={credentials['AccessKeyId']}/{scope}"
    return {**headers, "authorization": f"AWS4-HMAC-SHA256 {who}, SignedHeaders={names}, Signature={secret.hex()}"}


if __name__ == "__main__":
    sys.exit(main())
