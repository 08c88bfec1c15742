"""A certificate authority of a test's own, and certificates for the servers it starts."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

VALID = timedelta(days=1)


@dataclass(frozen=True)
class Issued:
    """A certificate with its key, both PEM."""

    chain: str
    key: str
    serial: int


class Authority:
    """Signs with a key of its own, which is gone with it."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Authority of a test")])
        builder = _certificate(self._name, self._name, self._key, VALID)
        constraint = x509.BasicConstraints(ca=True, path_length=0)
        self.pem = _pem(builder.add_extension(constraint, critical=True).sign(self._key, hashes.SHA256()))

    def issue(self, name: str, valid: timedelta = VALID) -> Issued:
        """For one host name; a negative time is over."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _certificate(x509.Name([]), self._name, key, valid)
        names = x509.SubjectAlternativeName([x509.DNSName(name)])
        made = builder.add_extension(names, critical=True).sign(self._key, hashes.SHA256())
        form = serialization.PrivateFormat.PKCS8
        secret = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()
        return Issued(_pem(made), secret, made.serial_number)


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, valid: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + valid)
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
