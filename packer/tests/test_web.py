"""The web image: nginx serves its page, and its status page only to who knows the password."""

import re

from testinfra.host import Host

# Neither curl nor wget is in the image; Python is, for Ansible.
GET = """
import sys, urllib.error, urllib.request
try:
    answer = urllib.request.urlopen(sys.argv[1], timeout=30)
except urllib.error.HTTPError as error:
    answer = error
print(answer.status, answer.read().decode())
"""


def get(host: Host, path: str) -> tuple[int, str]:
    """(status, body) of a page, asked for inside the guest on the port that nginx was told."""
    with host.sudo():
        settings = host.check_output("nginx -T 2>/dev/null")
    port = re.search(r"^\s*listen (\d+)", settings, re.MULTILINE)
    assert port, "nginx listens nowhere"
    status, _, body = host.check_output("python3 -c %s %s", GET, f"http://127.0.0.1:{port[1]}{path}").partition(" ")
    return int(status), body


def test_nginx_starts_at_boot(host: Host) -> None:
    assert host.service("nginx").is_enabled
    assert host.service("nginx").is_running


def test_page_is_served(host: Host) -> None:
    status, body = get(host, "/")
    assert status == 200
    assert body.strip() == host.file("/var/www/html/index.html").content_string.strip()
    assert "Welcome to nginx" not in body


def test_status_needs_the_password(host: Host) -> None:
    assert get(host, "/status")[0] == 401


def test_only_a_hash_of_the_password_is_kept(host: Host) -> None:
    with host.sudo():
        file = host.file("/etc/nginx/status.htpasswd")
        content, mode, group = file.content_string, file.mode, file.group
    assert re.fullmatch(r"status:\$6\$[A-Za-z0-9./]{16}\$[A-Za-z0-9./]{86}\n", content)
    assert (mode, group) == (0o640, "www-data")
