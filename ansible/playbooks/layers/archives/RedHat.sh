# shellcheck shell=sh # part of a task
#
# As Debian.sh, for dnf: the address of repomd.xml of each repository and the SHA-256 of the one that dnf has. A
# repository with a list of mirrors counts as one that nobody can ask, since another mirror may be newer. So does one
# that asks for a login or a certificate, which only the image has.
python="$(sed -n '1s/^#! *//p' "$(command -v dnf)")"
# shellcheck disable=SC2086 # the interpreter and its options
$python - <<'END' || echo "/etc/yum.repos.d none"
import hashlib
from pathlib import Path

import dnf

base = dnf.Base()
base.conf.read()
base.conf.substitutions.update_from_etc(base.conf.installroot, varsdir=base.conf.varsdir)
base.read_all_repos()
for repo in base.repos.iter_enabled():
    address = repo.metalink or repo.mirrorlist or repo.baseurl[0].rstrip("/") + "/repodata/repomd.xml"
    known = Path(repo._repo.getCachedir(), "repodata", "repomd.xml")
    shared = address.startswith(("http://", "https://")) and "@" not in address
    asked = shared and not (repo.metalink or repo.mirrorlist or repo.username or repo.sslclientcert)
    digest = hashlib.sha256(known.read_bytes()).hexdigest() if asked and known.is_file() else "none"
    scheme, slashes, rest = address.rpartition("://")
    print(scheme + slashes + rest.rpartition("@")[2], digest)
END
