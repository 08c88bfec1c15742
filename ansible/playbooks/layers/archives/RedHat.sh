# shellcheck shell=sh # part of a task
#
# As Debian.sh, for dnf: the address of repomd.xml of each repository and the SHA-256 of the one that dnf has. That of a
# list of mirrors, with its kind before it, if dnf asks one: scripts/bakery/layers/archive_lists.py asks it as well.
# Only the image can ask a repository with a login or a certificate.
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
    kind = ""
    if repo.metalink or repo.mirrorlist:  # dnf takes a list for a metalink by its address too
        kind = "metalink+" if repo.metalink or "metalink" in address else "mirrorlist+"
    known = Path(repo._repo.getCachedir(), "repodata", "repomd.xml")
    shared = address.startswith(("http://", "https://")) and "@" not in address
    asked = shared and not (repo.username or repo.sslclientcert)
    digest = hashlib.sha256(known.read_bytes()).hexdigest() if asked and known.is_file() else "none"
    scheme, slashes, rest = address.partition("://")
    print(kind + (scheme + slashes + rest.rpartition("@")[2]).replace(" ", "%20"), digest)
END
