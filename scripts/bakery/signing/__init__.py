"""Signed statements: in-toto statements in DSSE envelopes, by a key per duty, in a file or in Vault."""

from bakery.signing.documents import envelope_path, make_statement, predicate_type, save_signed, verify_document
from bakery.signing.envelope import sign, verify
from bakery.signing.keyring import TRUSTED_KEYS, Keyring, open_keyring
from bakery.signing.keys import DUTIES, Duty, TrustedKeys
from bakery.signing.statement import Statement, Subject

__all__ = [
    "DUTIES",
    "TRUSTED_KEYS",
    "Duty",
    "Keyring",
    "Statement",
    "Subject",
    "TrustedKeys",
    "envelope_path",
    "make_statement",
    "open_keyring",
    "predicate_type",
    "save_signed",
    "sign",
    "verify",
    "verify_document",
]
