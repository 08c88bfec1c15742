"""Signed statements: in-toto statements in DSSE envelopes, by a key per duty, in a file or in Vault."""

from bakery.signing.documents import envelope_path, save_signed, verify_document
from bakery.signing.envelope import sign, verify
from bakery.signing.keyring import Keyring, open_keyring
from bakery.signing.keys import DUTIES, Duty, TrustedKeys
from bakery.signing.statement import Statement, Subject

__all__ = [
    "DUTIES",
    "Duty",
    "Keyring",
    "Statement",
    "Subject",
    "TrustedKeys",
    "envelope_path",
    "open_keyring",
    "save_signed",
    "sign",
    "verify",
    "verify_document",
]
