"""Files of a version, whose digests its record or its contents name."""

import gzip
import hashlib
from collections.abc import Iterable, Mapping
from typing import TypeVar

from bakery.catalog.documents import MOVED, Documents
from bakery.catalog.keys import (
    blocks_key,
    contents_key,
    database_key,
    files_key,
    provenance_key,
    sbom_key,
    vex_key,
    vulnerabilities_key,
)
from bakery.catalog.record import Record
from bakery.host.errors import BakeryError, NotFoundError
from bakery.model.contents import Contents, FileList, SbomFormat
from bakery.model.documents import dump, parse
from bakery.model.naming import full_name
from bakery.model.version import ImageVersion, Versioned
from bakery.model.vulnerabilities import VulnerabilityReport

Attachment = TypeVar("Attachment", Contents, VulnerabilityReport)


class Attachments(Documents):
    """Contents, bills of materials, vulnerabilities. The name of a file holds its digest, so equal names are equal."""

    def keep_contents(
        self, contents: Contents, database: bytes, sboms: Mapping[SbomFormat, bytes], files: bytes = b""
    ) -> str:
        """Keep the contents of a version; the digest of their document.

        With them its package database, bills of materials and compressed list of files.
        """
        document = dump(contents)
        digest = hashlib.sha256(document).hexdigest()
        self._store.create(contents_key(contents, digest), document)  # the name is the digest: what is there is equal
        self._store.create(database_key(contents, contents.database), database)
        for name, sbom in sboms.items():
            self._store.create(sbom_key(contents, name, contents.sboms[name]), sbom)
        if files:
            self._store.create(files_key(contents, contents.files), files)
        return digest

    def contents(self, record: Record) -> Contents | None:
        """The contents of a version; None if they were not read."""
        if not record.contents:
            return None
        return self._read_attachment(Contents, record, contents_key(record, record.contents), record.contents)

    def package_database(self, record: Record) -> bytes | None:
        """The archive of the package database of a version, a tar with gzip; None if it was not read."""
        contents = self.contents(record)
        return self._read_intact(database_key(record, contents.database), contents.database) if contents else None

    def sbom(self, record: Record, name: SbomFormat) -> bytes | None:
        """A bill of materials of a version; None if none was written."""
        contents = self.contents(record)
        digest = contents.sboms.get(name) if contents else None
        return self._read_intact(sbom_key(record, name, digest), digest) if digest else None

    def files(self, of: Versioned, contents: Contents) -> FileList | None:
        """The files of a version; None if an older release wrote its contents."""
        if not contents.files:
            return None
        key = files_key(of, contents.files)
        packed = self._read_intact(key, contents.files)
        return parse(FileList, gzip.decompress(packed), f"{self.location}/{key}")

    def keep_vulnerabilities(self, report: VulnerabilityReport, digest: str) -> None:
        """Keep the vulnerabilities of a version; `digest` is the SHA-256 of their document."""
        self._store.create(vulnerabilities_key(report, digest), dump(report))

    def vulnerabilities(self, of: Versioned, digest: str) -> VulnerabilityReport:
        """The vulnerabilities of a version that were kept with this digest."""
        return self._read_attachment(VulnerabilityReport, of, vulnerabilities_key(of, digest), digest)

    def keep_vex(self, of: Versioned, document: bytes, digest: str) -> None:
        """Keep the OpenVEX document of a version; `digest` is its SHA-256."""
        self._store.create(vex_key(of, digest), document)

    def vex(self, record: Record) -> bytes | None:
        """The OpenVEX document of a version; None if it ignores no vulnerability."""
        return self._read_intact(vex_key(record, record.vex), record.vex) if record.vex else None

    def keep_provenance(self, of: Versioned, envelope: bytes, block_lists: Iterable[bytes]) -> str:
        """Keep the signed statement about a version; the digest of its envelope. With it, the lists of its blocks."""
        for listed in block_lists:
            self._store.create(blocks_key(of, hashlib.sha256(listed).hexdigest()), listed)
        digest = hashlib.sha256(envelope).hexdigest()
        self._store.create(provenance_key(of, digest), envelope)
        return digest

    def provenance(self, record: Record) -> bytes | None:
        """The signed statement about a version; None if none was made."""
        if not record.provenance:
            return None
        return self._read_intact(provenance_key(record, record.provenance), record.provenance)

    def block_list(self, of: Versioned, digest: str) -> bytes | None:
        """The list of the blocks of a version's disk; None if nobody kept it."""
        try:
            return self._read_intact(blocks_key(of, digest), digest)
        except NotFoundError:
            return None

    def _read_attachment(self, kind: type[Attachment], of: Versioned, key: str, sha256: str) -> Attachment:
        """The document of a version with a digest; BakeryError if it is of another version."""
        where = f"{self.location}/{key}"
        document = parse(kind, self._read_intact(key, sha256), where)
        if ImageVersion.of(document) != ImageVersion.of(of):
            raise BakeryError(f"the document belongs to {full_name(document)}", where=where, hint=MOVED)
        return document
